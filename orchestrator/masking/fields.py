"""Field rules: the paths of an event whose values are masked whole, whatever they hold."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from orchestrator.errors import SettingsError

Rules: TypeAlias = Mapping[str, "Rules | None"]
"""Rules by step; None where a rule ends, and `*` is any one step."""

_NEVER = frozenset({"specversion", "time", "extensions"})


def rules_of(paths: Iterable[str]) -> Rules:
    """Paths such as `data.customer.email`, joined by their steps.

    Raises:
        SettingsError: one is no path, or names what no event may be without.
    """
    whole: dict[str, Rules | None] = {}
    for path in paths:
        steps = path.split(".")
        if not all(steps) or steps[0] in _NEVER or steps[0] == "*":
            raise SettingsError(f"`{path}` is no path below an event; write `data.card`, `data.*.email` or `subject`")
        _put(whole, steps)
    return whole


def below(rules: Iterable[Rules], step: str) -> tuple[tuple[Rules, ...], bool]:
    """The rules one step further down, and whether one of them ends there."""
    found = [inner for one in rules for name in (step, "*") for inner in ((one[name],) if name in one else ())]
    return tuple(one for one in found if one is not None), any(one is None for one in found)


def _put(rules: "dict[str, Rules | None]", steps: list[str]) -> None:
    first, *rest = steps
    if not rest:
        rules[first] = None
    elif (inner := rules.setdefault(first, {})) is not None:  # a shorter rule masks all below it
        _put(inner, rest)  # type: ignore[arg-type]
