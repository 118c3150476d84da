import json
import math
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from orchestrator.errors import EvaluationError, ExpressionError
from orchestrator.expressions import (
    Expression,
    Sieve,
    bind,
    compile_condition,
    compile_expression,
    event_variables,
    expressions_in,
)
from orchestrator.types import Event, Json

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "cel.json").read_text(encoding="utf-8"))
EVENT = ("event",)
AT = datetime(2026, 11, 21, 10, tzinfo=UTC)


def variables(data: Json, **let: Json) -> dict[str, Json]:
    return {**event_variables(Event(id="1", source="s", type="t", time=AT, subject="u", data=data)), **let}


def ask(text: str, given: Mapping[str, Json]) -> bool | str:
    try:
        return compile_condition(text, tuple(sorted(given))).holds(given)
    except (EvaluationError, ExpressionError):
        return "error"


def written(case: Mapping[str, Any]) -> str:
    if "expression" in case:
        return case["expression"]
    repeat = case["expression_repeat"]
    return repeat["prefix"] + repeat["unit"] * repeat["times"] + repeat["suffix"]


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_a_condition_answers_as_its_case_says(case: Mapping[str, Any]) -> None:
    event = msgspec.convert(case["event"], Event)
    answer = ask(case["expression"], {**event_variables(event), **case.get("let", {})})
    assert answer in [case["outcome"], *case.get("outcome_also", [])], case["note"]


@pytest.mark.parametrize("case", CASES["bad_expressions"], ids=lambda case: written(case)[:40])
def test_a_bad_condition_is_refused_in_one_clear_line(case: Mapping[str, Any]) -> None:
    with pytest.raises(ExpressionError) as refused:
        compile_condition(written(case), EVENT)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


# ---------------------------------------------------------------- any JSON, any expression

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["a", "b", "a\0b", "\ud800", "\U0001f600", "event", "2026-11-21T10:00:00Z"]
)
NAMES = st.sampled_from(["a", "b", "c", "time", "data", "[]", "a b"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXTS, inner, max_size=4),
    max_leaves=12,
)
PLACES = st.sampled_from(
    [
        "event.data", "event.data.a", "event.data.b", "event.data.a.b", "event.data['a b']", "event.data[0]",
        "event.data.a[0].b", "event.data[event.data.a]", "event['data'].a", ".event.data.a", "event.subject",
        "event.missing", "event", "risk", "risk.a", "event.data['a\\u0000b']", "event.time", "1.0", "'a'", "null",
    ]
)  # fmt: skip
CONDITIONS = st.recursive(
    st.one_of(
        st.builds("{} {} {}".format, PLACES, st.sampled_from(["==", "!=", "<", ">=", "in"]), PLACES),
        PLACES.filter(lambda place: place.startswith("event.") and place != "event.time").map("has({})".format)
        .filter(lambda text: "[" not in text),
        st.builds("{}.exists(event, event == {})".format, PLACES, PLACES),
        st.builds("{}.all(i, i.a == event.data.b)".format, PLACES),
        st.builds("{}.map(i, i.b)[0] == 1.0 /* event.data */".replace("/*", "// ").replace(" */", "\n").format, PLACES),
        st.builds("'event.data.a' + '\\'' + \"event\" == {}".format, PLACES),
        st.builds("[{{'k': {0}}}][0].k == {1}".format, PLACES, PLACES),
        st.builds("event.time > timestamp('2026-01-01T00:00:00Z') && {} == 1.0".format, PLACES),
        st.builds("size({}) > 1".format, PLACES),
    ),
    lambda inner: st.one_of(
        st.builds("({}) && ({})".format, inner, inner),
        st.builds("({}) || ({})".format, inner, inner),
        st.builds("({}) ? ({}) : ({})".format, inner, inner, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=4,
)  # fmt: skip
BOTH = ("event", "risk")


def compiled(text: str) -> Expression | None:
    try:
        return compile_condition(text, BOTH)
    except ExpressionError:
        return None


def answer(condition: Expression, given: Mapping[str, Json]) -> bool | str:
    try:
        return condition.holds(given)
    except EvaluationError:
        return "error"


def unpruned(condition: Expression) -> Expression:
    return Expression(condition.text, condition.program, fields=frozenset({("event",), ("risk",), ("event.time",)}))


@given(text=CONDITIONS, data=JSON, risk=JSON)
def test_taking_only_the_fields_an_expression_reads_changes_no_answer(text: str, data: Json, risk: Json) -> None:
    condition = compiled(text)
    if condition is not None:
        given = variables(data, risk=risk)
        assert answer(condition, given) == answer(unpruned(condition), given)


CONSTANTS = [
    "1.0",
    "0",
    "-1",
    "9007199254740993",
    "9223372036854775807",
    "1e300",
    "3u",
    "'a'",
    "''",
    "'\\u00e9'",
    "'\\ufffd'",
    "'a\\u0000b'",
    "true",
    "null",
]
SIGNS = ["==", "!=", "<", "<=", ">", ">="]
VALUES: list[Json] = [
    0, 1, -1, 1.0, -0.5, 2**53, 2**60, math.nan, math.inf, True, False, None, [], {"a": 1},
    "", "a", "\u00e9", "a\0b", "\0", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("place", ["event.data.a", "event.data['a b']", ".event.data.a", "event.data.gone", "risk"])
def test_comparing_without_cel_changes_no_answer(place: str) -> None:
    for sign, constant in product(SIGNS, CONSTANTS):
        for text in (f"{place} {sign} {constant}", f"{constant} {sign} {place}"):
            if (condition := compiled(text)) is None:
                continue
            for one in VALUES:
                given = variables({"a": one, "a b": one}, risk=one)
                assert answer(condition, given) == answer(unpruned(condition), given), (text, one)


def test_comparing_fields_and_lists_without_cel_changes_no_answer() -> None:
    lists = ["['a', '']", "[1, 0.0, -1]", "[true]", "['a', 1]", "[]", "['a\\u0000b']", "['\\u00e9', 'a']", "[[1]]"]
    texts = [f"event.data.a {sign} {other}" for sign in SIGNS for other in ("risk", "event.data.gone", "event.data.a")]
    texts += [f"event.data.a in {one}" for one in lists] + ["event.data.gone in ['a']", "'a' in event.data.a"]
    for text in texts:
        condition = compile_condition(text, BOTH)
        for one, other in product(VALUES, VALUES):
            given = variables({"a": one}, risk=other)
            assert answer(condition, given) == answer(unpruned(condition), given), (text, one, other)


COMPARED = st.builds(
    "{} {} {}".format, st.sampled_from(["event.data.a", "risk"]), st.sampled_from(SIGNS), st.sampled_from(CONSTANTS)
)


@given(texts=st.lists(COMPARED, min_size=2, max_size=4), a=st.sampled_from(VALUES), risk=st.sampled_from(VALUES))
def test_joining_comparisons_without_cel_changes_no_answer(texts: list[str], a: Json, risk: Json) -> None:
    condition = compiled(" && ".join(texts))
    if condition is not None:
        given = variables({"a": a}, risk=risk)
        assert answer(condition, given) == answer(unpruned(condition), given)


PATHS = PLACES.filter(lambda place: place.replace(".", "").isalpha())


@given(text=PATHS, data=JSON, risk=JSON)
def test_a_plain_path_has_the_value_that_cel_gives_it(text: str, data: Json, risk: Json) -> None:
    given = variables(data, risk=risk)
    assert value(text, given) == value(f"({text})", given)


@given(
    pieces=st.lists(
        PATHS.filter(lambda place: place not in {"event.time", "null", "true", "false"})
        | st.sampled_from(["'a'", "''", "'\u00e9'", "'a\\u0000b'"]),
        min_size=2,
        max_size=4,
    ),
    data=JSON,
    risk=JSON,
    a=TEXTS,
)
def test_joining_texts_without_cel_changes_no_value(pieces: list[str], data: Json, risk: Json, a: str) -> None:
    text = " + ".join(pieces)
    for one in (data, {"a": a, "b": a}):
        given = variables(one, risk=risk)
        assert value(text, given) == value(f"[{text}][0]", given)


def value(text: str, given: Mapping[str, Json]) -> str:
    try:
        return json.dumps(compile_expression(text, BOTH).value(given), sort_keys=True)  # 1, 1.0 and true differ here
    except EvaluationError as error:
        return str(error).removeprefix(f"`{text}`: ").removeprefix(f"`({text})`: ")


@given(texts=st.lists(CONDITIONS, max_size=40), data=JSON, risk=JSON)
def test_the_sieve_rules_out_only_what_does_not_hold(texts: list[str], data: Json, risk: Json) -> None:
    conditions = [condition for text in texts if (condition := compiled(text))]
    given = variables(data, risk=risk)
    left = Sieve(conditions, BOTH).may_hold(given)
    answers = [answer(condition, given) for condition in conditions]
    assert {place for place, answered in enumerate(answers) if answered is not False} <= set(left)


def test_the_sieve_does_rule_out() -> None:
    conditions = [compile_expression(f"event.data.n == {n}.0 // n", EVENT) for n in range(100)]
    assert Sieve(conditions, EVENT).may_hold(variables({"n": 200})) == []
    assert Sieve(conditions, EVENT).may_hold(variables({"n": 20})) == list(range(16, 32))
    assert Sieve(conditions, EVENT).may_hold(variables({})) == list(range(100))


@pytest.mark.parametrize(
    "text", ["null", "[event.data, 1, [null]]", "{'a': event.data}", "has(event.id) ? dyn(null) : 1"]
)
def test_a_null_that_comes_out_takes_nothing_of_python_s_own_with_it(text: str) -> None:
    """The CEL library gives None away without owning it, and before Python 3.12 None is counted: the process ended."""
    expression, given = compile_expression(text, EVENT), variables(None)
    expression.value(given)
    before = sys.getrefcount(None)
    for _ in range(1_000):
        expression.value(given)
    assert abs(sys.getrefcount(None) - before) < 500


@given(data=JSON)
def test_any_json_goes_in_and_json_comes_out(data: Json) -> None:
    whole = compile_expression("event.data", EVENT)
    try:
        json.dumps(data, allow_nan=False)
    except ValueError:
        with pytest.raises(EvaluationError, match="JSON cannot hold"):
            whole.value(variables(data))
    else:
        json.dumps(whole.value(variables(data)), allow_nan=False).encode()


@given(text=st.text(max_size=30) | CONDITIONS.map(lambda text: text[:-3]))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    with suppress(ExpressionError):
        compile_expression(text, EVENT)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_nonsense_does_not_crash_the_library(seed: str) -> None:
    nonsense = [sys.executable, "-m", "tests.nonsense", seed, "3000"]
    done = subprocess.run(nonsense, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr[-500:]


# ---------------------------------------------------------------- what it reads


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("event.data.amount > 1.0", {"event.data.amount"}),
        ("has(event.data.a) && event.data.b.c == 1.0", {"event.data.a", "event.data.b.c"}),
        ("event.data['a b'].c == 1.0", {"event.data.a b.c"}),
        ("event.data.items[0].price > 1.0", {"event.data.items"}),
        ("event.data[event.subject] == 1.0", {"event.data", "event.subject"}),
        ("event.data.items.exists(i, i.price > risk.a)", {"event.data.items", "risk.a"}),
        ("event.data.items.exists(event, event.price > 1.0)", {"event.data.items"}),
        ("event.data.a == 'event.data.b' // event.data.c", {"event.data.a"}),
        ("'''event.data.a''' == event.type", {"event.type"}),
        ("{'a': event.data.a}.a == [event.data.b][0]", {"event.data.a", "event.data.b"}),
        ("event.time > timestamp(event.data.at)", {"event.time", "event.data.at"}),
        ("event.data.name.startsWith(event.data.prefix)", {"event.data.name", "event.data.prefix"}),
    ],
)
def test_reads_are_the_paths_in_the_syntax_tree(text: str, reads: set[str]) -> None:
    assert {".".join(path) for path in compile_expression(text, BOTH).reads} == reads


def test_fields_go_on_through_lists_and_has_is_noted() -> None:
    expression = compile_expression(
        "has(event.data.note) && event.data.items.all(i, i.p > event.data.rows[0].q)", EVENT
    )
    assert {".".join(path[2:]) for path in expression.fields} == {"note", "items", "items.[].p", "rows.[].q"}
    assert expression.tested == {("event", "data", "note")}


def test_an_unknown_tree_of_a_newer_library_is_slower_and_still_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(_: bytes) -> None:
        raise ValueError("wire type 7")

    monkeypatch.setattr("orchestrator.expressions.expression.reads_of", changed)
    condition = compile_expression("event.data.odd_one == 1.0 && event.time == event.time", EVENT)
    assert condition.reads == {("event",), ("event.time",)}
    assert condition.holds(variables({"odd_one": 1}))


# ---------------------------------------------------------------- values and texts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("event.data.n", 120),
        ("event.data.n / 7.0", 120 / 7),
        ("event.data.big", "9007199254740993"),
        ("event.time", "2026-11-21T10:00:00Z"),
        ("event.time - timestamp('2026-11-21T08:59:58.5Z')", "3601.5s"),
        ("duration('1h')", "3600s"),
        ("{2: 'a', true: 'b'}", {"2": "a", "true": "b"}),
        ("b'\\xff'", "ff"),
        ("event.data.l.map(i, i + 1.0)", [2, 3.5]),
        ("event['time']", "2026-11-21T10:00:00Z"),
    ],
)
def test_a_value_is_json_again(text: str, value: Json) -> None:
    found = compile_expression(text, EVENT).value(variables({"n": 120, "big": 2**53 + 1, "l": [1, 2.5]}))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "data", "reason"),
    [
        ("event.data.a.b > 1.0", {}, "`event.data.a` is missing"),
        ("event.data.a.b > 1.0", {"a": {}}, "`event.data.a.b` is missing"),
        ("event.data.a.b > 1.0", {"a": None}, "`event.data.a` is null, it has no field `b`"),
        ("event.data.a > 1.0", None, "`event.data` is null, it has no field `a`"),
        ("event.data.l.all(i, i.p > 1.0)", {"l": [{"p": 2}, {"q": 1}]}, "`event.data.l[].p` is missing"),
        ("event.data.a + 1 > 2", {"a": 1}, "numbers are doubles here, write `2.0` for `2`"),
        ("event.data.a", {"a": "yes"}, "gives 'yes', not true or false"),
        ("risk.value > 1.0", {}, "`risk` is missing"),
        ("event.data.l.all(a, event.data.l.all(b, true))", {"l": list(range(500))}, "budget"),
        ("event.data == 1.0", math.nan, None),
    ],
)
def test_an_error_says_what_is_missing(text: str, data: Json, reason: str | None) -> None:
    condition = compile_expression(text, BOTH)
    if reason is None:
        assert condition.holds(variables(data)) is False
        return
    with pytest.raises(EvaluationError) as error:
        condition.holds(variables(data))
    assert reason in str(error.value)
    assert condition.text in str(error.value)


def test_a_result_that_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="inf, which JSON cannot hold"):
        compile_expression("[event.data.a / 0.0]", EVENT).value(variables({"a": 1}))


def test_a_text_cut_at_nul_does_not_pass_for_the_shorter_one() -> None:
    assert ask("event.data.role == 'admin'", variables({"role": "admin\0x"})) is False
    assert ask("'admin' in event.data", variables({"admin\0x": 1})) is False


def test_a_value_nested_too_deep_is_an_error_not_a_crash() -> None:
    deep: Json = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(EvaluationError, match="deeper than 100"):
        compile_expression("event.data", EVENT).value(variables(deep))
    with pytest.raises(ExpressionError, match="deeper than 100"):
        bind({"a": deep}, {})


def test_an_unknown_name_gets_advice() -> None:
    with pytest.raises(ExpressionError, match=r"did you mean `event`"):
        compile_expression("evnt.data.amount > 1.0", EVENT)
    with pytest.raises(ExpressionError, match=r"a field of the event is `event.data.amount`"):
        compile_expression("amount > 1.0", EVENT)
    with pytest.raises(ExpressionError, match=r"\(line 2, column 6\); write `&&`"):
        compile_expression("true ||\ntrue and true", EVENT)


def test_bind_fills_arguments_at_any_depth() -> None:
    args = {"id": "=event.subject", "rows": [{"n": "= event.data.n * 2.0 "}, 5], "text": "==not CEL", "plain": "a = b"}
    filled = {"id": "u", "rows": [{"n": 8}, 5], "text": "=not CEL", "plain": "a = b"}
    assert bind(args, variables({"n": 4})) == filled
    assert expressions_in(args) == ["event.subject", "event.data.n * 2.0"]


def test_event_attributes_that_were_not_sent_are_absent() -> None:
    event = Event(id="1", source="s", type="t", time=AT, extensions={"region": "eu"}, causationid="c")
    found = event_variables(event)["event"]
    assert {"region", "causationid"} < set(found)
    assert not {"subject", "sequence"} & set(found)
