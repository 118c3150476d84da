"""The drafter beyond the frozen sentences: what it fills, what it asks, and that it grants nothing unnamed."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from orchestrator.decide.draft import draft
from orchestrator.decide.sentence import Reading, duration, number, slug, tokens
from orchestrator.decide.wish import Known, Unclear
from orchestrator.expressions import bind, compile_expression, event_variables
from orchestrator.types import Event, Tool

KNOWN: Known = {
    "shop.order.placed": {"amount": "number", "currency": "string", "customer": "string", "paid": "boolean"},
    "shop.row.changed": {"new.amount": "number", "old.amount": "number", "odd-name": "string", "in": "number"},
    "host.cpu": {"value": "number", "host": "string"},
}
TEXT = {"type": "string"}
TOOLS = (
    Tool(
        name="notify.send",
        input_schema={
            "properties": {"text": TEXT, "channel": TEXT},
            "required": ["text"],
            "additionalProperties": False,
        },
    ),
    Tool(name="accounts.freeze", input_schema={"properties": {"customer": TEXT}, "required": ["customer"]}),
    Tool(
        name="host.run",
        input_schema={
            "properties": {"command": {"enum": ["uptime", "df"]}, "host": TEXT},
            "required": ["command", "host"],
        },
    ),
    Tool(
        name="shop.limit",
        input_schema={
            "properties": {"amount": {"type": "number"}, "hard": {"type": "boolean"}},
            "required": ["amount"],
        },
    ),
    Tool(name="web.open", input_schema={"properties": {"url": TEXT, "currency": TEXT}, "required": ["url"]}),
)
ORDER = "when shop.order.placed amount above 100 then"


def do(sentence: str) -> dict[str, object]:
    return draft(sentence, known=KNOWN, tools=TOOLS).goal.do[0].args


def asked(sentence: str) -> str:
    with pytest.raises(Unclear) as unclear:
        draft(sentence, known=KNOWN, tools=TOOLS)
    return unclear.value.question


def test_the_text_of_a_notification_names_event_subject_and_value() -> None:
    args = do("when shop.order.placed amount above 100 and currency is EUR then notify me")
    event = Event(id="1", source="s", type="shop.order.placed", time=datetime(2027, 1, 1, tzinfo=UTC))
    told = {**event_variables(event)["event"], "data": {"amount": 120.5, "currency": "EUR"}}
    assert bind(args, {"event": told}) == {"text": "shop.order.placed: amount 120.5, currency EUR"}
    assert bind(args, {"event": {**told, "subject": "order/7"}}) == {
        "text": "shop.order.placed of order/7: amount 120.5, currency EUR"
    }


def test_a_required_argument_is_taken_from_the_field_of_the_same_name_and_type() -> None:
    found = draft(f"{ORDER} accounts.freeze", known=KNOWN, tools=TOOLS)
    assert found.goal.do[0].args == {"customer": "=event.data.customer"}
    assert "`customer` of accounts.freeze is the event's own `customer`" in found.notes
    assert do(f"{ORDER} shop.limit") == {"amount": "=event.data.amount"}


def test_an_argument_that_says_what_to_run_or_where_to_go_is_never_taken_from_the_event() -> None:
    known = {"web.seen": {"url": "string", "command": "string"}}
    for tool, name in (("web.open", "url"), ("host.run", "command")):
        with pytest.raises(Unclear, match=f"Which `{name}` should {tool} get"):
            draft(f"when web.seen then {tool}", known=known, tools=TOOLS)


def test_arguments_are_given_by_name_as_text_number_switch_or_reference() -> None:
    assert do(f"{ORDER} shop.limit with amount 1,000 and hard true") == {"amount": 1000, "hard": True}
    assert do(f"{ORDER} host.run with command uptime and host web-1") == {"command": "uptime", "host": "web-1"}
    assert do(f"{ORDER} accounts.freeze with customer event.subject") == {"customer": "=event.subject"}
    assert do(f'{ORDER} notify.send with the text "a" and channel = "b"') == {"text": "a", "channel": "b"}


def test_a_quoted_text_that_looks_like_cel_stays_a_text() -> None:
    args = do(f'{ORDER} notify me "=event.data"')
    assert bind(args, {"event": {}}) == {"text": "=event.data"}


def test_what_could_mean_two_things_is_asked() -> None:
    assert "Is `currency` a text or the event's field" in asked(f"{ORDER} accounts.freeze with customer currency")
    assert "`amount` could be several fields" in asked("when shop.row.changed amount above 1 then notify me")
    assert "which binds first" in asked(
        "when shop.order.placed amount above 1 and currency is EUR or currency is USD then notify me"
    )
    assert "Is `90%` 90" in asked("when host.cpu value above 90% then notify me")
    assert "one type" in asked("when host.cpu value above 9 and shop.order.placed amount above 1 then notify me")
    assert "true or false" in asked("when shop.order.placed paid is perhaps then notify me")
    assert "missing after the last" in asked("when shop.order.placed amount above 1 and then notify me")


def test_a_value_that_does_not_fit_the_tool_is_asked_about() -> None:
    assert "does not fit `command` of host.run" in asked(f'{ORDER} host.run with command "rm"')
    assert "has no argument" in asked(f'{ORDER} notify.send with colour "red"')
    assert "said twice" in asked(f'{ORDER} notify.send with text "a" and text "b"')
    assert "Name the argument" in asked(f'{ORDER} notify me "a" and "b"')


@pytest.mark.parametrize(
    ("sentence", "when"),
    [
        ("when shop.order.placed paid is true then notify me", "event.data.paid == true"),
        ("when shop.row.changed new.amount above 5 then notify me", "event.data.new.amount > 5.0"),
        ("when shop.row.changed odd-name is x then notify me", 'event.data["odd-name"] == "x"'),
        ("when shop.row.changed event.data.in is 2 then notify me", 'event.data["in"] == 2.0'),
        ("when shop.order.placed subject starts with vip then notify me", 'event.subject.startsWith("vip")'),
        ("when shop.order.placed amount>100 then notify me", "event.data.amount > 100.0"),
        ("when shop.order.placed, amount above 5, then notify me", "event.data.amount > 5.0"),
        ("tell me if shop.order.placed amount is at least 10", "event.data.amount >= 10.0"),
        ("when cpu value is above 9 notify me", "event.data.value > 9.0"),
        ("when an order is placed, notify me", None),
    ],
)
def test_further_sentences_are_understood(sentence: str, when: str | None) -> None:
    assert draft(sentence, known=KNOWN, tools=TOOLS).goal.when == when


def test_a_field_seen_with_several_types_is_compared_only_where_that_is_clear() -> None:
    known: Known = {"a.b": {"n": "number|null", "mixed": "number|string", "tags": "array", "tags[]": "string"}}

    def when(condition: str) -> str | None:
        return draft(f"when a.b {condition} then notify me", known=known, tools=TOOLS).goal.when

    assert when("n is 5") == "event.data.n == 5.0"
    assert when("mixed above 5") == "event.data.mixed > 5.0"
    assert when('mixed is "5"') == 'event.data.mixed == "5"'
    for condition, asks_about in (
        ("mixed is 5", "value"),
        ("tags contains x", "comparison"),
        ("tags[] is x", "comparison"),
    ):
        with pytest.raises(Unclear) as unclear:
            when(condition)
        assert unclear.value.asks_about == asks_about


def test_an_event_type_in_ordinary_words_is_noted() -> None:
    found = draft("when an order is placed then notify me", known=KNOWN, tools=TOOLS)
    assert found.notes[0] == "`order is placed` is understood as the event type shop.order.placed"


def test_two_types_that_fit_the_same_words_are_asked_about() -> None:
    known: Known = {**KNOWN, "market.order.placed": {"amount": "number"}}
    with pytest.raises(Unclear) as unclear:
        draft("when an order is placed then notify me", known=known, tools=TOOLS)
    assert unclear.value.asks_about == "event type"
    assert unclear.value.alternatives == ("market.order.placed", "shop.order.placed")


WORDS = """when if then and or , . " ' shop.order.placed host.cpu amount value currency above below is not 100 1,5 EUR
ninety 3 times within an hour at most once per customer notify me tell host.run accounts.freeze with command text uptime
"quoted" = > || ! * notify.* every tool event.data.amount the of in ünï"""
SENTENCES = st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join)


@given(SENTENCES | SENTENCES.map(lambda salad: f"{ORDER} {salad}"))
def test_any_salad_of_words_is_asked_about_or_grants_only_tools_it_names(sentence: str) -> None:
    with suppress(Unclear):
        goal = draft(sentence, known=KNOWN, tools=TOOLS).goal
        named = {tool.name for tool in TOOLS if tool.name in sentence}
        assert set(goal.may) <= named | {"notify.send"}
        assert goal.may == tuple(dict.fromkeys(call.tool for call in goal.do))
        assert goal.on[0] in KNOWN
        if goal.when:
            compile_expression(goal.when, ("event",))


@given(st.text(alphabet="when.,'\" \0\n1é😀\u200b\ud800", max_size=60))
def test_any_text_is_asked_about_without_a_crash(text: str) -> None:
    with pytest.raises(Unclear):
        draft(text, known=KNOWN, tools=TOOLS)


def test_numbers_are_read_only_where_they_surely_are_some() -> None:
    read = {
        text: number(text) for text in ("1,000", "1,5", "1.5k", "-2", "$1", "ten", "1e3", "0x1", "1_0", "", "½", "৩")
    }
    assert read == {
        "1,000": 1000.0,
        "1,5": None,
        "1.5k": 1500.0,
        "-2": -2.0,
        "$1": 1.0,
        "ten": 10.0,
        "1e3": None,
        "0x1": None,
        "1_0": None,
        "": None,
        "½": None,
        "৩": 3.0,
    }


def test_durations_are_read_as_people_write_them() -> None:
    said = ("an hour", "10 minutes", "ten seconds", "day", "90s", "1h30m", "0 minutes", "a fortnight", "x")
    assert [duration(Reading(tokens(text))) for text in said] == [
        "1h",
        "10m",
        "10s",
        "1d",
        "90s",
        "1h30m",
        None,
        None,
        None,
    ]


def test_ids_keep_numbers_apart() -> None:
    ids = [slug(f"when a.b x above {value} then notify me") for value in ("35", ".35", "-35", "3,500", "3.500", "3 5")]
    assert len(set(ids)) == len(ids)
    assert all(len(slug("word " * count)) <= 40 for count in range(1, 60))
    assert slug("ছাদ") == slug("ছাদ  ") != slug("ছাত")
