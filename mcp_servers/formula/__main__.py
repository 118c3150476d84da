"""`python -m mcp_servers.formula`."""

from mcp_servers.formula import configure
from mcp_servers.serve import serve

if __name__ == "__main__":
    serve("formula", configure)
