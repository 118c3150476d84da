"""A goal held against the recent journal: it counts as the loop would, and changes nothing."""

from typing import Any

from msgspec import Struct

from orchestrator.clock import utc
from orchestrator.doors.goal_views import rehearsal_lines
from orchestrator.errors import ToolError
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.times import position_at
from orchestrator.judging import Judging
from orchestrator.limits import Rules
from orchestrator.orienting import Orienting
from orchestrator.replay.rehearse import Rehearsal, rehearse
from orchestrator.testing import FakeToolbox, ManualClock, MemoryJournal
from orchestrator.turn import Stages
from orchestrator.types import Budget, Call, Event, Goal, Json, Rate, Tool, Window

DO = (Call("notify.send", {"text": "='Hi ' + event.subject"}),)


class Trial(Struct):
    """A journal with a clock of its own, and a toolbox that nobody may act through."""

    clock: ManualClock
    journal: MemoryJournal
    toolbox: FakeToolbox

    async def happens(self, *amounts: float, every: float = 60.0, subject: str = "ada") -> None:
        for amount in amounts:
            at = self.clock.now()
            event = Event(
                id=f"{subject}{at}", source="s", type="order", time=utc(at), subject=subject, data={"amount": amount}
            )
            await self.journal.append([event_draft(event)])
            self.clock.advance(every)

    async def tried(self, *, after: int = 0, **fields: Any) -> Rehearsal:
        given: dict[str, Any] = {"id": "g", "text": "t", "on": ("order",), "do": DO, **fields}
        goal = Goal(**given)
        stages = Stages(Orienting(self.toolbox.read), Judging(self.toolbox.tools))
        before = [*self.journal.records]
        found = await rehearse(goal, self.journal, stages, after=after, rules=Rules())
        assert self.journal.records == before
        assert self.toolbox.calls == []
        return found


def a_trial() -> Trial:
    async def risk(args: dict[str, Json]) -> Json:
        return {"value": args["amount"] / 100}

    async def send(_: dict[str, Json]) -> Json:
        raise AssertionError("a rehearsal acts")

    clock = ManualClock()
    described = (Tool(name="notify.send"), Tool(name="risk.of", read_only=True, trusted=True))
    toolbox = FakeToolbox({"risk.of": risk, "notify.send": send}, described=described)
    return Trial(clock, MemoryJournal(clock=clock), toolbox)


async def test_it_counts_what_would_have_fired_and_shows_the_calls() -> None:
    trial = a_trial()
    await trial.happens(50, 150, 250)
    found = await trial.tried(when="event.data.amount > 100.0")
    assert (found.events, found.fired, found.near_misses, found.refused) == (3, 2, 0, 0)
    assert [(firing.position, firing.calls) for firing in found.firings] == [
        (2, (("notify.send", {"text": "Hi ada"}),)),
        (3, (("notify.send", {"text": "Hi ada"}),)),
    ]
    assert rehearsal_lines(found)[0] == "Over the last 3 events it would have fired twice."


async def test_windows_count_as_they_do_in_the_loop() -> None:
    trial = a_trial()
    await trial.happens(*[1] * 7)
    found = await trial.tried(window=Window(count=3, within="1h"))
    assert [firing.position for firing in found.firings] == [3, 6]
    assert (found.fired, found.near_misses) == (2, 5)
    found = await trial.tried(window=Window(once_within="150s"))
    assert [firing.position for firing in found.firings] == [1, 4, 7]
    assert rehearsal_lines(found)[0] == "Over the last 7 events it would have fired 3 times, nearly 4 times."


async def test_windows_keep_their_keys_apart() -> None:
    trial = a_trial()
    for _ in range(2):
        await trial.happens(1, subject="ada")
        await trial.happens(1, subject="bob")
    found = await trial.tried(window=Window(count=2, within="1h"))
    assert [firing.subject for firing in found.firings] == ["ada", "bob"]


async def test_policies_are_asked_as_they_would_have_been_then() -> None:
    trial = a_trial()
    await trial.happens(*[1] * 5)
    found = await trial.tried(budget=Budget(2, per="1d"))
    assert (found.fired, found.refused, found.asked) == (5, 3, 0)
    assert (found.firings[-1].refused or "").startswith("budget: ")
    found = await trial.tried(rate=Rate(1, per="90s"))
    assert found.refused == 2
    found = await trial.tried(approve=("notify.*",))
    assert (found.refused, found.asked) == (0, 5)
    assert rehearsal_lines(found)[0].endswith("fired 5 times; a person would have been asked 5 times.")


async def test_a_let_is_read_and_nothing_else_may_be_called() -> None:
    trial = a_trial()
    await trial.happens(50, 150)
    risky = {"risk": Call("risk.of", {"amount": "=event.data.amount"})}
    assert (await trial.tried(let=risky, when="risk.value > 1.0")).fired == 1
    acting = {"risk": Call("notify.send", {})}
    found = await trial.tried(let=acting, when="risk.value > 1.0")
    assert (found.fired, found.near_misses) == (0, 2)
    try:
        await trial.toolbox.read(Call("notify.send"))
    except ToolError as error:
        assert "not read-only" in str(error)  # noqa: PT017  the fake keeps the promise this test stands on


async def test_errors_are_counted_and_never_match() -> None:
    trial = a_trial()
    await trial.happens(1, 2)
    found = await trial.tried(when="event.data.nothing > 1.0")
    assert found.fired == 0
    assert list(found.errors.values()) == [2]
    assert "2 times an error, so no match" in rehearsal_lines(found)[-1]


async def test_it_begins_where_it_is_told_to() -> None:
    trial = a_trial()
    began = trial.clock.now()
    assert position_at(trial.journal, began) == 0
    await trial.happens(*[1] * 10)
    for seconds, position in ((0, 0), (1, 1), (60, 1), (61, 2), (9999, 10)):
        assert position_at(trial.journal, began + seconds) == position
    assert (await trial.tried(after=7)).events == 3
    assert rehearsal_lines(await trial.tried(after=10)) == ["The journal holds no event to try it on yet."]
