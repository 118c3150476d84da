"""The one file that touches the CEL library: environments, programs, and what they raise. Typed, nothing more."""

import ctypes
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeAlias, cast

from cel_expr_python import cel  # pyright: ignore[reportMissingTypeStubs]  it brings stubs, but does not say so
from cel_expr_python.ext import ext_math, ext_strings  # pyright: ignore[reportMissingTypeStubs]

RAISED = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""What the library raises, for compiling and evaluating: C++ exceptions as its binding translates them."""
TIMES = ("now", "event.time")
"""Variables that are CEL timestamps. A map cannot hold one, a qualified name can."""

Activation: TypeAlias = Any


class Value(Protocol):
    """A result."""

    def type(self) -> Any:
        """Its kind; `.name()` is ERROR for an evaluation error."""
        ...

    def plain_value(self) -> Any:
        """The Python value, or the text of an error."""
        ...


class Program(Protocol):
    """A compiled expression."""

    def eval(self, activation: Activation = None, *, data: Mapping[str, Any] | None = None) -> Value:
        """Evaluate over an activation or over data."""
        ...

    def return_type(self) -> Any:
        """The kind of result the checker expects; `.name()` is DYN where it cannot know."""
        ...

    def serialize(self) -> bytes:
        """The checked syntax tree."""
        ...


class Environment(Protocol):
    """What an expression may name."""

    def compile(self, expression: str) -> Program:
        """Parse and check."""
        ...

    def Activation(self, data: Mapping[str, Any]) -> Activation:  # noqa: N802  the library's own word
        """Values that several programs of this environment share; converted once."""
        ...


@lru_cache(maxsize=256)
def environment(variables: tuple[str, ...]) -> Environment:
    """An environment with these variables, the strings and the math extension.

    Raises:
        RuntimeError: a variable takes the name of a CEL type.
    """
    known = {name: cel.Type.TIMESTAMP if name in TIMES else cel.Type.DYN for name in _qualified(variables)}
    return cast("Environment", cel.NewEnv(variables=known, extensions=[ext_strings.ExtStrings(), ext_math.ExtMath()]))


def _qualified(variables: Iterable[str]) -> list[str]:
    names = list(variables)
    return [*names, "event.time"] if "event" in names else names


def plain(value: Value) -> Any:
    """The Python value of a result, or the text of an error.

    The library gives None away without owning it: where None can die (before Python 3.12, PEP 683), the process ended
    after some thousand results that were null. So one more reference is taken for each.
    """
    found = value.plain_value()
    if _MORTAL:
        _repay(found)
    return found


_MORTAL = sys.version_info < (3, 12)
_NONE = ctypes.py_object(None)


def _repay(value: Any) -> None:
    if value is None:
        ctypes.pythonapi.Py_IncRef(_NONE)
    elif isinstance(value, dict):
        for inner in cast("dict[Any, Any]", value).values():
            _repay(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            _repay(inner)
