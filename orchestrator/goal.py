"""What people say they want, as values: a goal's words, its compiled form, and its versions. Part of `types`."""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from orchestrator.limits import Budget, Cooldown, Quiet, Rate

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, a list of them, or a dict from str to them."""

OnUnknown = Literal["hold", "retry", "drop"]


class Call(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A tool with arguments, as a person writes it: a string that begins with `=` is a CEL expression."""

    tool: str
    args: dict[str, Json] = {}


class May(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Leave for the tools a glob names, where the CEL condition over `args`, `event`, `goal` and `history` holds."""

    tool: str
    when: str | None = None


class Approve(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """So many people are asked before the tools that a glob names are called."""

    tool: str
    people: Annotated[int, Meta(ge=1, le=100)] = 1


class Window(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`count` matches `within` a time, and at most once per `once_within`; `by` is CEL and keeps keys apart."""

    count: int = 1
    within: str | None = None
    once_within: str | None = None
    by: str = "event.subject"


class Want(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is to be kept true: CEL `holds` over event and `see`, checked after Act until `within` has passed."""

    holds: str
    within: str = "1m"
    see: dict[str, Call] = {}


class Blast(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """At most so many different values of `each` (CEL over `args` and `event`) `per` time, over actions of a tool.

    tool: a glob. most: a number, or a share such as `5%` of what the read-only call `of` answers as `value`.
    """

    tool: str
    each: str
    most: Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?%$")]
    of: Call | None = None
    per: str = "1d"


Weight = Annotated[float, Meta(ge=0, le=1_000_000)]
"""From 0 up, and finite."""


class Weights(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the choice weighs fit against cost and latency."""

    fit: Weight = 1.0
    cost: Weight = 0.2
    latency: Weight = 0.1


class Goal(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A person's sentence (`text`) plus its compiled form. Field by field as in the README's chapter on goals.

    `id` holds no white space, `@`, `/` or `#`: names of versions, actions and positions are made with those.
    `may` is the grant; without it a goal may call exactly the tools its `do` names. Durations are texts such as `90s`
    or `1h`. `on` left out means: found by meaning.
    `on_unknown`: where nobody knows whether a call took effect, the plan ends and a person is told (`hold`), also where
    calling again with the same key has not helped (`retry`), or the plan goes on (`drop`).
    """

    id: Annotated[str, Meta(pattern=r"^[^\s@/#]+$", max_length=100)]
    text: str
    on: tuple[str, ...] = ()
    when: str | None = None
    let: dict[str, Call] = {}
    window: Window | None = None
    want: Want | None = None
    may: tuple[str | May, ...] = ()
    approve: tuple[str | Approve, ...] = ()
    do: tuple[Call, ...] = ()
    decide: Literal["compiled", "model"] | None = None
    fallback: Literal["act", "clarify"] = "clarify"
    unsure: Literal["skip", "clarify"] = "skip"
    on_unknown: OnUnknown = "hold"
    fresh: str | None = None
    weights: Weights = Weights()
    rate: Rate = Rate()
    budget: Budget | None = None
    examples: tuple[str, ...] = ()
    owner: str = ""
    quiet: Quiet | None = None
    cooldown: Cooldown | None = None
    blast: tuple[Blast, ...] = ()
    dry_run: bool = False


class GoalVersion(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A goal as it stood from a journal position on. `home` says where it is edited.

    set_by: the person who set this version through a door that knows people; None where it was set on the machine.
    """

    goal: Goal
    version: int
    home: Literal["settings", "journal"]
    paused: bool = False
    position: int = 0
    set_by: str | None = None

    @property
    def name(self) -> str:
        """`id@version`, as records and people name it."""
        return f"{self.goal.id}@{self.version}"
