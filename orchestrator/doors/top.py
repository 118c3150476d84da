"""`mdl top`: what the running loop does, looked at once a second. It asks the control socket and reads no journal.

Rates are per second over the last few looks, everything else is as it stands.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.live import Live

from orchestrator.doors.top_views import Rates, View, lines, picture
from orchestrator.errors import JournalError, MDLError
from orchestrator.figures import Figures
from orchestrator.journal.control_socket import ControlClient
from orchestrator.journal.remote import SOCKET
from orchestrator.settings import load

EVERY = 1.0
"""Seconds between two looks."""

LOOKS = 6
"""Looks that a rate is over."""

PATIENCE = 10.0
"""Seconds the loop has to answer."""


class Recent:
    """The last few looks at one loop."""

    def __init__(self) -> None:
        """Begin with none."""
        self._looks = deque[Figures](maxlen=LOOKS)

    def add(self, found: Figures) -> View:
        """Add a look; one at a loop that began anew is the first."""
        if self._looks and found.seconds < self._looks[-1].seconds:
            self._looks.clear()
        self._looks.append(found)
        return View(rates(self._looks[0], found), found)


def rates(before: Figures, now: Figures) -> Rates:
    """What was added between two looks, per second; nothing where both are the same."""
    seconds, old, new = now.seconds - before.seconds, before.totals, now.totals

    def rate(added: int) -> float:
        return round(added / seconds, 2) if seconds else 0.0

    return Rates(
        seconds=round(seconds, 3),
        events=rate(new.events - old.events),
        turns=rate(new.turns - old.turns),
        actions={status: rate(count - old.actions.get(status, 0)) for status, count in new.actions.items()},
    )


async def run_top(file: Path, *, once: bool, as_json: bool) -> None:
    """Look until cancelled; or once, for which it takes two, since a rate lies between them.

    Raises:
        SettingsError: the file cannot be used.
        MDLError: no loop runs, or it has ended.
    """
    settings = load(file)
    client = ControlClient(settings.path(settings.journal.path).with_name(SOCKET), timeout=PATIENCE)
    with _shown(once=once, as_json=as_json) as show:
        async with aclosing(looks(client)) as views:
            async for view in views:
                if once and not view.rates.seconds:
                    continue
                show(view)
                if once:
                    return


async def looks(client: ControlClient) -> AsyncGenerator[View]:
    """What the loop that answers says of itself, every second.

    Raises:
        MDLError: no loop runs, or it has ended.
    """
    recent = Recent()
    while True:
        try:
            answer = await client.call("figures")
        except JournalError as error:  # nobody wanted the journal: a loop that does not run is one that is not found
            raise MDLError(str(error)) from error
        yield recent.add(msgspec.convert(answer, Figures))
        await asyncio.sleep(EVERY)


@contextmanager
def _shown(*, once: bool, as_json: bool) -> Generator[Callable[[View], None]]:
    console = Console(highlight=False, markup=False, emoji=False)
    if as_json:
        yield lambda view: print(json.dumps(msgspec.to_builtins(view), ensure_ascii=False), flush=True)
    elif once or not console.is_terminal:
        yield lambda view: console.print(picture(view, width=console.width))
    else:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda view: live.update(picture(view, width=console.width, rows=lines(console.height)), refresh=True)
