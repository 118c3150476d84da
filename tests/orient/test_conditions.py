from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.decide.decision import decide_compiled
from orchestrator.decide.planner import Question
from orchestrator.errors import GoalError
from orchestrator.expressions import compile_condition, event_variables
from orchestrator.orient.conditions import Complaint, check_fields, compile_goal, key_of, outcome
from orchestrator.shapes import declared_fields
from orchestrator.types import Call, Event, Goal, GoalVersion, Json, May, Rate, Touch, Want, Window


def a_goal(*on: str, **fields: Any) -> Goal:
    return Goal(id="refund-abuse", text="Freeze abusers.", on=on or ("shop.refund.requested",), **fields)


EVENT = Event(id="1", source="s", type="shop.refund.requested", time=datetime(2026, 1, 1, tzinfo=UTC))


def variables(data: Json, subject: str | None = "u55") -> dict[str, Json]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return event_variables(Event(id="1", source="s", type="t", time=at, data=data, subject=subject))


WHOLE = a_goal(
    when="event.data.amount > limit.max && risk.value > 0.8",
    let={
        "account": Call("records.get", {"id": "=event.subject"}),
        "limit": Call("records.get", {"tier": "=account.tier"}),
        "risk": Call("formula.risk", {"amount": "=event.data.amount"}),
        "note": Call("records.get", {"of": "=[risk.value, limit.max]"}),
    },
    window=Window(count=3, within="1h", by="[event.subject, event.data.shop]"),
    do=(Call("notify.send", {"text": "='Froze ' + event.subject + note.text"}),),
    may=("notify.*", May("records.*", "args.id == event.subject")),
    want=Want("row.frozen && risk.value > 0.0", see={"row": Call("records.get", {"id": "=account.id"})}),
)


def test_a_whole_goal_compiles_and_its_lets_are_parted_by_what_when_reads() -> None:
    conditions = compile_goal(WHOLE)
    assert conditions.before == ("account", "limit", "risk")
    assert conditions.after == ("note",)
    assert conditions.needs == {
        "account": frozenset(),
        "limit": {"account"},
        "risk": frozenset(),
        "note": {"risk", "limit"},
    }
    assert conditions.window is not None
    assert conditions.by is not None


def test_what_a_goal_does_may_read_its_own_id_and_text_as_the_planner_fills_them() -> None:
    goal = a_goal(do=(Call("notify.send", {"text": "=goal.id + ': ' + goal.text"}),))
    compile_goal(goal)
    assert check_fields(goal, {"shop.refund.requested": ORDER}) == []
    version = GoalVersion(goal=goal, version=1, home="journal")
    (action,) = decide_compiled(Question(EVENT, Touch(goal=version.name), version, ())).actions
    assert action.arguments == {"text": "refund-abuse: Freeze abusers."}


def test_a_goal_without_conditions_holds_always() -> None:
    conditions = compile_goal(a_goal())
    assert (conditions.when, conditions.window, conditions.by, conditions.before) == (None, None, None, ())
    assert outcome(conditions.when, {}) is True


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"when": "event.data.amount >"},
            "`when`: `event.data.amount >` does not compile: it ends too early (column 20)",
        ),
        (
            {"when": "amount > 1.0"},
            "unknown name 'amount' (column 1); known are event; a field of the event is `event.data.",
        ),
        ({"when": "'yes'"}, "`when`: `'yes'` gives string, never true or false"),
        ({"let": {"a": Call("x.y", {"n": {"deep": ["=event.data.("]}})}}, "`let.a.n`: `event.data.(` does not compile"),
        (
            {"let": {"a": Call("x.y", {"n": "=b.v"}), "b": Call("x.y")}},
            "`let.a.n`: `b.v` does not compile: unknown name 'b.v'",
        ),
        ({"let": {"in": Call("x.y")}}, "`in`: `in` does not compile"),
        ({"let": {"event": Call("x.y")}}, "`event`: `event` cannot be a variable"),
        ({"let": {"goal": Call("x.y")}}, "`goal`: `goal` cannot be a variable"),
        ({"want": Want("true", see={"goal": Call("x.y")})}, "`goal`: `goal` cannot be a variable"),
        ({"when": "goal.id == 'g'"}, "`when`: `goal.id == 'g'` does not compile: unknown name 'goal.id'"),
        ({"do": (Call("x.y", {"n": "=goal.name"}),)}, "`goal.name`: a goal has `id` and `text`, and no `name`"),
        ({"let": {"a b": Call("x.y")}}, "`a b`: `a b` cannot be a variable"),
        ({"window": Window(count=2, within="1h", by="evnt.subject")}, "`window.by`: `evnt.subject` does not compile"),
        ({"window": Window(count=2)}, "`window.count`: `count` is 2, but within which time?"),
        ({"want": Want("row.ok")}, "`want.holds`: `row.ok` does not compile: unknown name 'row.ok'"),
        ({"want": Want("true", within="soon")}, "`want.within`: `soon` is no duration"),
        ({"want": Want("true", see={"row": Call("x.y", {"n": "=1 +"})})}, "`want.see.row.n`: `1 +` does not compile"),
        ({"do": (Call("x.y", {"n": "=foo(1)"}),)}, "`do.1.n`: `foo(1)` does not compile: unknown name 'foo'"),
        ({"may": ("x.y", May("x.z", "arg.n > 1.0"))}, "`may.2.when`: `arg.n > 1.0` does not compile"),
        ({"rate": Rate(per="1 hour")}, "`rate.per`: `1 hour` is no duration"),
        ({"fresh": "0s"}, "`fresh`: `0s` is no time at all"),
    ],
)
def test_a_goal_that_does_not_compile_is_refused_by_goal_field_and_reason(fields: dict[str, Json], reason: str) -> None:
    with pytest.raises(GoalError) as refused:
        compile_goal(a_goal(**fields))
    assert str(refused.value).startswith("goal `refund-abuse`: `")
    assert reason in str(refused.value)


def test_an_error_is_an_outcome_of_its_own() -> None:
    condition = compile_condition("event.data.amount > 100.0", ("event",))
    assert outcome(condition, variables({"amount": 120})) is True
    assert outcome(condition, variables({"amount": 20})) is False
    assert outcome(condition, variables({})) == "`event.data.amount > 100.0`: `event.data.amount` is missing"


def test_a_window_is_kept_by_subject_unless_said_otherwise() -> None:
    by_subject = compile_goal(a_goal(window=Window(once_within="1h")))
    assert key_of(by_subject, variables({})) == '"u55"'
    assert key_of(by_subject, variables({}, subject=None)) == "null"
    assert key_of(compile_goal(WHOLE), variables({"shop": 7.0})) == '["u55",7]'


CUSTOMER: Json = {"properties": {"id": {}}}
ORDER = declared_fields({"properties": {"amount": {"type": "number"}, "customer": CUSTOMER}})
REFUND = frozenset({"amount", "items", "items[]", "items[].price", "reason"})
SHAPES = {"shop.refund.requested": REFUND, "shop.order.placed": ORDER}


def test_a_field_nobody_has_is_an_error_with_a_suggestion() -> None:
    goal = a_goal(
        when="event.data.amuont > 1.0 && event.data.items.exists(i, i.prize > 1.0)",
        do=(Call("x.y", {"id": "=event.data.costumer.id"}),),
    )
    nobody = "which no event of `shop.refund.requested` has"
    assert check_fields(goal, SHAPES) == [
        Complaint("error", f"`when` reads `event.data.amuont`, {nobody}; did you mean `event.data.amount`?"),
        Complaint(
            "error", f"`when` reads `event.data.items[].prize`, {nobody}; did you mean `event.data.items[].price`?"
        ),
        Complaint("error", f"`do.1.id` reads `event.data.costumer.id`, {nobody}"),
    ]


@pytest.mark.parametrize(
    "goal",
    [
        WHOLE,
        a_goal(when="event.data.amount > 1.0 && event.data.items[0].price > event.data['amount']"),
        a_goal("shop.*", when="event.data.reason == 'x' || event.data.customer.id.name == 'y'"),
        Goal(id="by-meaning", text="t", when="event.data.anything == 1.0"),
    ],
)
def test_a_field_that_some_type_has_is_fine(goal: Goal) -> None:
    shapes = {**SHAPES, "shop.refund.requested": REFUND | {"shop"}}
    assert check_fields(goal, shapes) == []


def test_an_unknown_type_is_a_warning_and_casts_doubt_on_the_fields() -> None:
    goal = a_goal("shop.refund.requestd", "shop.order.placed", when="event.data.reason == 'x'")
    strange, field = check_fields(goal, SHAPES)
    assert strange.severity == "warning"
    assert strange.text.startswith("`on` names `shop.refund.requestd`: no such event has been seen")
    assert strange.text.endswith("; did you mean `shop.refund.requested`?")
    missing = "`when` reads `event.data.reason`, which no event of `shop.order.placed` has"
    assert field == Complaint("warning", missing)
    assert [finding.severity for finding in check_fields(goal, {})] == ["warning", "warning"]


def test_a_field_asked_for_with_has_is_only_a_warning() -> None:
    goal = a_goal(when="has(event.data.discount) && event.data.discount > 1.0")
    assert {finding.severity for finding in check_fields(goal, SHAPES)} == {"warning"}
