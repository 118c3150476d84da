"""What the CEL library complains of, as sentences people can act on. Knows nothing of goals."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import cast

from orchestrator.expressions.reads import ELEMENT, Path
from orchestrator.types import Json

_POSITION = re.compile(r"<input>:(\d+):(\d+): (.*)")
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_END = re.compile(r"^Syntax error: mismatched input '<EOF>'")
_UNKNOWN = re.compile(r"undeclared reference to '([^']*)'")
_FOREIGN = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "True": "true",
    "False": "false",
    "None": "null",
    "len": "size",
    "lower": "lowerAscii",
    "upper": "upperAscii",
    "includes": "contains",
}
_WIDEST = 120


def shortened(text: str) -> str:
    """A text for a sentence: one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


def refusal(text: str, complaint: str, variables: tuple[str, ...]) -> str:
    """Why a text does not compile."""
    found = _POSITION.search(complaint)
    if not found or found[2] == "-1":
        return f"`{shortened(text)}` does not compile: {_plain(complaint)}"
    line, column, reason = (found[1], found[2], found[3].split(" (in container")[0].split(" expecting ")[0])
    where = f"column {column}" if line == "1" else f"line {line}, column {column}"
    advice = _advice(text, reason, variables)
    reason = _END.sub("it ends too early", reason).replace("undeclared reference to", "unknown name")
    return f"`{shortened(text)}` does not compile: {shortened(reason)} ({where}){advice}"


def why_not(complaint: str, fields: Iterable[Path], variables: Mapping[str, Json]) -> str:
    """Why an expression has no value on these variables: the field that is missing, if that is it."""
    reason = _plain(complaint)
    if "No matching overloads" in reason and "int64" in reason and "double" in reason:
        return f"{reason}; numbers are doubles here, write `2.0` for `2`"
    if "not found" in reason or "SELECT" in reason or "No value" in reason:
        gaps = [gap for path in sorted(fields) if (gap := _gap(variables, path, 0))]
        named = [sentence for name, sentence in gaps if f'"{name}"' in reason or "SELECT" in reason]
        return next(iter(named), reason)
    return reason


def _plain(complaint: str) -> str:
    return shortened(_STATUS.sub("", _STATUS.sub("", complaint)).removeprefix("ERROR: <input>:-1:-1: "))


def _advice(text: str, reason: str, variables: tuple[str, ...]) -> str:
    found = _UNKNOWN.search(reason)
    name = found[1] if found else next((word for word in _FOREIGN if f"'{word}'" in reason), "")
    if name in _FOREIGN:
        return f"; write `{_FOREIGN[name]}`"
    if not found or re.search(rf"\b{re.escape(name)}\s*\(", text):
        return ""
    root, _, rest = name.partition(".")
    if (close := get_close_matches(root, variables, n=1)) and root != close[0]:
        return f"; did you mean `{close[0]}`?"
    field = rest if root == "data" else name
    hint = f"; a field of the event is `event.data.{field}`" if "event" in variables and "." not in field else ""
    return f"; known are {', '.join(variables)}{hint}"


def _gap(value: Json, path: Path, at: int) -> tuple[str, str] | None:
    """The first step of a path that is not there: its name, and a sentence."""
    if at == len(path):
        return None
    step, here = path[at], _written(path[:at])
    if step == ELEMENT:
        elements = cast("list[Json]", value) if isinstance(value, list) else []
        return next((gap for element in elements if (gap := _gap(element, path, at + 1))), None)
    if not isinstance(value, Mapping):
        return step, f"`{here}` is {_kind(value)}, it has no field `{step}`"
    fields = cast("Mapping[str, Json]", value)
    return _gap(fields[step], path, at + 1) if step in fields else (step, f"`{_written(path[: at + 1])}` is missing")


def _written(path: Path) -> str:
    return ".".join(path).replace(f".{ELEMENT}", ELEMENT)


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case list() | tuple():
            return "a list"
        case _:
            return "text"
