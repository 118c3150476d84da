"""The taint: a value from outside enters a sink only by the owner's own CEL, or by literals in `may`."""

import pytest
from msgspec.structs import replace

from orchestrator.clock import utc
from orchestrator.guard.policy import Case
from orchestrator.guard.taint import taint
from orchestrator.types import (
    Action,
    Call,
    DecidedBy,
    Decision,
    Event,
    Goal,
    GoalVersion,
    Json,
    May,
    SinkKind,
    Situation,
)

NOW = 1_800_000_000.0
SINKS: dict[str, dict[str, SinkKind]] = {
    "pay.transfer": {"to": "recipient", "amount": "amount"},
    "web.post": {"url": "url"},
    "shell.run": {"command": "shell"},
}
EVENT = Event(
    id="1",
    source="/shop",
    type="shop.refund.asked",
    time=utc(NOW),
    data={"to": "acct-7", "amount": 50, "other": "acct-666", "cmd": "reboot"},
)
REFUND = Goal(
    id="refund",
    text="Pay refunds.",
    do=(Call("pay.transfer", {"to": "=event.data.to", "amount": "=event.data.amount"}),),
)


def refused(
    goal: Goal,
    tool: str = "pay.transfer",
    *,
    by: DecidedBy = "model",
    unnamed: tuple[str, ...] = (),
    let: dict[str, Json] | None = None,
    **arguments: Json,
) -> str | None:
    version = GoalVersion(goal=goal, version=1, home="settings")
    action = Action.of(EVENT, version.name, step="0", tool=tool, arguments=arguments)
    decision = Decision(goal=version.name, verdict="act", actions=(action,), decided_by=by)
    situation = Situation(now=NOW, sinks=SINKS.get(tool), unnamed=unnamed)
    refusal = taint(Case(action, decision, version, EVENT, situation, let or {}))
    assert refusal is None or (refusal.kind, refusal.policy) == ("deny", "taint")
    return refusal and refusal.reason


def test_what_the_owners_expression_gives_passes_whoever_planned_it() -> None:
    assert refused(REFUND, by="compiled", to="acct-7", amount=50) is None
    assert refused(REFUND, to="acct-7", amount=50) is None
    assert refused(REFUND, by="fallback", to="acct-7", amount=50.0) == refused(REFUND, to="acct-7", amount=50.0)


@pytest.mark.parametrize(
    "arguments", [{"to": "acct-666", "amount": 50}, {"to": "acct-7", "amount": 5000}, {"to": 7, "amount": 50}]
)
@pytest.mark.promise("leave:taint")
def test_another_value_does_not_pass_in_any_spelling(arguments: dict[str, Json]) -> None:
    assert "neither what the goal's `do` gives" in str(refused(REFUND, **arguments))


def test_values_of_two_steps_are_not_mixed() -> None:
    steps = (
        Call("pay.transfer", {"to": "acct-a", "amount": 1}),
        Call("pay.transfer", {"to": "acct-b", "amount": 9000}),
    )
    goal = replace(REFUND, do=steps)
    assert refused(goal, to="acct-a", amount=1) is None
    assert refused(goal, to="acct-b", amount=9000) is None
    assert refused(goal, to="acct-a", amount=9000) is not None


def test_the_owners_value_for_one_tool_is_none_for_another() -> None:
    goal = Goal(id="g", text="t", do=(Call("mail.send", {"url": "=event.data.to"}),), may=("web.post",))
    assert refused(goal, "web.post", url="acct-7") is not None


def test_a_literal_in_may_lets_in_exactly_that_value() -> None:
    when = "args.to == 'acct-a' && args.amount in [800.0, 900.0]"
    goal = Goal(id="g", text="t", may=(May("pay.*", when),))
    assert refused(goal, to="acct-a", amount=900) is None
    assert refused(goal, to="acct-a", amount=901) is not None
    assert refused(replace(goal, may=("pay.*", May("web.*", when))), to="acct-a", amount=900) is not None
    assert refused(replace(goal, may=(May("pay.*", "args.to.startsWith('acct-a')"),)), to="acct-a") is not None


def test_a_literal_lets_nothing_in_where_its_condition_does_not_hold() -> None:
    goal = Goal(id="g", text="t", may=(May("pay.*", "args.to == 'acct-a' && event.type == 'other'"), "pay.transfer"))
    assert refused(goal, to="acct-a") is not None


def test_an_argument_may_be_the_owners_and_another_a_literal() -> None:
    goal = replace(REFUND, may=(May("pay.transfer", "args.amount in [5.0]"),))
    assert refused(goal, to="acct-7", amount=5) is None
    assert refused(goal, to="acct-666", amount=5) is not None


def test_the_owners_own_value_still_has_its_shape() -> None:
    goal = Goal(id="g", text="t", do=(Call("shell.run", {"command": "=event.data.cmd"}),))
    assert "all of what is run" in str(refused(goal, "shell.run", by="compiled", command="reboot"))
    allowed = replace(goal, may=(May("shell.run", "args.command in ['reboot']"),))
    assert refused(allowed, "shell.run", by="compiled", command="reboot") is None


def test_what_a_let_gave_is_tainted_too() -> None:
    goal = Goal(id="g", text="t", do=(Call("pay.transfer", {"to": "=known.account", "amount": 5}),))
    assert refused(goal, let={"known": {"account": "acct-1"}}, to="acct-1", amount=5) is None
    assert refused(goal, let={"known": {"account": "acct 1"}}, to="acct 1", amount=5) is not None
    assert refused(goal, let={"known": {"account": "acct-1"}}, to="acct-2", amount=5) is not None
    assert refused(goal, to="acct-1", amount=5) is not None, "nothing was given"


def test_a_planner_gives_no_argument_that_the_tool_does_not_name() -> None:
    goal = Goal(id="g", text="t", may=("crm.lookup",), do=(Call("crm.lookup", {"id": "7", "note": "=event.id"}),))
    assert "names no such argument" in str(refused(goal, "crm.lookup", unnamed=("bcc",), id="7", bcc="m"))
    assert refused(goal, "crm.lookup", unnamed=("note",), id="8", note="1") is None, "the owner gave it"
    assert refused(goal, "crm.lookup", unnamed=("note",), id="8", note="2") is not None


def test_a_tool_without_sinks_takes_what_it_is_given() -> None:
    assert refused(Goal(id="g", text="t", may=("notes.add",)), "notes.add", text=EVENT.data) is None
