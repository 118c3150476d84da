"""What people write: settings, goals, conditions, times, sentences; and what is written of them again."""

import asyncio
import math
import tomllib
from pathlib import Path

import tomli_w

from orchestrator.clock import seconds
from orchestrator.decide.draft import draft
from orchestrator.decide.draft_llm import draft_by_model
from orchestrator.decide.wish import Unclear
from orchestrator.doors.faulty import place
from orchestrator.doors.goal_views import as_toml
from orchestrator.errors import EvaluationError, ExpressionError, GoalError, MDLError, SettingsError
from orchestrator.expressions import Sieve, compile_condition, compile_expression
from orchestrator.expressions.comparisons import comparisons_of
from orchestrator.expressions.expression import Expression
from orchestrator.expressions.reads import reads_of
from orchestrator.observe.rhythm import Cron
from orchestrator.orient.conditions import compile_goal
from orchestrator.settings import parse
from orchestrator.types import Goal, Json, Tool
from orchestrator.windows import compile_window
from orchestrator.written import goal
from tests.fuzz.chooser import Chooser
from tests.fuzz.given import Given
from tests.fuzz.target import told

FOLDER = Path("/")
TABLES = [
    "journal", "http", "loop", "sources", "mcpServers", "schemas", "goals", "policy", "owners", "model", "meaning",
    "kind", "path", "every", "cron", "tz", "type", "tools", "sinks", "may", "budgets", "actions", "per", "keep",
]  # fmt: skip
WORDS = [
    "id", "text", "on", "when", "let", "window", "want", "may", "approve", "do", "fresh", "weights", "budget",
    "examples", "steps", "tool", "args", "count", "within", "by", "holds", "see", "rate", "quiet", "cooldown",
    "blast", "from", "until", "tz", "but", "most", "each", "of", "people", "owner", "unsure", "fallback", "decide",
]  # fmt: skip


def settings_toml(given: Given) -> None:
    """`mdl.toml`, as text and as tables: one readable error, or settings."""
    if given.chance(3):
        text = given.rest().decode("utf-8", "replace")
    else:
        value = given.json(*TABLES, *WORDS)
        try:
            text = tomli_w.dumps(value) if isinstance(value, dict) else ""
            tomllib.loads(text)
        except (TypeError, ValueError):  # what TOML has no words for
            return
    journal = place(text)
    try:
        settings = parse(text, folder=FOLDER, environment={"A": "a-value"})
    except SettingsError as error:
        told(error)
    else:
        assert journal is None or settings.journal.path == journal


def _goal(given: Given) -> dict[str, Json]:
    value = given.json(*WORDS)
    known: dict[str, Json] = {"id": "g", "text": "Do it.", "do": [{"tool": "a.b", "args": {"x": "=event.id"}}]}
    return {**known, **value} if isinstance(value, dict) else known


def goal_tables(given: Given) -> None:
    """A goal's table: refused, or the same goal again once it is written out and read."""
    table = _goal(given)
    try:
        found = goal(table)
        compile_goal(found)
        if found.window is not None:
            compile_window(found.window)
    except (GoalError, SettingsError) as error:
        told(error)
        return
    (again,) = tomllib.loads(as_toml([found]))["goals"]
    assert goal(again) == found, again


PARTS = [
    "event", ".data", ".a", "['a']", "[0]", "(", ")", "'", '"', "\\", "1", "-", "!", "1.5", "true", "null", "'a'",
    ".id", "&&", "||", "==", "!=", "<", ">=", "in", "?", ":", ",", "+", "//", "é", "has(", "size(",
    ".exists(x, x == ", "let", "timestamp(", "duration('1h')", "int(", "string(", "9223372036854775807",
    "event.time", " ", "\n", "\0", "[", "]", "event.data.a == ", "event.data.b > 1.0", " && ", ".startsWith(",
    ".matches('", "risk.value",
]  # fmt: skip
VARIABLES = ("event", "risk")


def conditions(given: Given) -> None:
    """CEL: errors of ours alone; and without the library, and through the sieve, the same answer as with it."""
    texts = [given.pieces(PARTS, 12) for _ in range(1 + given.number(3))]
    event = {"id": "1", "data": given.json("a", "b", depth=3), "time": "2026-11-21T10:00:00Z"}
    variables: dict[str, Json] = {"event": event, "risk": given.json("value", depth=2)}
    compiled = [found for text in texts if (found := _compiled(text))]
    answers = [_holds(one, variables) for one in compiled]
    left = Sieve(compiled, VARIABLES).may_hold(variables)
    assert {place for place, answered in enumerate(answers) if answered is not False} <= set(left), texts
    for one, answered in zip(compiled, answers, strict=True):
        whole = _compiled(f"({one.text}\n) || false")  # which is no comparison of fields, so the library is asked
        if whole is not None and isinstance(answered, bool):
            assert _holds(whole, variables) is answered, one.text


def _compiled(text: str) -> Expression | None:
    try:
        return compile_condition(text, VARIABLES)
    except ExpressionError as error:
        told(error)
        return None


def _holds(condition: Expression, variables: dict[str, Json]) -> bool | None:
    try:
        return condition.holds(variables)
    except EvaluationError as error:
        told(error)
        return None


def serialised_trees(given: Given) -> None:
    """A compiled condition's tree with bytes of it changed: ValueError or LookupError, as is said of it."""
    tree = bytearray(TREES[given.number(len(TREES) - 1)])
    for _ in range(given.number(4)):
        tree[given.number(len(tree) - 1)] = given.number(255)
    for read in (comparisons_of, reads_of):
        try:
            read(bytes(tree[: len(tree) - given.number(3)]))
        except (ValueError, LookupError):
            continue


TREES = [
    compile_expression(text, VARIABLES).program.serialize()
    for text in ("event.data.a > 1.0 && risk.value == 'x'", "event.data.a.exists(x, x == 1.0) ? event.id : 'b'")
]


def durations(given: Given) -> None:
    """Times such as `1h30m`: above zero and finite, or refused."""
    text = given.pieces(["1", "0", ".", "5", "ms", "s", "m", "h", "d", "w", " ", "-", "\uff19", "9" * 400], 10)
    try:
        found = seconds(text)
    except SettingsError as error:
        told(error)
    else:
        assert 0 < found < math.inf, text


def cron(given: Given) -> None:
    """Cron expressions: ticks later than now and in order, or refused; never long in thought."""
    pieces = [
        "*",
        " ",
        "/",
        "-",
        ",",
        "0",
        "1",
        "5",
        "31",
        "30",
        "2",
        "29",
        "FRI",
        "L",
        "#",
        "59",
        "@daily",
        "MON-",
        "W",
        "JAN",
        "  ",
    ]
    text = given.pieces(pieces, 14)
    zone = given.pick(["UTC", "Europe/Berlin", "America/Sao_Paulo", "../x", "", "\0"]) if given.chance(2) else "UTC"
    try:
        rhythm = Cron(text, zone)
    except SettingsError as error:
        told(error)
        return
    at = given.number(2**41)
    first = rhythm.after(at)
    if first is not None:
        assert at < first
        second = rhythm.after(first)
        assert second is None or first < second
        assert first in rhythm.due(at, first, keep=1).newest


KNOWN = {"shop.order.placed": {"amount": "number", "customer.email": "string"}, "timer.tick": {"n": "integer"}}
TOOLS = (
    Tool(name="notify.send", input_schema={"properties": {"text": {"type": "string"}, "channel": {"type": "string"}}}),
    Tool(name="accounts.freeze", input_schema={"properties": {"id": {"type": "string"}}, "required": ["id"]}),
)
SAID = [
    "when ", "shop.order.placed ", "order ", "placed ", "amount ", "above ", "below ", "100 ", "1e5 ", "1,000.5 ",
    "then ", "notify ", "me ", "freeze ", "accounts.freeze ", "'a b' ", '"', "not ", "or ", "and ", "is ",
    "within ", "1 h ", "three ", "times ", ", ", ". ", "customer ", "if ", "% ", "at least ", "contains ", "-",
    "\n", "each ",
]  # fmt: skip


def sentences(given: Given) -> None:
    """A sentence becomes a goal that compiles, or a question."""
    sentence = given.pieces(SAID, 20)
    try:
        found = draft(sentence, known=KNOWN, tools=TOOLS)
    except (Unclear, GoalError) as error:
        told(error)
    else:
        _stands(found.goal)


PROMPT = (Path(__file__).parents[3] / "prompts" / "draft.txt").read_text(encoding="utf-8")


def drafts_by_a_model(given: Given) -> None:
    """Whatever a model answers, the goal compiles and drops nothing, or the question stands."""
    sentence = "freeze whoever orders above 100 and tell me 'now'"
    try:
        found = asyncio.run(draft_by_model(sentence, known=KNOWN, tools=TOOLS, model=Chooser(given), prompt=PROMPT))
    except (Unclear, GoalError) as error:
        told(error)
    else:
        _stands(found.goal)


def _stands(found: Goal) -> None:
    try:
        compile_goal(found)
        (again,) = tomllib.loads(as_toml([found]))["goals"]
        assert goal(again) == found, again
    except MDLError as error:
        raise AssertionError(f"a draft that cannot be set: {found}") from error
