"""`python -m mcp_servers.webhook`."""

from mcp_servers.serve import serve
from mcp_servers.webhook import configure

if __name__ == "__main__":
    serve("webhook", configure)
