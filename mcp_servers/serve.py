"""A server alone, over stdio: `python -m mcp_servers.NAME`, its config as JSON in MDL_SERVER_CONFIG.

Not used in process: there the loop calls `configure(config)` of the server's module itself.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

from mcp.server import MCPServer

from mcp_servers import cause
from mcp_servers.config import ConfigError

VARIABLE = "MDL_SERVER_CONFIG"


def serve(name: str, configure: Callable[[Mapping[str, Any]], MCPServer[Any]]) -> None:
    """Serve until standard input ends; a wrong config is one line on standard error and exit code 2."""
    try:
        server = configure(_given())
    except ConfigError as error:
        sys.stderr.write(f"mcp_servers.{name}: {error}\n")
        sys.exit(2)
    server.middleware.append(cause.carry)
    with suppress(KeyboardInterrupt):
        server.run()


def _given() -> Mapping[str, Any]:
    text = os.environ.get(VARIABLE) or "{}"
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{VARIABLE} is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise ConfigError(f'{VARIABLE} must be a JSON object such as {{"folder": "/srv/shop"}}')
    return cast("dict[str, Any]", given)
