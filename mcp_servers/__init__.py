"""MCP servers that MDL brings: formula, records, notify, webhook, host. Each also alone: `python -m mcp_servers.NAME`.

Not a part of the loop: nothing here imports `orchestrator`, and settings name a server by its module.
"""
