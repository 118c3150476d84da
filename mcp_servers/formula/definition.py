"""A formula as people write it: text over parameters with units and ranges, its source, and examples that must hold.

Plain values, read from TOML or from a tool's arguments. Nothing is compiled or tried here: `formula.py` does.
"""

import keyword
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

import msgspec
from msgspec import Struct

from mcp_servers.formula.bounds import EXAMPLES, UNIT, WORDS
from mcp_servers.formula.limits import VARIABLES, FormulaError
from mcp_servers.words import plain

Argument: TypeAlias = float | str | list[float]
"""A number, one of a parameter's `choices`, or a series."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_KIND = re.compile(r"`([a-z |]+)`")
_KINDS = {
    "str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "float | null": "a number", "float | str | null": "a number or a text", "float | array": "a number or a list",
    "float | str | array": "a number, a text or a list", "object": "an object", "null": "nothing",
}  # fmt: skip


class Parameter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One value a formula is given: a finite number, one of some words, or a series of numbers.

    unit: what a number counts, such as `USD` or `1/year`. about: what it is. min, max: the ends of its range,
    inclusive; above, below: exclusive ones. default: what counts where none is given. choices: words and the number
    that the formula reads for each. series: whether it is a list of numbers, with at least `least` of them; written
    `list`.
    """

    unit: str = ""
    about: str = ""
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    default: float | str | None = None
    choices: dict[str, float] = {}
    series: bool = msgspec.field(default=False, name="list")
    least: int = 0


class Example(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Arguments and the value they give, to a relative `tolerance`; nan and inf stand for themselves."""

    arguments: dict[str, Argument]
    value: float | list[float]
    tolerance: float = 1e-9


class Definition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A formula by name and version.

    about: what it gives, in a sentence. unit: of what it gives. source: where it is from. where: names for parts of the
    expression; each may use parameters and the parts before it. The rest is as its type says.
    """

    name: str
    expression: str
    about: str
    version: int = 1
    unit: str = ""
    source: str = ""
    parameters: dict[str, Parameter] = {}
    where: dict[str, str] = {}
    examples: list[Example] = []

    @property
    def title(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


class _File(Struct, forbid_unknown_fields=True):
    formulas: list[Definition] = []


def definition_of(given: Mapping[str, Any]) -> Definition:
    """One definition from plain values; its version is for whoever keeps it to give.

    Raises:
        FormulaError: a key is unknown or missing, or a value has the wrong type or is too large.
    """
    if "version" in given:
        raise FormulaError("versions are given, not taken: leave `version` out")
    return _checked(_converted(given, Definition))


def definitions_of(given: Mapping[str, Any], *, file: Path) -> list[Definition]:
    """All that a file's tables `[[formulas]]` hold.

    Raises:
        FormulaError: as `definition_of`; the text names the file.
    """
    try:
        return [_checked(one) for one in _converted(given, _File).formulas]
    except FormulaError as error:
        raise FormulaError(f"{file}: {error}") from None


def as_tables(definitions: list[Definition]) -> dict[str, Any]:
    """Definitions as plain values for TOML: the reverse of `definitions_of`."""
    return {"formulas": cast("list[Any]", msgspec.to_builtins(definitions))}


def _converted(given: Mapping[str, Any], kind: type[Any]) -> Any:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        text = _KIND.sub(lambda kind: _KINDS.get(kind[1], kind[0]), str(error))
        place = _PLACE.search(text)
        words = _PLACE.sub("", text)
        where = f"`{plain(place[1])}`: " if place else ""
        raise FormulaError(f"this is no formula: {where}{plain(words[:1].lower() + words[1:], 200)}") from None


def _checked(one: Definition) -> Definition:
    if not _NAME.fullmatch(one.name) or keyword.iskeyword(one.name):
        raise FormulaError(f"`{plain(one.name)}` is no name for a formula; use a-z, 0-9 and `_`, a letter first")
    if fault := _wordy(one) or _large(one):
        raise FormulaError(f"formula `{one.name}`: {fault}")
    for name, parameter in one.parameters.items():
        if fault := _fault(parameter):
            raise FormulaError(f"formula `{one.name}`: parameter `{plain(name)}` {fault}")
    return one


def _wordy(one: Definition) -> str | None:
    texts = {"about": (one.about, WORDS), "source": (one.source, WORDS), "unit": (one.unit, UNIT)}
    for name, parameter in one.parameters.items():
        texts |= {
            f"parameters.{name}.about": (parameter.about, WORDS),
            f"parameters.{name}.unit": (parameter.unit, UNIT),
        }
    for place, (text, most) in texts.items():
        if len(text) > most:
            return f"`{plain(place)}` has {len(text):,} characters; at most {most:,} are taken"
        if not text.isprintable():
            return f"`{plain(place)}` has characters that cannot be printed, or several lines"
    return None


def _large(one: Definition) -> str | None:
    if one.version < 1:
        return f"versions are counted from 1, not {one.version}"
    if len(one.parameters) > VARIABLES:
        return f"it has {len(one.parameters):,} parameters; at most {VARIABLES} are taken"
    if len(one.examples) > EXAMPLES:
        return f"it has {len(one.examples):,} examples; at most {EXAMPLES} are taken"
    return None


def _fault(parameter: Parameter) -> str | None:
    ends = (parameter.min, parameter.max, parameter.above, parameter.below)
    if any(end is not None and not math.isfinite(end) for end in ends):
        return "has an end of its range that is not finite"
    if parameter.min is not None and parameter.above is not None:
        return "has both `min` and `above`; give one"
    if parameter.max is not None and parameter.below is not None:
        return "has both `max` and `below`; give one"
    if not all(map(math.isfinite, parameter.choices.values())):
        return "has a choice whose number is not finite"
    if parameter.choices and (parameter.series or any(end is not None for end in ends)):
        return "has `choices`, so it has no range and is no list"
    if parameter.series and parameter.default is not None:
        return "is a list, so it has no default"
    if parameter.least and not parameter.series:
        return "is no list, so it has no `least`"
    return None
