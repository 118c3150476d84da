"""Two turns of one event held against each other, goal by goal: what was, what would be. Looks nothing up."""

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.types import Action, Decision, Json, Judgement, Touch, Turn, canonical

_LONGEST = 60


NEVER_READ = "was never read for this event"
"""How the error of a `let` ends that the record has no result of."""


class Side(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What became of an event for one goal, in words and in full.

    `unknown` are the ids of actions that were never taken, so that nobody knows their outcome.
    """

    text: str
    touch: Touch | None = None
    decision: Decision | None = None
    judgements: tuple[Judgement, ...] = ()
    unknown: tuple[str, ...] = ()


class Apart(Struct, frozen=True):
    """One goal (`id@version`) for which two turns differ; `ends` says whether also in what becomes of the event."""

    goal: str
    before: Side
    after: Side
    ends: bool


NOTHING = Side(text="not touched")
GONE = Side(text="would not have come")


def apart(before: Turn | None, after: Turn | None, *, changed: Callable[[str], bool]) -> Iterator[Apart]:
    """The goals for which two turns differ.

    Of a goal that was `changed` only the ends count (touched or not, stopped or not, the calls and the verdicts on
    them): other words, numbers and scores follow from the change itself. Of all others everything counts but the time
    the stages took.
    """
    if before and after and canonical(_untimed(before)) == canonical(_untimed(after)):
        return  # most of them, and quickly
    before, after = before and _untimed(before), after and _kept(after)
    known = _granted(before) if before else frozenset[str]()
    goals, some = _goals(before, after), False
    for goal in goals:
        one, other = side(before, goal), side(after, goal, known=known)
        ends = _end(one) != _end(other)
        if ends or (not changed(goal) and _full(one) != _full(other)):
            some = True
            yield Apart(goal, one, other, ends)
    if before and after and not some and not any(map(changed, goals)) and _bits(before) != _bits(after):
        yield Apart("", Side(text=_order(before)), Side(text=_order(after)), ends=False)


def side(turn: Turn | None, goal: str, *, known: frozenset[str] | None = None) -> Side:
    """What a turn holds for a goal; `known` are the actions that were taken, left out: all."""
    touch = next((one for one in turn.touches if one.goal == goal), None) if turn else None
    if turn is None or touch is None:
        return NOTHING
    decision = next((one for one in turn.decisions if one.goal == goal), None)
    actions = {action.id for action in decision.actions} if decision else set[str]()
    judgements = tuple(one for one in turn.judgements if one.action in actions)
    granted = [one.action for one in judgements if one.kind == "grant"]
    unknown = tuple(id_ for id_ in granted if known is not None and id_ not in known)
    text = _text(touch, decision, judgements) + (", its outcome unknown" if unknown else "")
    return Side(text=text, touch=touch, decision=decision, judgements=judgements, unknown=unknown)


def unsaid(touch: Touch | None) -> bool:
    """Whether what becomes of a touch cannot be said, since the record lacks what a `let` would have given."""
    return touch is not None and touch.stopped is not None and touch.stopped.endswith(NEVER_READ)


def verdicts(turn: Turn | None) -> dict[str, str]:
    """What was said of each action of a turn."""
    return {one.action: one.kind for one in turn.judgements} if turn else {}


def first_apart(one: Side, other: Side) -> str:
    """The first place at which two sides differ that end the same."""
    return next(_paths(_sides(one), _sides(other), ""), "its goals stand in another order")


def _text(touch: Touch, decision: Decision | None, judgements: tuple[Judgement, ...]) -> str:
    if touch.stopped is not None:
        return f"{'cannot be said' if unsaid(touch) else 'nearly'}: {touch.stopped}"
    if decision is None:
        return "touched"
    if decision.verdict != "act":
        return f"{decision.verdict}: {decision.reason}"
    calls = "; ".join(map(_call, decision.actions)) or "no call"
    held = next((one for one in judgements if one.kind != "grant"), None)
    if held is None:
        return calls
    return f"{calls} {f'refused by {held.policy}' if held.kind == 'deny' else 'waits for a person'}"


def _call(action: Action) -> str:
    arguments = ", ".join(f"{name}={_short(value)}" for name, value in action.arguments.items())
    return f"{action.tool}({arguments})"


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _end(one: Side) -> Json:
    if one.touch is None or one.touch.stopped is not None:
        return one.touch is None
    verdict = one.decision and (one.decision.verdict, [action.id for action in one.decision.actions])
    return verdict, [(judgement.action, judgement.kind, judgement.policy) for judgement in one.judgements]


def _full(one: Side) -> bytes:
    return _bits([one.touch, one.decision, one.judgements])


def _bits(value: Any) -> bytes:
    return canonical(_whole(value))


def _kept(turn: Turn) -> Turn:
    """A turn as the journal would give it back: 0 as 0.0 where a float is meant."""
    return msgspec.json.decode(canonical(_untimed(turn)), type=Turn)


def _untimed(turn: Turn) -> Turn:
    return replace(turn, seconds={}, seen=0)


def _whole(value: Any) -> Json:
    """A value with every field, also those at their defaults: whether JSON leaves one out says nothing."""
    match value:
        case Struct():
            return {name: _whole(getattr(value, name)) for name in value.__struct_fields__}
        case list() | tuple():
            return [_whole(inner) for inner in cast("list[Any]", value)]
        case dict():
            return {name: _whole(inner) for name, inner in cast("dict[str, Any]", value).items()}
        case _:
            return value


def _goals(*turns: Turn | None) -> list[str]:
    return list(dict.fromkeys(touch.goal for turn in turns if turn for touch in turn.touches))


def _granted(turn: Turn) -> frozenset[str]:
    return frozenset(one.action for one in turn.judgements if one.kind == "grant")


def _order(turn: Turn) -> str:
    return ", ".join(touch.goal for touch in turn.touches)


def _sides(one: Side) -> Json:
    return {"touch": _whole(one.touch), "decision": _whole(one.decision), "judgements": _whole(one.judgements)}


def _paths(one: Json, other: Json, path: str) -> Iterator[str]:
    if canonical(one) == canonical(other):
        return
    if isinstance(one, dict) and isinstance(other, dict):
        ours, theirs = cast("dict[str, Json]", one), cast("dict[str, Json]", other)
        for name in sorted({*ours, *theirs}):
            yield from _paths(ours.get(name), theirs.get(name), f"{path}.{name}" if path else name)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):  # pyright: ignore[reportUnknownArgumentType]
        for place, (mine, their) in enumerate(zip(one, other, strict=True)):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            yield from _paths(mine, their, f"{path}.{place}")
    else:
        yield f"{path}: {_short(one)} → {_short(other)}"
