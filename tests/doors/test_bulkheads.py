"""A call that may not be made twice waits for its place, and `mdl run` is killed twice."""

import signal
from pathlib import Path

import pytest

from orchestrator.journal import own
from tests.doors.places import Place, until

MODULE = '''
import asyncio
from pathlib import Path
from orchestrator.act.action import action

@action
async def pay(id: str) -> str:
    """Pay, and answer once a file is there."""
    with open("paid", "a") as paid:
        paid.write(id + "\\n")
    while not Path("open").exists():
        await asyncio.sleep(0.02)
    return id
'''
BANK = """
[http]
port = 0
[mcpServers.bank]
module = "bank"
trust = true
at_once = 1
timeout = "60s"
[[goals]]
id = "pays"
text = "Pay."
on = ["pay"]
do = [{ tool = "bank.pay", args = { id = "=event.subject" } }]
"""


@pytest.mark.timeout(90)
def test_what_waited_is_paid_once_over_two_kills(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", BANK)
    (place.folder / "bank.py").write_text(MODULE, encoding="utf-8")
    paid = place.folder / "paid"

    def killed(awaited: list[str], *, waiting: int) -> None:
        with place.running() as loop:
            if not place.events("pay"):
                for subject in ("1", "2"):
                    place.mdl("emit", "pay", "--subject", subject)
            until(lambda: paid.exists() and paid.read_text().split() == awaited, f"{awaited} are called")
            until(lambda: len(place.events(own.WAITING)) == waiting, "the other waits")
            loop.process.send_signal(signal.SIGKILL)
            loop.process.wait()

    killed(["1"], waiting=1)
    killed(["1", "2"], waiting=1)
    (place.folder / "open").touch()
    with place.running():
        until(lambda: len(place.events(f"{own.ACTION}unknown")) == 2, "both are in doubt")
    assert paid.read_text().split() == ["1", "2"]
