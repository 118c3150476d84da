"""`[policy]` and `[owners]` of `mdl.toml`: plain values, read and checked. Judges nothing, and reads no file.

Both are kept in the journal but for `own`, so they hold no secret.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct

from orchestrator.clock import seconds
from orchestrator.errors import SettingsError
from orchestrator.limits import Breaker, Budget, Quiet, Repeat, Rules, SharedBudget
from orchestrator.types import Json

T = TypeVar("T")


class PolicyTable(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[policy]`: what holds for every goal. `own`: functions of one's own, as `FILE:FUNCTION`."""

    quiet: Quiet | None = None
    dry_run: bool = False
    repeat: Repeat | None = None
    budgets: tuple[SharedBudget, ...] = ()
    own: tuple[str, ...] = ()

    def rules(
        self, owners: Mapping[str, "OwnerTable"], *, dry: tuple[str, ...], breakers: Mapping[str, Breaker]
    ) -> Rules:
        """The rules for every goal, with the owners', the tools in dry-run, and the breakers."""
        return Rules(
            quiet=self.quiet,
            dry_run=self.dry_run,
            dry=dry,
            repeat=self.repeat,
            budgets=self.budgets,
            owners={name: owner.may for name, owner in owners.items()},
            breakers=dict(breakers),
        )


class OwnerTable(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[owners.NAME]`: globs of the tools that goals of this owner may be granted."""

    may: tuple[str, ...]


def policy_table(table: Json) -> PolicyTable:
    """Read `[policy]`.

    Raises:
        SettingsError: an unknown key, or a value that cannot be meant.
    """
    found = _convert("policy", table, PolicyTable)
    for place, problem in _problems(found):
        raise SettingsError(f"`policy.{place}`: {problem}")
    return found


def owner_tables(table: Json) -> dict[str, OwnerTable]:
    """Read `[owners]`.

    Raises:
        SettingsError: as `policy_table`.
    """
    if not isinstance(table, dict):
        raise SettingsError("`owners` is a table; begin each owner with [owners.NAME]")
    named = cast("dict[str, Json]", table)
    return {name: _convert(f"owners.{name}", one, OwnerTable) for name, one in named.items()}


def breaker_table(table: Json) -> Breaker:
    """Read the `breaker` of a tool or server.

    Raises:
        SettingsError: as `policy_table`.
    """
    try:
        found = msgspec.convert(table, Breaker)
    except msgspec.ValidationError as error:
        raise SettingsError(_said(error)) from error
    for place in ("within", "rest"):
        seconds(getattr(found, place))
    return found


def zone_problem(quiet: Quiet) -> str | None:
    """Why quiet hours cannot be meant; None when they can."""
    if quiet.from_ == quiet.until:
        return f"from {quiet.from_} until {quiet.until} is no time at all; `dry_run = true` calls nothing at any hour"
    try:
        ZoneInfo(quiet.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"`{quiet.tz}` is no time zone; write for example `Europe/Berlin`"
    return None


def budget_problem(budget: Budget) -> str | None:
    """Why a budget cannot be meant; None when it can."""
    if budget.empty:
        return "it limits nothing; give at least one of `actions`, `usd`, `tokens` and `sum`"
    return None


def _problems(table: PolicyTable) -> Iterator[tuple[str, str]]:
    if table.quiet and (problem := zone_problem(table.quiet)):
        yield "quiet", problem
    for number, budget in enumerate(table.budgets, 1):
        if problem := budget_problem(budget):
            yield f"budgets.{number}", problem
        if budget.tokens is not None and budget.tool != "*":
            yield f"budgets.{number}", "tokens are taken by questions, not by tools; leave `tool` out"
        yield from _duration(f"budgets.{number}.per", budget.per)
    if table.repeat:
        yield from _duration("repeat.within", table.repeat.within)
    for number, name in enumerate(table.own, 1):
        if not all(name.rpartition(":")[::2]):
            yield f"own.{number}", f"`{name}` is not `FILE:FUNCTION`, such as `policies.py:office_hours`"


def _duration(place: str, text: str) -> Iterator[tuple[str, str]]:
    try:
        seconds(text)
    except SettingsError as error:
        yield place, str(error)


def _convert(place: str, value: Json, type_: type[T]) -> T:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise SettingsError(f"`{place}`: {_said(error)}") from error


def _said(error: msgspec.ValidationError) -> str:
    return str(error).replace("Object contains", "").replace("Object missing", "missing").replace("`$.", "`").strip()
