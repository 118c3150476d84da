from typing import Any

from msgspec.structs import replace

from orchestrator.clock import utc
from orchestrator.errors import MDLError
from orchestrator.journal.state import State
from orchestrator.orient.index import GoalIndex
from orchestrator.orient.orientation import Oriented, orient, sight
from orchestrator.testing import FakeToolbox
from orchestrator.types import Call, Event, Goal, GoalVersion, Json, Orientation, Touch, Window, WindowState
from orchestrator.windows import fired, hit

AT = 1_800_000_000.0


def version(goal_id: str, *on: str, **fields: Any) -> GoalVersion:
    return GoalVersion(goal=Goal(id=goal_id, text="t", on=on, **fields), version=2, home="settings")


def an_event(data: Json = None, event_type: str = "shop.refund", subject: str | None = "u55") -> Event:
    return Event(id="1", source="s", type=event_type, time=utc(AT), subject=subject, data=data)


class Loop:
    """What keeps window states between events, as the loop and the journal's projections do."""

    def __init__(self, *goals: GoalVersion, **found: list[Touch]) -> None:
        self.index, self.states = GoalIndex(goals), dict[tuple[str, str], WindowState]()
        self.asked: list[str] = []
        self._found, self._position = found, 0
        self._tools = FakeToolbox({"t.risk": self._risk, "t.history": self._risk})

    async def _risk(self, args: dict[str, Json]) -> Json:
        return {"value": args.get("amount", 0) / 100}

    async def read(self, call: Call) -> Json:
        self.asked.append(call.tool)
        return await self._tools.read(call)

    async def find(self, event: Event) -> list[Touch]:
        return self._found.get(event.type, [])

    async def orient(self, event: Event, *, at: float = AT) -> Oriented:
        self._position += 1
        oriented = await orient(
            event,
            position=self._position,
            at=at,
            index=self.index,
            states=lambda goal, by: self.states.get((goal, by), WindowState()),
            read=self.read,
            meaning=self if self._found else None,
        )
        for touch in oriented.orientation.touches:
            self._fold(touch, at)
        return oriented

    def _fold(self, touch: Touch, at: float) -> None:
        if touch.by is None:
            return
        kept = touch.goal, touch.by
        window = next(one.conditions.window for one in self.index.on("shop.refund") if one.name == touch.goal)
        assert window is not None
        self.states[kept] = hit(window, self.states.get(kept, WindowState()), position=self._position, at=at)
        if touch.stopped is None:
            self.states[kept] = fired(self.states[kept], position=self._position, at=at)


async def touches(loop: Loop, event: Event, *, at: float = AT) -> list[tuple[str, str | None]]:
    return [(touch.goal, touch.stopped) for touch in (await loop.orient(event, at=at)).orientation.touches]


async def test_an_event_that_no_goal_names_touches_nothing() -> None:
    assert await Loop(version("a", "other")).orient(an_event()) == Oriented(Orientation(1), {})


async def test_when_decides_and_an_error_is_no_match_but_is_told() -> None:
    loop = Loop(
        version("high", "shop.*", when="event.data.amount > 100.0"),
        version("low", "shop.*", when="event.data.amount <= 100.0"),
        version("lost", "shop.*", when="event.data.total > 1.0"),
        version("all", "*"),
    )
    oriented = await loop.orient(an_event({"amount": 120}))
    assert [touch.goal for touch in oriented.orientation.touches] == ["high@2", "all@2"]
    assert oriented.orientation.touches[0].reason == "`event.data.amount > 100.0` holds"
    assert oriented.errors == {"lost@2": "`event.data.total > 1.0`: `event.data.total` is missing"}


async def test_a_let_that_when_reads_comes_before_it_and_others_only_after_it_held() -> None:
    lets = {"risk": Call("t.risk", {"amount": "=event.data.amount"}), "history": Call("t.history")}
    loop = Loop(version("g", "shop.*", when="risk.value > 1.0", let=lets))
    assert (await loop.orient(an_event({"amount": 50}))).orientation.touches == ()
    assert loop.asked == ["t.risk"]
    (touch,) = (await loop.orient(an_event({"amount": 120}))).orientation.touches
    assert touch.let == {"risk": {"value": 1.2}, "history": {"value": 0}}
    assert loop.asked == ["t.risk", "t.risk", "t.history"]


async def test_goals_with_the_same_let_ask_once_per_event() -> None:
    lets = {"risk": Call("t.risk", {"amount": "=event.data.amount"})}
    loop = Loop(version("a", "shop.*", let=lets), version("b", "shop.*", when="risk.value > 1.0", let=lets))
    assert len(await touches(loop, an_event({"amount": 120}))) == 2
    assert loop.asked == ["t.risk"]


async def test_a_let_that_fails_is_a_near_miss() -> None:
    loop = Loop(
        version("before", "shop.*", when="gone.value > 1.0", let={"gone": Call("t.nowhere")}),
        version("after", "shop.*", let={"gone": Call("t.nowhere")}),
    )
    stopped = "`let.gone` (t.nowhere): no tool `t.nowhere`"
    assert await touches(loop, an_event()) == [("before@2", stopped), ("after@2", stopped)]


async def test_a_window_counts_for_each_key_and_says_where_it_stands() -> None:
    loop = Loop(version("g", "shop.*", window=Window(count=3, within="1h", once_within="1d")))
    assert await touches(loop, an_event()) == [("g@2", "1 of 3 within 1h")]
    assert await touches(loop, an_event(subject="other")) == [("g@2", "1 of 3 within 1h")]
    assert await touches(loop, an_event(), at=AT + 10) == [("g@2", "2 of 3 within 1h")]
    (fires,) = (await loop.orient(an_event(), at=AT + 20)).orientation.touches
    assert fires == Touch(goal="g@2", by='"u55"', reason="`on` names it; 3 of 3 within 1h")
    for _ in range(2):
        await loop.orient(an_event(), at=AT + 30)
    assert await touches(loop, an_event(), at=AT + 60) == [("g@2", "fired 40s ago, at most once per 1d")]


async def test_only_what_when_let_through_is_counted() -> None:
    loop = Loop(version("g", "shop.*", when="event.data.amount > 100.0", window=Window(count=2, within="1h")))
    assert await touches(loop, an_event({"amount": 120})) == [("g@2", "1 of 2 within 1h")]
    assert await touches(loop, an_event({"amount": 20})) == []
    assert await touches(loop, an_event({"amount": 120})) == [("g@2", None)]


async def test_a_key_without_a_value_is_a_near_miss_that_counts_nowhere() -> None:
    loop = Loop(version("g", "shop.*", window=Window(count=2, within="1h", by="event.data.shop")))
    assert await touches(loop, an_event({})) == [("g@2", "`event.data.shop`: `event.data.shop` is missing")]
    assert loop.states == {}


async def test_goals_found_by_meaning_are_asked_their_conditions_too_and_come_by_fit() -> None:
    found = [
        Touch(goal="likely@2", fit=0.6, found_by="meaning", reason="0.60"),
        Touch(goal="unsure@2", fit=0.3, found_by="meaning", stopped="unsure 0.30"),
        Touch(goal="no@2", fit=0.9, found_by="meaning"),
        Touch(goal="unsure-no@2", fit=0.3, found_by="meaning", stopped="unsure 0.30"),
        Touch(goal="removed@2", fit=0.9, found_by="meaning"),
    ]
    loop = Loop(
        version("likely", let={"risk": Call("t.risk")}),
        version("unsure", let={"gone": Call("t.nowhere")}),
        version("no", when="event.data.amount > 100.0"),
        version("unsure-no", when="event.data.amount > 100.0"),
        version("named", "mail.*"),
        **{"mail.received": found},
    )
    event = an_event({"amount": 1}, "mail.received")
    assert await touches(loop, event) == [("named@2", None), ("likely@2", None), ("unsure@2", "unsure 0.30")]


async def test_where_meaning_is_unsure_the_goal_says_whether_it_is_a_near_miss() -> None:
    found = [
        Touch(goal=name, fit=0.3, found_by="meaning", stopped="unsure 0.30", unsure=True) for name in ("s@2", "c@2")
    ]
    loop = Loop(version("s", unsure="skip"), version("c", unsure="clarify"), **{"mail.received": found})
    assert await touches(loop, an_event(event_type="mail.received")) == [("s@2", "unsure 0.30"), ("c@2", None)]


async def test_the_loops_own_events_are_not_found_by_meaning() -> None:
    found = [Touch(goal="g@2", fit=0.9, found_by="meaning")]
    loop = Loop(version("g"), **{"dev.mdl.action.failed": found, "mail.received": found})
    assert await touches(loop, an_event(event_type="dev.mdl.action.failed")) == []
    assert await touches(loop, an_event(event_type="mail.received")) == [("g@2", None)]


async def test_where_meaning_cannot_be_asked_goals_that_name_the_type_still_hear_of_it() -> None:
    class Broken(Loop):
        async def find(self, event: Event) -> list[Touch]:
            raise MDLError(f"the index is away, {event.type} was not looked up")

    loop = Broken(version("meant"), version("named", "mail.*"), **{"mail.received": list[Touch]()})
    oriented = await loop.orient(an_event(None, "mail.received"))
    assert [touch.goal for touch in oriented.orientation.touches] == ["named@2"]
    assert oriented.errors == {"meant@2": "the index is away, mail.received was not looked up"}


async def test_what_something_else_stops_asks_no_later_let_and_counts_in_no_window() -> None:
    lets = {"risk": Call("t.risk"), "history": Call("t.history")}
    window = Window(count=1, within="1h")
    loop = Loop(version("g", "shop.*", when="risk.value < 1.0", let=lets, window=window), version("h", "shop.*"))
    sighting = sight(an_event(), index=loop.index)
    assert sighting is not None
    sighting.stop(lambda goal: "too old" if goal.id == "g" else None)
    assert list(sighting.windows()) == []
    await sighting.fill(loop.read)
    stopped, free = sighting.weigh(State().window, position=1, at=AT)
    assert (stopped.stopped, stopped.by, stopped.let, free.stopped) == ("too old", None, {"risk": {"value": 0}}, None)
    assert loop.asked == ["t.risk"]


async def test_the_windows_of_an_event_are_known_before_its_lets_where_they_read_none() -> None:
    lets, window = {"risk": Call("t.risk")}, Window(count=2, within="1h")
    loop = Loop(
        version("subject", "shop.*", let=lets, window=window),
        version("field", "shop.*", window=replace(window, by="event.data.shop")),
        version("let", "shop.*", let=lets, window=replace(window, by="risk.value")),
        version("missing", "shop.*", window=replace(window, by="event.data.nothing")),
        version("false", "shop.*", when="false", window=window),
    )
    sighting = sight(an_event({"shop": "x"}), index=loop.index)
    assert sighting is not None
    assert list(sighting.windows()) == [("subject@2", '"u55"'), ("field@2", '"x"'), ("let@2", None)]
