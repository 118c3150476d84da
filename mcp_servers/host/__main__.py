"""`python -m mcp_servers.host`."""

from mcp_servers.host import configure
from mcp_servers.serve import serve

if __name__ == "__main__":
    serve("host", configure)
