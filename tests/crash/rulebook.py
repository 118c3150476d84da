"""ansible-rulebook in a folder of its own: its rulebook, its lives, and what it acted on. Knows nothing of MDL.

Its action is `debug`, the cheapest it has: a line on a standard output that is a file here, so a line outlives whoever
wrote it. A batch is split by its own filter; the answer 200 is its acknowledgement. With persistence it keeps its
sessions in H2, in the same folder, under one persistence id. As its documentation has it, H2 writes half a second
behind; it can be told not to.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.crash.history import Line
from tests.crash.life import CATCHING_UP, PATIENCE, StuckError, tail, until
from tests.crash.place import ROOT, Place, free_port
from tests.crash.posting import post

BIN = ROOT / ".venv-peers" / "bin"
LAST = {"specversion": "1.0", "id": "last", "source": "crash:end", "type": "web.safe", "subject": "end"}
QUIET = 5.0
"""Seconds in which nothing more has been acted on, when nothing waits any more."""
RULEBOOK = """
- name: webhooks
  hosts: all
  sources:
    - eda.builtin.webhook:
        host: 127.0.0.1
        port: {port}
      filters:
        - eda.builtin.event_splitter:
            splitter_key: payload
  rules:
    - name: act
      condition: event.type == "web.safe"
      action:
        debug:
          msg: "acted {{{{ event.id }}}} {{{{ event.meta.uuid }}}}"
"""
_ACTED = re.compile(r"^acted (\S+) (\S+)\n", re.MULTILINE)


class MissingError(Exception):
    """Something that ansible-rulebook needs is not on this machine."""


def require_java() -> None:
    """See that its rule engine can run.

    Raises:
        MissingError: there is no Java.
    """
    if not shutil.which("java") and not os.environ.get("JAVA_HOME"):
        raise MissingError("ansible-rulebook needs Java 17 or newer; run `apt-get install default-jre-headless`")


def rulebook_in(folder: Path, *, database: str | None = None) -> Place:
    """Make the folder; with a database, its sessions are kept there: a name, and options of H2 behind it."""
    folder.mkdir(parents=True)
    place = Place(folder, free_port())
    folder.joinpath("rulebook.yml").write_text(RULEBOOK.format(port=place.port), encoding="utf-8")
    if database is not None:
        folder.joinpath("variables.yml").write_text(f"drools_db_file_path: {folder / database}\n", encoding="utf-8")
    return place


def acted(place: Place) -> list[Line]:
    """What it acted on, as calls of a tool; its event's own id stands for a key."""
    out = place.folder / "run.out"
    said = out.read_text(encoding="utf-8", errors="replace") if out.exists() else ""
    return [{"what": "begin", "id": id_, "action": key} for id_, key in _ACTED.findall(said)]


class Living:
    """A process of ansible-rulebook, with whatever it started."""

    def __init__(self, place: Place) -> None:
        self.place, self._before = place, len(acted(place))
        words = [str(BIN / "ansible-rulebook"), "--rulebook", "rulebook.yml"]
        if (place.folder / "variables.yml").exists():
            words += ["--vars", "variables.yml", "--persistence-id", "crash", "--id", "1"]
        path = os.pathsep.join((str(BIN), os.environ["PATH"]))
        with place.folder.joinpath("run.out").open("ab") as out:
            self._process = subprocess.Popen(
                words, cwd=place.folder, env={**os.environ, "PATH": path, "HOME": str(place.folder)},
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def up(self) -> None:
        """Wait until it acts on what is sent to it: it listens long before.

        Raises:
            StuckError: it ended, or did not come up.
        """
        until(lambda: self._process.poll() is not None or len(acted(self.place)) > self._before, "it acts")
        if self._process.poll() is not None:
            said = tail(self.place.folder / "run.out")
            raise StuckError(f"ansible-rulebook ended by itself with {self._process.returncode}: {said}")

    def rested(self, *, within: float = CATCHING_UP) -> None:
        """Send one event more, and wait until that is acted on and nothing follows it."""
        until(lambda: post(self.place.port, [LAST]) is not None, "the last event is taken", within=within)
        until(
            lambda: any(call["id"] == "last" for call in acted(self.place)),
            "the last event is acted on",
            within=within,
        )
        seen, since = len(acted(self.place)), time.monotonic()
        while time.monotonic() - since < QUIET:
            time.sleep(0.2)
            if (now := len(acted(self.place))) != seen:
                seen, since = now, time.monotonic()

    def kill(self) -> None:
        """End it and whatever it started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)

    def away(self) -> None:
        """See that it is gone, whatever happened."""
        if self._process.poll() is None:
            self.kill()
