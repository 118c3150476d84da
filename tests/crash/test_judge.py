"""The judge, judged: histories told by hand, one that is sound and the faults it has to see in others."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.crash.history import Entry, History, Life, Line
from tests.crash.judge import judge, summary
from tests.crash.place import BUDGET, COUNT

KEY, SOURCE = "web/0/0", "crash:web/0"
PIDS = {1: 101, 2: 102, 3: 103}


@dataclass
class Story:
    """A history that is told step by step. Actions are named by the event they are for."""

    entries: list[Entry] = field(default_factory=list[Entry])
    lives: list[Life] = field(default_factory=list[Life])
    posted: list[Line] = field(default_factory=list[Line])
    rows: list[Line] = field(default_factory=list[Line])
    answers: list[Line] = field(default_factory=list[Line])
    calls: list[Line] = field(default_factory=list[Line])

    @property
    def history(self) -> History:
        lives = [*self.lives, Life(len(self.lives) + 1, PIDS[len(self.lives) + 1], len(self.entries), killed=False)]
        ledgers = (self.posted, self.rows, self.answers, self.calls)
        lines = [[{**one, "line": number} for number, one in enumerate(ledger, 1)] for ledger in ledgers]
        return History(self.entries, lives, len(self.entries), *lines)

    @property
    def faults(self) -> set[str]:
        return {violation.fault for violation in judge(self.history)}

    def add(
        self, kind: str, type_: str, id_: str, body: Any, *, key: str = KEY, source: str = "", cause: int = 0
    ) -> int:
        position = len(self.entries) + 1
        self.entries.append(Entry(position, kind, type_, key, id_, source, cause, body))
        return position

    def post(self, id_: str, type_: str = "web.safe", *, stored: bool = True) -> int:
        """An event that is sent, stored and acknowledged."""
        self.posted.append({"what": "acknowledged", "events": [{"source": SOURCE, "id": id_, "key": KEY}]})
        return self.add("event", type_, id_, {"data": {"n": 1}}, source=SOURCE) if stored else 0

    def turn(self, event: int, goal: str, *tools: str, kind: str = "grant", policy: str = "") -> int:
        """A turn with a plan, whose actions are all judged alike."""
        id_ = self.entries[event - 1].id
        actions = [
            {"id": f"{id_}.{step}", "goal": f"{goal}@1", "tool": f"{tool}.put", "arguments": {"id": id_}}
            for step, tool in enumerate(tools)
        ]
        judged = [{"action": action["id"], "kind": kind, "policy": policy} for action in actions]
        decision = {"goal": f"{goal}@1", "verdict": "act", "actions": actions}
        return self.add("turn", "", id_, {"decisions": [decision], "judgements": judged}, cause=event)

    def call(self, action: str, tool: str = "safe", *, life: int = 1, ends: bool = True) -> None:
        facts = {"action": action, "tool": f"{tool}.put", "id": action.partition(".")[0], "loop": PIDS[life]}
        self.calls.append({"what": "begin", **facts})
        if ends:
            self.calls.append({"what": "end", **facts})

    def outcome(self, action: str, status: str = "succeeded", *, goal: str = "safe", event: int = 0) -> int:
        data = {"action": action, "status": status, "goal": f"{goal}@1", "event": event}
        body = {"data": data}
        return self.add("event", f"dev.mdl.action.{status}", f"{action}/{status}", body, source="mdl:loop")

    def kill(self, head: int | None = None) -> None:
        """A life ends where the journal is now, or stood before."""
        number = len(self.lives) + 1
        self.lives.append(Life(number, PIDS[number], len(self.entries) if head is None else head))

    def done(self) -> "Story":
        """The cursor has come by everything."""
        self.add("cursor", "", "", {"through": len(self.entries)}, key="")
        return self

    def whole(self, id_: str, goal: str = "safe", tool: str = "safe", *, type_: str = "web.safe") -> None:
        """An event, its turn, its call, its outcome."""
        self.turn(self.post(id_, type_), goal, tool)
        self.call(f"{id_}.0", tool)
        self.outcome(f"{id_}.0", goal=goal)


def sound() -> Story:
    story = Story()
    story.whole("a")
    story.whole("b")
    return story.done()


def in_flight(tool: str, *, before: Callable[[Story], None] = lambda _: None) -> Story:
    """A story whose first life was killed while its only call ran."""
    story = Story()
    story.turn(story.post("a", f"web.{tool}"), tool, tool)
    before(story)
    story.call("a.0", tool, ends=False)
    story.kill()
    return story


def test_a_sound_history_is_accepted() -> None:
    assert not judge(sound().history)
    numbers = {"kills": 0, "acknowledged": 2, "lost": 0, "doubled": 0, "in_flight": 0}
    assert summary(sound().history, []) == numbers


def test_a_safe_call_that_was_in_flight_may_be_made_again() -> None:
    story = in_flight("safe")
    story.call("a.0", life=2)
    story.outcome("a.0")
    assert not story.done().faults
    assert summary(story.history, [])["in_flight"] == 1


def test_an_unsafe_call_that_was_in_flight_is_unknown_and_stays_alone() -> None:
    story = in_flight("unsafe")
    story.outcome("a.0", "unknown", goal="unsafe")
    assert not story.done().faults


def test_an_event_that_was_sent_and_never_acknowledged_may_be_missing() -> None:
    story = sound()
    story.posted.append({"what": "sent", "events": [{"source": SOURCE, "id": "z", "key": KEY}]})
    assert not story.faults


def test_an_acknowledged_event_that_is_not_in_the_journal_is_lost() -> None:
    story = sound()
    story.post("c", stored=False)
    assert story.faults == {"lost"}
    (violation,) = judge(story.history)
    assert "event c of crash:web/0, acknowledged on line 3 of posted, is not in the journal" in str(violation)


def test_a_committed_row_that_is_not_in_the_journal_is_lost() -> None:
    story = sound()
    story.rows.append({"what": "committed", "rows": [[7, "row/1"]]})
    assert story.faults == {"lost"}


def test_an_event_without_a_turn_is_lost_where_its_goal_had_to_fire() -> None:
    story = Story()
    story.post("a")
    assert story.done().faults == {"lost"}


def test_an_event_behind_the_cursor_is_lost_even_where_no_goal_wants_it() -> None:
    story = sound()
    story.post("c", "web.nothing")
    assert story.faults == {"lost"}


def test_an_event_that_is_stored_twice_or_has_two_turns_is_doubled() -> None:
    stored, turned = sound(), sound()
    stored.add("event", "web.nothing", "a", {"data": {}}, source=SOURCE)
    assert stored.done().faults == {"doubled"}
    turned.turn(1, "safe", "safe")
    assert "doubled" in turned.done().faults


@pytest.mark.parametrize("early", ["event", "turn", "outcome", ""])
def test_a_cursor_that_covers_what_is_not_finished_is_seen_though_nothing_is_lost(early: str) -> None:
    story = Story()

    def cursor(when: str, through: int) -> None:
        if early == when:
            story.add("cursor", "", "", {"through": through}, key="")

    cursor("event", 2)
    event = story.post("a")
    cursor("turn", event)
    story.turn(event, "safe", "safe")
    story.call("a.0")
    cursor("outcome", event)
    story.outcome("a.0")
    assert story.done().faults == ({"cursor"} if early else set())


def test_a_cursor_may_come_by_what_is_parked() -> None:
    story = Story()
    event = story.post("a")
    story.add("event", "dev.mdl.turn.parked", "p", {"data": {"position": event}}, source="mdl:loop")
    story.add("cursor", "", "", {"through": event}, key="")
    story.turn(event, "safe", "safe")
    story.call("a.0")
    story.outcome("a.0")
    assert not story.done().faults


def test_events_of_a_key_in_another_order_than_they_were_sent_are_seen() -> None:
    story = sound()
    story.posted.reverse()
    assert story.faults == {"order"}


def test_turns_and_calls_of_a_key_in_another_order_than_its_events_are_seen() -> None:
    story = Story()
    first, second = story.post("a"), story.post("b")
    for id_, position in (("b", second), ("a", first)):
        story.turn(position, "safe", "safe")
        story.call(f"{id_}.0")
        story.outcome(f"{id_}.0")
    assert story.done().faults == {"order"}
    assert len([one for one in judge(story.history) if one.fault == "order"]) == 2


def test_a_call_that_no_turn_announced_is_seen() -> None:
    story = sound()
    story.call("x.0")
    assert story.faults == {"doubled"}


def test_a_second_call_within_one_life_is_doubled() -> None:
    story = sound()
    story.call("a.0")
    assert story.faults == {"doubled"}


def test_a_second_call_after_a_kill_is_doubled_where_the_outcome_was_stored_before() -> None:
    story = sound()
    story.kill()
    story.call("b.0", life=2)
    assert story.done().faults == {"doubled"}


def test_a_call_in_flight_at_one_kill_of_two_may_not_be_made_after_the_other() -> None:
    story = in_flight("safe")
    story.call("a.0", life=2)
    story.outcome("a.0")
    story.kill()
    story.call("a.0", life=3)
    assert story.done().faults == {"doubled"}


def test_a_second_call_of_an_unsafe_tool_is_doubled_even_in_flight() -> None:
    story = in_flight("unsafe")
    story.call("a.0", "unsafe", life=2)
    story.outcome("a.0", "unknown", goal="unsafe")
    assert story.done().faults == {"doubled"}


@pytest.mark.parametrize(("tool", "status"), [("unsafe", "succeeded"), ("safe", "unknown"), ("safe", "failed")])
def test_a_wrong_outcome_of_a_call_in_flight_is_seen(tool: str, status: str) -> None:
    story = in_flight(tool)
    if tool == "safe" or status == "succeeded":
        story.calls.append({**story.calls[0], "what": "end"})
    story.outcome("a.0", status, goal="safe")
    assert story.done().faults == {"outcome"}


def test_an_unknown_outcome_of_a_call_that_was_in_flight_at_no_kill_is_seen() -> None:
    story = Story()
    story.turn(story.post("a", "web.unsafe"), "unsafe", "unsafe")
    story.call("a.0", "unsafe")
    story.outcome("a.0", "unknown", goal="unsafe")
    assert story.done().faults == {"outcome"}


def test_a_call_that_is_said_to_have_succeeded_and_was_never_made_is_lost() -> None:
    story = sound()
    del story.calls[2:]
    assert story.faults == {"lost"}


def test_an_announced_call_without_an_outcome_is_lost() -> None:
    assert in_flight("safe").done().faults == {"lost"}


def test_two_outcomes_of_one_action_are_doubled() -> None:
    story = sound()
    story.outcome("b.0")
    assert story.done().faults == {"doubled"}


def test_a_plan_that_went_on_behind_a_step_that_is_unknown_is_seen() -> None:
    for goes_on in (False, True):
        story = Story()
        event = story.post("a", "web.plan")
        story.turn(event, "plan", "unsafe", "safe", "safe")
        story.call("a.0", "unsafe", ends=False)
        story.kill()
        story.outcome("a.0", "unknown", goal="plan")
        if goes_on:
            story.add("intent", "", "a.1", {}, cause=event)
            story.call("a.1", life=2)
            story.outcome("a.1", goal="plan")
        assert story.done().faults == ({"doubled"} if goes_on else set())


def test_a_plan_that_stopped_behind_a_step_that_succeeded_is_lost() -> None:
    story = Story()
    story.turn(story.post("a", "web.plan"), "plan", "safe", "safe", "safe")
    story.call("a.0")
    story.outcome("a.0", goal="plan")
    assert story.done().faults == {"lost"}


@pytest.mark.parametrize(("fires_at", "faults"), [(COUNT, set[str]()), (COUNT - 1, {"window"}), (0, {"window"})])
def test_a_window_that_lost_or_doubled_a_hit_is_seen(fires_at: int, faults: set[str]) -> None:
    story = Story()
    for number in range(1, COUNT + 1):
        if number == fires_at:
            story.whole(str(number), "count", type_="web.count")
        else:
            story.turn(story.post(str(number), "web.count"), "count")
    assert story.done().faults == faults


@pytest.mark.parametrize(
    ("granted", "faults"), [(BUDGET, set[str]()), (BUDGET - 1, {"budget"}), (BUDGET + 1, {"budget"})]
)
def test_a_budget_that_was_counted_twice_or_not_at_all_is_seen(granted: int, faults: set[str]) -> None:
    story = Story()
    for number in range(BUDGET + 3):
        id_ = str(number)
        if number < granted:
            story.whole(id_, "budget", type_="web.budget")
        else:
            event = story.post(id_, "web.budget")
            story.turn(event, "budget", "safe", kind="deny", policy="budget")
            story.outcome(f"{id_}.0", "refused", goal="budget", event=event)
    assert story.done().faults == faults


@pytest.mark.parametrize(("second", "faults"), [(1, set[str]()), (0, {"budget"}), (2, {"budget"})])
def test_a_spent_action_that_is_forgotten_or_counted_twice_is_seen(second: int, faults: set[str]) -> None:
    story = Story()
    for id_, spent in (("a", 0), ("b", second)):
        story.whole(id_, "read", "read", type_="web.read")
        (judgement,) = story.entries[-2].body["judgements"]
        judgement["situation"] = {"budget_spent": spent}
    assert story.done().faults == faults


def approved(*, asked: bool = True, verdict: str = "granted", called: bool = True) -> Story:
    story = Story()
    story.turn(story.post("a", "web.approve"), "approve", "unsafe", kind="approval")
    if asked:
        story.add("event", "dev.mdl.approval.requested", "r", {"data": {"action": "a.0"}}, source="mdl:loop")
    story.answers.append({"what": "answered", "action": "a.0", "verdict": verdict})
    answer = story.add("event", f"dev.mdl.approval.{verdict}", "a", {"data": {"action": "a.0"}}, source="mdl:loop")
    if called:
        story.turn(answer, "approve", "unsafe")
        story.call("a.0", "unsafe")
        story.outcome("a.0", goal="approve")
    return story.done()


def test_an_approval_counts_once_and_only_where_it_was_given() -> None:
    assert not approved().faults
    assert not approved(verdict="denied", called=False).faults
    assert approved(called=False).faults == {"lost"}
    assert approved(asked=False).faults == {"lost"}
    assert approved(verdict="denied").faults == {"approval"}
    unheard = approved()
    unheard.answers.append({"what": "answered", "action": "b.0", "verdict": "granted"})
    assert unheard.faults == {"lost"}


def test_an_outcome_nobody_heard_of_is_lost() -> None:
    story = Story()
    story.whole("a", "unsafe", "unsafe", type_="web.unsafe")
    assert story.done().faults == {"lost"}
    heard = Story()
    heard.whole("a", "unsafe", "unsafe", type_="web.unsafe")
    heard.turn(len(heard.entries), "echo", "safe")
    heard.entries[-1] = replace(heard.entries[-1], body=_renamed(heard.entries[-1].body))
    heard.call("echo.0")
    heard.outcome("echo.0", goal="echo")
    assert not heard.done().faults


def _renamed(turn: dict[str, Any]) -> dict[str, Any]:
    (decision,) = turn["decisions"]
    (action,) = decision["actions"]
    named = {**action, "id": "echo.0", "arguments": {"id": "echo"}}
    judged = [{**turn["judgements"][0], "action": "echo.0"}]
    return {"decisions": [{**decision, "actions": [named]}], "judgements": judged}


@pytest.mark.parametrize(("missed", "faults"), [(1, set[str]()), (0, {"timer"})])
def test_a_tick_nobody_accounts_for_is_seen(missed: int, faults: set[str]) -> None:
    story = Story()
    for tick, (second, before) in enumerate((("00", 0), ("01", missed))):
        id_ = f"2026-11-21T00:00:{second}Z"
        event = story.add("event", "timer.pulse", id_, {"data": {"missed": before}}, key=id_, source="timer:pulse")
        story.turn(event, "tick", "read")
        assert tick == len(story.calls) // 2
        story.call(f"{id_}.0", "read")
        story.outcome(f"{id_}.0", goal="tick")
    assert story.done().faults == faults
