"""`python -m mcp_servers.records`."""

from mcp_servers.records import configure
from mcp_servers.serve import serve

if __name__ == "__main__":
    serve("records", configure)
