"""Plans: what happened is written down, however long the journal cannot take it."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from orchestrator.errors import JournalBusy, JournalError, JournalFull
from orchestrator.journal.drafts import cursor_draft
from orchestrator.journal.state import State
from orchestrator.judging import Judging
from orchestrator.loop.doubt import Doubt
from orchestrator.loop.lanes import Lanes
from orchestrator.loop.leave import Leave
from orchestrator.loop.plans import Plans, together
from orchestrator.telemetry import Timings
from orchestrator.testing import FakeToolbox, ManualClock, MemoryJournal
from orchestrator.types import Draft, Record


class Refusing(MemoryJournal):
    """A journal that refuses with these errors first."""

    def __init__(self, *errors: JournalError) -> None:
        super().__init__()
        self.errors = list(errors)

    async def append(
        self, drafts: Sequence[Draft], *, positions: Mapping[str, str] | None = None, reserved: bool = False
    ) -> list[Record | None]:
        if self.errors:
            raise self.errors.pop(0)
        return await super().append(drafts, positions=positions, reserved=reserved)


def plans(journal: MemoryJournal) -> Plans:
    toolbox = FakeToolbox({})
    doubt = Doubt(toolbox, lambda _: None)
    clock = ManualClock()
    leave = Leave(journal, State(), Judging(toolbox.tools), clock=clock)
    lanes = Lanes(asyncio.TaskGroup(), width=1)
    return Plans(journal, toolbox, doubt=doubt, leave=leave, lanes=lanes, clock=clock, timings=Timings())


async def test_a_full_or_locked_journal_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.loop.plans.PAUSE", 0.0)
    journal = Refusing(JournalFull("full", retry_after=0), JournalBusy("locked"), JournalFull("full", retry_after=0))
    async with asyncio.timeout(5):
        await plans(journal).record([cursor_draft(7)])
    assert [record.kind for record in journal.records] == ["cursor"]


async def test_what_a_journal_cannot_take_at_all_is_said() -> None:
    with pytest.raises(JournalError, match="closed"):
        await plans(Refusing(JournalError("closed"))).record([cursor_draft(7)])


async def test_plans_that_run_together_all_end_before_the_first_error_is_raised() -> None:
    ended: list[str] = []

    async def bad() -> None:
        raise ZeroDivisionError

    async def good() -> None:
        await asyncio.sleep(0)
        ended.append("good")

    with pytest.raises(ZeroDivisionError):
        await together([bad(), good(), good()])
    assert ended == ["good", "good"]
    await together([])
