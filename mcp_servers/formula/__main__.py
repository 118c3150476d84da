"""`python -m mcp_servers.formula [--http HOST:PORT]`: over stdio, or over HTTP."""

import argparse
import sys

from mcp_servers.config import ConfigError, given
from mcp_servers.formula import configure


def main() -> None:
    """Serve until standard input ends, or until a signal."""
    parser = argparse.ArgumentParser(prog="python -m mcp_servers.formula", description="Formulas over stdio or HTTP.")
    parser.add_argument("--http", metavar="HOST:PORT", help="serve plain HTTP and MCP there; port 0 is any free one")
    address = parser.parse_args().http
    if address is None:
        from mcp_servers.serve import serve  # noqa: PLC0415  loads MCP

        serve("formula", configure)
        return
    from mcp_servers.formula.serving import serve_http  # noqa: PLC0415  loads the HTTP server

    try:
        serve_http(address, given())
    except ConfigError as error:
        sys.stderr.write(f"mcp_servers.formula: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
