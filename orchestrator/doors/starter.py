"""The first mdl.toml that `mdl init` writes: small, commented, and it works as it stands."""

from pathlib import Path

from orchestrator.errors import SettingsError

STARTER = """\
# MDL's settings. `mdl run` reads them, `mdl doctor` tries them.

[http]
port = 8635                                 # POST /events takes CloudEvents, POST /hooks/NAME any JSON

[mcpServers.notify]                         # a server of ours, in this process; a `command` would run any MCP server
module = "mcp_servers.notify"

[sources.pulse]
kind = "timer"
every = "1m"

[[goals]]
id = "greet"
text = "Greet everybody who says hello."
on = ["hello"]                              # event types
when = "event.data.name != ''"              # CEL; leave it out to take every event of the type
do = [{ tool = "notify.send", args = { text = "='Hello, ' + event.data.name + '!'" } }]

# Any MCP server; under bubblewrap, where that is installed, it has no network and writes nothing but its own folder:
# [mcpServers.files]
# command = "npx"
# args = ["-y", "@modelcontextprotocol/server-filesystem", "data"]
# isolation = { network = true, write = ["data"] }   # `mdl doctor` says what is in force

# Rows that change in a database of yours (then: `mdl source install shop`):
# [sources.shop]
# kind = "sqlite"
# path = "shop.db"
# tables = ["orders"]

# Signed webhooks at /hooks/github:
# [sources.github]
# kind = "webhook"
# signature = "github"
# keys = ["${GITHUB_WEBHOOK_SECRET}"]
# type = "='github.' + headers['x-github-event']"
# subject = "=body.repository.full_name"

# Older bodies go, then headers, but for what is still needed; and the journal's head is signed and kept out of reach:
# [journal]
# keep = "30d"
# [journal.checkpoint]
# file = "/mnt/elsewhere/checkpoints.jsonl"

# A local model, asked only where judgement is needed:
# [model]
# provider = "ollama"
# name = "llama3.2"
"""


def write(file: Path) -> None:
    """Write the starter.

    Raises:
        SettingsError: the file is there already, or cannot be written.
    """
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(STARTER)
    except FileExistsError as error:
        raise SettingsError(f"`{file}` is there already; move it away first") from error
    except OSError as error:
        raise SettingsError(f"`{file}` cannot be written: {error}") from error
