"""Limits as people write them, for one goal or for all. Plain values: nothing here is counted, and nothing refused.

Durations are texts such as `90s` or `1d`; tools, goals and owners are named by globs, in which only `*` is special.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

_Count: TypeAlias = Annotated[int, Meta(ge=0)]
_Amount: TypeAlias = Annotated[float, Meta(ge=0)]
_Clock: TypeAlias = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Rate(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """At most `actions` per goal and subject `per` time."""

    actions: _Count = 30
    per: str = "1m"


class Budget(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The most that may be spent `per` time, over all subjects; what is left out is not limited.

    usd: what actions cost, as declared. tokens: what a model takes in and gives, as its planner reports it. sum: by
    name of an argument, what it adds up to over all actions; a value below zero counts as it would above.
    """

    actions: _Count | None = None
    per: str = "1d"
    usd: _Amount | None = None
    tokens: _Count | None = None
    sum: dict[str, _Amount] = {}

    @property
    def empty(self) -> bool:
        """Whether it limits nothing."""
        return self.actions is None and self.usd is None and self.tokens is None and not self.sum


class SharedBudget(Budget, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A budget that all actions share which match all three globs."""

    goal: str = "*"
    owner: str = "*"
    tool: str = "*"

    @property
    def account(self) -> str:
        """The name under which it is counted; no goal is called so."""
        return f"\n{self.goal}\n{self.owner}\n{self.tool}"

    @property
    def whose(self) -> str:
        """Whose budget it is, in words."""
        named = {"goals": self.goal, "owner": self.owner, "tools": self.tool}
        return ", ".join(f"{word} `{glob}`" for word, glob in named.items() if glob != "*") or "all goals"


class Quiet(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, rename={"from_": "from"}
):
    """Hours of the day, in a time zone, in which only what `but` names is called; they may run over midnight."""

    from_: _Clock
    until: _Clock
    tz: str = "UTC"
    but: tuple[str, ...] = ()


class Repeat(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """At most so many near-duplicates of one call `within` a time."""

    most: _Count
    within: str


class Cooldown(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """After an action, none with the same `key` (CEL over `args` and `event`) until a `pause` is over."""

    key: str
    pause: str


class Breaker(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """After so many `failures` `within` a time nothing is called for a `rest`; then one call tries it again."""

    failures: Annotated[int, Meta(ge=1, le=1000)] = 5
    within: str = "1m"
    rest: str = "30s"


class Rules(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What holds for every goal, whatever its own words: they can only narrow it.

    dry: tools that are in dry-run. owners: by owner, globs of the tools that the owner's goals may call. breakers: by
    tool (`server.tool`) or server.
    """

    quiet: Quiet | None = None
    dry_run: bool = False
    dry: tuple[str, ...] = ()
    repeat: Repeat | None = None
    budgets: tuple[SharedBudget, ...] = ()
    owners: dict[str, tuple[str, ...]] = {}
    breakers: dict[str, Breaker] = {}
