"""This machine: how busy it is, and the commands that the config names. No shell, and no arguments from callers.

config: `commands` (name -> list of words, the first the program), `env` (seen besides PATH, LANG and HOME),
`timeout` (seconds), `folder` (where commands run).
"""

from mcp_servers.host.server import configure

__all__ = ["configure"]
