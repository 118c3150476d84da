"""Ranking tools by words, and filling arguments by name and type: what is taken, from where, and what stays open."""

from datetime import UTC, datetime

from orchestrator.decide.arguments import Filling, fill, options, sentence
from orchestrator.decide.planner import Question
from orchestrator.decide.ranking import rank, words
from orchestrator.types import Event, Goal, GoalVersion, Json, Tool, Touch

TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def question(data: Json = None, *, let: dict[str, Json] | None = None, subject: str | None = "s/1") -> Question:
    event = Event(id="1", source="s", type="a.b", time=datetime(2027, 1, 1, tzinfo=UTC), subject=subject, data=data)
    goal = GoalVersion(goal=Goal(id="g", text="Tell me"), version=1, home="journal")
    return Question(event, Touch(goal="g@1", let=let or {}), goal, ())


def tool(required: dict[str, Json], optional: dict[str, Json] | None = None, **further: Json) -> Tool:
    schema = {"properties": {**required, **(optional or {})}, "required": list(required), **further}
    return Tool(name="a.tool", input_schema=schema)


def test_names_fit_whatever_their_case_and_separators() -> None:
    for data in ({"account_id": "7"}, {"accountId": "7"}, {"Account-ID": "7"}, {"account": {"id": "7"}}):
        assert fill(tool({"account_id": TEXT}), question(data)) == Filling({"account_id": "7"}, {})


def test_a_value_of_another_type_does_not_fit() -> None:
    assert fill(tool({"amount": NUMBER}), question({"amount": "12"})).open == {
        "amount": "`amount` is neither in the event nor in `let`"
    }
    assert fill(tool({"amount": NUMBER}), question({"amount": True})).open
    assert fill(tool({"amount": {"type": "number", "maximum": 10}}), question({"amount": 12})).open
    assert fill(tool({"side": {"enum": ["buy", "sell"]}}), question({"side": "sell"})).arguments == {"side": "sell"}
    referred = tool({"side": {"$ref": "#/$defs/Side"}}, **{"$defs": {"Side": {"enum": ["buy"]}}})
    assert fill(referred, question({"side": "buy"})).arguments == {"side": "buy"}
    assert fill(tool({"side": {"$ref": "http://elsewhere.test/x"}}), question({"side": "buy"})).open


def test_let_goes_before_data_and_shallow_before_deep_and_new_before_old() -> None:
    assert fill(tool({"risk": NUMBER}), question({"risk": 1}, let={"risk": 2})).arguments == {"risk": 2}
    assert fill(tool({"risk": NUMBER}), question({"risk": 1, "a": {"risk": 3}})).arguments == {"risk": 1}
    row = {"old": {"price": 1}, "new": {"price": 2}}
    assert fill(tool({"price": NUMBER}), question(row)).arguments == {"price": 2}


def test_two_different_values_for_one_name_stay_open() -> None:
    filling = fill(tool({"price": NUMBER}), question({"bid": {"price": 1}, "ask": {"price": 2}}))
    assert filling == Filling({}, {"price": "`price` could be `data.bid.price` or `data.ask.price`"})
    assert fill(tool({"price": NUMBER}), question({"bid": {"price": 2}, "ask": {"price": 2}})).arguments == {"price": 2}


def test_id_means_the_subject_and_never_the_id_of_something_inside() -> None:
    assert fill(tool({"id": TEXT}), question({"order": {"id": "o-1"}})).arguments == {"id": "s/1"}
    assert fill(tool({"id": TEXT}), question({"id": "own"})).arguments == {"id": "own"}
    assert fill(tool({"id": TEXT}), question({}, subject=None)).open


def test_a_text_to_be_told_names_goal_and_event() -> None:
    asked = question({"amount": 12, "nested": {}})
    assert fill(tool({"text": TEXT}), asked).arguments == {"text": "Tell me (a.b of s/1: amount 12)"}
    assert sentence(question({"a": "x" * 900})) == f"Tell me (a.b of s/1: a {'x' * 900})"[:500]


def test_optional_parameters_are_filled_only_by_their_own_name() -> None:
    optional: dict[str, Json] = {"note": TEXT, "deep": TEXT, "id": TEXT}
    asked = question({"note": "n", "x": {"deep": "d"}})
    assert fill(tool({}, optional), asked).arguments == {"note": "n"}


def test_a_default_needs_no_value() -> None:
    assert fill(tool({"limit": {"type": "integer", "default": 5}}), question({})) == Filling({}, {})


def test_what_to_run_and_where_to_go_is_never_taken_from_the_event() -> None:
    for name in ("url", "command", "path", "to"):
        assert fill(tool({name: TEXT}), question({name: "evil"})).open
        assert options(tool({name: TEXT}), name, question({"x": "evil"})) == []
        assert fill(tool({name: TEXT}), question({name: "evil"}, let={name: "own"})).arguments == {name: "own"}


def test_options_are_the_plain_values_of_the_right_type_each_once() -> None:
    asked = question({"a": "x", "b": "x", "n": 5, "deep": {"c": "y"}, "long": "z" * 300}, let={"l": "w"})
    assert options(tool({"who": TEXT}), "who", asked) == ["w", "x", "y", "s/1"]
    assert options(tool({"many": NUMBER}), "many", asked) == [5]
    assert len(options(tool({"who": TEXT}), "who", question({str(index): str(index) for index in range(99)}))) == 20


def test_a_huge_event_is_looked_at_only_so_far() -> None:
    deep: Json = "x"
    for _ in range(2000):
        deep = {"a": deep}
    assert fill(tool({"who": TEXT}), question(deep)).open
    assert fill(tool({"id": TEXT}), question({str(index): 1 for index in range(50_000)})).arguments == {"id": "s/1"}


def test_words_are_split_at_separators_and_capitals_and_lose_their_s() -> None:
    assert words("The sendOrders_v2.HTTP of gas, class and ORDERS") == [
        "send",
        "order",
        "v2",
        "http",
        "gas",
        "class",
        "order",
    ]
    assert words("«ছাদ» গরম…") == ["ছাদ", "গরম"]


def test_the_tool_that_shares_the_rarer_words_ranks_first() -> None:
    tools = [
        Tool(name="mail.send", description="Send a mail to a customer"),
        Tool(name="chat.send", description="Send a chat line"),
        Tool(name="orders.refund", input_schema={"properties": {"customer": {"description": "who gets money back"}}}),
    ]
    assert [(one.name, fit > 0) for one, fit in rank("refund the customer", tools)] == [
        ("orders.refund", True),
        ("mail.send", True),
        ("chat.send", False),
    ]
    assert rank("send", tools) == rank("send", tools[::-1])
    assert [fit for _, fit in rank("nothing shared", tools)] == [0.0] * 3
    assert rank("x", []) == []
