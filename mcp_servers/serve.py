"""A server alone, over stdio: `python -m mcp_servers.NAME`, its config as JSON in MDL_SERVER_CONFIG.

Not used in process: there the loop calls `configure(config)` of the server's module itself.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from mcp.server import MCPServer

from mcp_servers import cause
from mcp_servers.config import ConfigError, given


def serve(name: str, configure: Callable[[Mapping[str, Any]], MCPServer[Any]]) -> None:
    """Serve until standard input ends; a wrong config is one line on standard error and exit code 2."""
    try:
        server = configure(given())
    except ConfigError as error:
        sys.stderr.write(f"mcp_servers.{name}: {error}\n")
        sys.exit(2)
    server.middleware.append(cause.carry)
    with suppress(KeyboardInterrupt):
        server.run()
