"""Calls out: a JSON body, signed by Standard Webhooks, to hosts that the config names and to nobody else.

config: `hosts` ("api.example.com" or "api.example.com:8443"), `key` ("whsec_…"), `private` (whether these names may
lead to addresses that are not public), `timeout` (seconds). An address among `hosts` is allowed as it stands.
"""

from mcp_servers.webhook.server import configure

__all__ = ["configure"]
