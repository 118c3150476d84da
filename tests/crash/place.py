"""The folder a run happens in: settings, the shop's database, ledgers."""

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
MDL = Path(sys.executable).with_name("mdl")
COUNT, BUDGET = 5, 40

HTTP = """
[http]
port = {port}
"""
SOURCES = """
[sources.shop]
kind = "sqlite"
path = "shop.db"
tables = ["orders"]
subject = "=event.data.new.key"

[sources.pulse]
kind = "timer"
every = "{every}"
missed = "all"
"""
SERVER = """
[mcpServers.{name}]
command = "{python}"
args = ["-m", "tests.crash.tool", "{name}", "{ledger}"]
env = {{ PYTHONPATH = "{root}" }}
trust = {trust}
timeout = "120s"                            # also where the loop is stopped for a while
isolation.bubblewrap = "off"                # its ledger lies outside, and notes whose child it is
"""
GOAL = """
[[goals]]
id = "{id}"
text = "Note what happened."
on = ["{on}"]
rate = {{ actions = 1000000, per = "1m" }}
{more}
"""


def do(*calls: str) -> str:
    """A goal's `do`: of each call its tool, and after a blank the CEL of its id (left out: the event's)."""
    written: list[str] = []
    for call in calls:
        tool, _, id_ = call.partition(" ")
        written.append(f'{{ tool = "{tool}.put", args = {{ id = "={id_ or "event.id"}" }} }}')
    return f"do = [{', '.join(written)}]"


GOALS = (
    ("safe", "web.safe", do("safe")),
    ("unsafe", "web.unsafe", do("unsafe")),
    ("read", "web.read", do("read") + '\nbudget = { actions = 1000000, per = "7d" }'),
    ("plan", "web.plan", do("safe", "unsafe", "safe event.id + '/last'")),
    ("count", "web.count", do("safe") + f'\nwindow = {{ count = {COUNT}, within = "10h" }}'),
    (
        "let",
        "web.let",
        do("safe")
        + f'\nwindow = {{ count = {COUNT}, within = "10h" }}'
        + '\nlet.seen = { tool = "read.put", args = { id = "=event.id" } }'
        + "\nwhen = \"seen != ''\"",
    ),
    ("budget", "web.budget", do("safe") + f'\nbudget = {{ actions = {BUDGET}, per = "7d" }}'),
    ("approve", "web.approve", do("unsafe") + '\napprove = ["unsafe.put"]'),
    ("row", "shop.orders.inserted", do("safe string(event.data.new.id)")),
    ("tick", "timer.pulse", do("read")),
    (
        "echo",
        "dev.mdl.action.succeeded",
        do("safe event.data.action") + "\nwhen = \"event.data.goal.startsWith('unsafe@')\"",
    ),
)


@dataclass(frozen=True)
class Place:
    """Where everything lies."""

    folder: Path
    port: int

    @property
    def config(self) -> Path:
        return self.folder / "mdl.toml"

    @property
    def journal(self) -> Path:
        return self.folder / ".mdl" / "journal.db"

    @property
    def shop(self) -> Path:
        return self.folder / "shop.db"

    def ledger(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def mdl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the product, as a person would."""
        command = [MDL, *words, "-c", str(self.config)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=120)


def made(folder: Path, *, every: str = "500ms", more: str = "") -> Place:
    """Make the folder with everything in it; `every` is the timer's, `more` stands behind the settings.

    The journal's own folder may be there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(folder, free_port())
    parts = [HTTP.format(port=place.port), SOURCES.format(every=every)]
    parts += [_server(place, name) for name in ("safe", "unsafe", "read")]
    parts += [GOAL.format(id=id_, on=on, more=more) for id_, on, more in GOALS]
    place.config.write_text("".join([*parts, more]), encoding="utf-8")
    with closing(sqlite3.connect(place.shop)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, key TEXT)")
    done = place.mdl("source", "install", "shop")
    assert done.returncode == 0, done.stderr
    return place


def for_webhooks(folder: Path) -> Place:
    """Make a folder in which one goal acts on each webhook, with the tool that may be called again."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(folder, free_port())
    goal = GOAL.format(id="safe", on="web.safe", more=do("safe"))
    place.config.write_text(HTTP.format(port=place.port) + _server(place, "safe") + goal, encoding="utf-8")
    return place


def _server(place: Place, name: str) -> str:
    facts = {"python": sys.executable, "root": ROOT, "ledger": place.ledger("calls")}
    return SERVER.format(name=name, trust="false" if name == "unsafe" else "true", **facts)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]
