"""Arguments against parameters: a number within its range, one of some words, or a list; in one sentence if not.

What passes is a float or an array of finite float64. Knows no expression.
"""

import difflib
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np

from mcp_servers.formula.definition import Parameter
from mcp_servers.formula.functions import Array
from mcp_servers.formula.limits import ELEMENTS, NAME, FormulaError
from mcp_servers.words import plain

MISSING: Final = object()
"""Stands for an argument that was not given."""

_LARGEST = sys.float_info.max
_NUMBERS = frozenset({int, float})


class Slot:
    """A parameter as the place an argument goes into.

    Attributes:
        name: the parameter's name.
        parameter: as it is defined.
        low, high: the least and the largest double of its range, so that one comparison also stops inf and NaN.
        default: what counts where none is given; None where there is none.
    """

    __slots__ = ("default", "high", "low", "name", "parameter")

    def __init__(self, name: str, parameter: Parameter) -> None:
        """Take the parameter.

        Raises:
            FormulaError: the range is empty, or the default does not fit it.
        """
        self.name, self.parameter, self.default = name, parameter, None
        self.low, self.high = _ends(parameter)
        if self.low > self.high:
            raise FormulaError(f"the range of `{name}` is empty: {told(parameter)}")
        if parameter.default is not None:
            self.default = self.number(parameter.default)

    def take(self, value: object) -> float | Array:
        """The value as the formula reads it.

        Raises:
            FormulaError: it does not fit; the text names the parameter, its unit and its range.
        """
        return self._listed(value) if self.parameter.series else self.number(value)

    def number(self, value: object) -> float:
        """As `take`, for a parameter that is no list."""
        if isinstance(value, float) and not self.parameter.choices and self.low <= value <= self.high:
            return value
        if value is MISSING:
            if self.default is None:
                raise FormulaError(f"`{self.name}` is missing; it must be {told(self.parameter)}")
            return self.default
        if self.parameter.choices:
            if isinstance(value, str) and value in self.parameter.choices:
                return self.parameter.choices[value]
        elif (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= (number := _double(value)) <= self.high
        ):
            return number
        raise self._misfit(_shown(value))

    def column(self, values: Sequence[object]) -> tuple[Array, dict[int, str]]:
        """Many arguments for one parameter that is no list, NaN for what does not fit; and what to say of that."""
        if not self.parameter.choices and set(map(type, values)) <= _NUMBERS:
            try:
                column = np.array(values, dtype=np.float64)
            except OverflowError:
                column = np.array([math.nan])
            if ((column >= self.low) & (column <= self.high)).all():
                return column, {}
        wrong: dict[int, str] = {}
        column = np.full(len(values), math.nan)
        for at, value in enumerate(values):
            try:
                column[at] = self.number(value)
            except FormulaError as error:
                wrong[at] = str(error)
        return column, wrong

    def _listed(self, value: object) -> Array:
        if value is MISSING:
            raise FormulaError(f"`{self.name}` is missing; it must be {told(self.parameter)}")
        if not isinstance(value, list):
            raise self._misfit(_shown(value))
        values = cast("list[Any]", value)
        if len(values) > ELEMENTS:
            raise FormulaError(f"`{self.name}` has {len(values):,} numbers; at most {ELEMENTS:,} are taken")
        if len(values) < self.parameter.least:
            raise self._misfit(f"a list of {len(values)}")
        for at, one in enumerate(values):
            number = _double(one) if type(one) in _NUMBERS else math.nan
            if not self.low <= number <= self.high:
                raise self._misfit(f"{_shown(one)} (at place {at} from 0)")
        return np.array(values, dtype=np.float64)

    def _misfit(self, shown: str) -> FormulaError:
        return FormulaError(f"`{self.name}` must be {told(self.parameter)}, not {shown}")


def told(parameter: Parameter) -> str:
    """What fits a parameter, in words: `a number above 0, in USD`."""
    if parameter.choices:
        return " or ".join(f"`{word}`" for word in parameter.choices)
    least = f"at least {parameter.least} " if parameter.least else ""
    what = f"a list of {least}numbers" if parameter.series else "a number"
    ends = " ".join(filter(None, (_lower(parameter), _upper(parameter))))
    unit = f" ({parameter.unit})" if parameter.unit else ""
    return f"{what} {ends}{unit}" if ends else f"{what}{unit}"


def stranger(given: Iterable[str], known: Mapping[str, Any]) -> FormulaError:
    """What to say of arguments for which there is no parameter."""
    name = next(name for name in given if name not in known)
    near = difflib.get_close_matches(name[:NAME], known, n=1)
    names = ", ".join(f"`{one}`" for one in known) or "none"
    mend = f"did you mean `{near[0]}`?" if near else f"there are {names}"
    return FormulaError(f"there is no parameter `{plain(name)}`; {mend}")


def _lower(parameter: Parameter) -> str:
    if parameter.above is not None:
        return f"above {parameter.above:g}"
    return "" if parameter.min is None else f"from {parameter.min:g}"


def _upper(parameter: Parameter) -> str:
    if parameter.below is not None:
        return f"below {parameter.below:g}"
    return "" if parameter.max is None else f"up to {parameter.max:g}"


def _ends(parameter: Parameter) -> tuple[float, float]:
    low, high = -_LARGEST, _LARGEST
    if parameter.min is not None:
        low = parameter.min
    elif parameter.above is not None:
        low = math.nextafter(parameter.above, math.inf)
    if parameter.max is not None:
        high = parameter.max
    elif parameter.below is not None:
        high = math.nextafter(parameter.below, -math.inf)
    return low, high


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            number = _double(value)
            if math.isfinite(number):
                return f"{number:.15g}"
            return "an integer that no double holds" if isinstance(value, int) else f"{value}, which is not finite"
        case str():
            return f"the text `{plain(value, 40)}`"
        case list():
            return "a list"
        case _:
            return "an object"
