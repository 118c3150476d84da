"""What policies may look at for one action: looked up in the projection, and among what its own turn has granted.

Knows what limits a goal has, and how they are counted; whether they hold is the policies' to say. A goal without any of
these limits costs it a few attribute tests.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.breakers import CLOSED, circuits_of, health
from orchestrator.clock import seconds, utc
from orchestrator.counted import Health
from orchestrator.decide.planner import Question, Resting
from orchestrator.errors import EvaluationError, ExpressionError
from orchestrator.expressions import compile_expression, event_variables
from orchestrator.guard import breaker
from orchestrator.guard.owners import beyond
from orchestrator.guard.repeat import likeness
from orchestrator.journal.spending import DAY, KEPT_PAST, known
from orchestrator.journal.state import ALL, State, since, times_since
from orchestrator.limits import Cooldown, Rules, SharedBudget
from orchestrator.orient.enrich import Lets, Read
from orchestrator.sinks import Sinks, nowhere
from orchestrator.terms import Radius, Terms
from orchestrator.types import (
    Action,
    Blast,
    Call,
    Cooling,
    Event,
    Goal,
    Json,
    Reach,
    Situation,
    Spent,
    canonical,
)

Granted: TypeAlias = Sequence[tuple[Action, Situation]]
"""Actions that the turn being judged has granted already."""

MOST_KEYS = 100_000
"""Keys that cool down, and kinds of near-duplicates, at a time; beyond, no new key has leave, and new kinds are one."""
_LONGEST = 200
_READS = ("args", "event")


class Asking(Struct, frozen=True, gc=False):
    """One action to be judged: for which goal and event, when (epoch seconds), after what the turn has granted."""

    state: State
    goal: Goal
    event: Event
    action: Action
    now: float
    granted: Granted

    def value(self, text: str, read: Mapping[str, Json]) -> str:
        """What CEL over `args` and `event` gives, as a text that stands for it; `read` is the event as CEL does.

        Raises:
            ExpressionError, EvaluationError: it gives nothing, or too much.
        """
        given = {"args": self.action.arguments, **read}
        value = canonical(compile_expression(text, _READS).value(given)).decode()
        if len(value) > _LONGEST:
            raise EvaluationError(f"`{text}` gives a text of {len(value)} characters; a key has at most {_LONGEST}")
        return value

    @property
    def own(self) -> list[Situation]:
        """The situations of what the turn has granted to the same goal."""
        return [one for other, one in self.granted if other.goal == self.action.goal]


def situate(
    asking: Asking,
    terms: Terms,
    *,
    usd: float,
    read: Mapping[str, Json],
    found: dict[str, Any],
    counted: Sequence[float | str | None] = (),
    approved_by: str | None = None,
) -> Situation:
    """The situation of one action.

    Args:
        asking: the action.
        terms: those of the goal version whose leave counts.
        usd: what the action costs, as declared.
        read: `event` and `goal` as CEL reads them; nothing, where no limit does.
        found: fields of the situation that are known already; the others go there, too.
        counted: what the calls of the goal's blast radius gave, or why they gave nothing.
        approved_by: who approved exactly this action.
    """
    state, goal, now = asking.state, asking.goal, asking.now
    if state.stopped and (stop := state.stop(goal.id)):
        found["stopped"] = (goal.id if goal.id in state.stopped else ALL, stop.by)
    if terms.shared or terms.sums:
        found |= _spent(asking, terms)
    if state.rules.repeat is not None:
        found |= _repeated(asking, now - seconds(state.rules.repeat.within))
    if goal.cooldown is not None:
        found["cooling"] = _cooling(asking, goal.cooldown, read)
    if terms.blasts:
        found["reach"] = tuple([_reach_of(asking, radius, counted, read) for radius in terms.blasts])
    if terms.circuits:
        found["health"] = _health(asking, terms.circuits)
    reserved = [one.usd for one in asking.own] if asking.granted else ()
    return state.situation(
        terms.version, asking.event, now=now, usd=usd, reserved=reserved, approved_by=approved_by, known=found
    )


async def counted(
    goal: Goal, event: Event, read: Read, *, rules: Rules | None = None, sinks: Sinks = nowhere
) -> tuple[float | str | None, ...]:
    """What the calls of a goal's blast radius give now: a number, or why there is none."""
    found: list[float | str | None] = []
    for blast in goal.blast:
        if blast.of is None:
            found.append(None)
            continue
        if rules is not None and (reason := beyond(goal, blast.of.tool, rules)) is not None:
            found.append(reason)
            continue
        lets, variables = Lets(read, sinks=sinks), event_variables(event)
        filled = await lets.fill({"of": blast.of}, ["of"], variables, needs={"of": frozenset()})
        found.append((filled.error or "").removeprefix("`let.of` ") or _number(blast.of, filled.values["of"]))
    return tuple(found)


def _number(call: Call, result: Json) -> float | str:
    value = cast("dict[str, Json]", result).get("value") if isinstance(result, dict) else None
    amount = _amount(value)
    return f"`{call.tool}` gives no number as `value`" if amount is None else amount


def resting(question: Question, state: State, now: float) -> Resting:
    """Those of the tools a question is about that are left alone for their breakers' sake, and why."""
    if not state.rules.breakers:
        return {}
    found = {one.name: _stands(state, circuits_of(one.name, state.rules), now=now) for one in question.tools}
    reasons = {name: [breaker.resting(one, now=now) for one in circuits] for name, circuits in found.items()}
    return {name: told for name, said in reasons.items() if (told := next(filter(None, said), None))}


def history(asking: Asking) -> tuple[dict[str, Json], ...]:
    """The goal's granted actions of the last day, newest first, as CEL reads them."""
    present = [(other, one) for other, one in asking.granted if other.goal == asking.action.goal]
    subject = asking.event.subject
    newest = [_past(other.tool, other.arguments, subject, one.now, "granted") for other, one in reversed(present)]
    known_ = reversed(asking.state.histories.get(asking.goal.id, ()))
    kept = takewhile(lambda past: past.at > asking.now - DAY, known_)
    before = [_past(past.tool, past.args, past.subject, past.at, past.status) for past in kept]
    return tuple([*newest, *before][:KEPT_PAST])


def _past(tool: str, args: dict[str, Json], subject: str | None, at: float, status: str) -> dict[str, Json]:
    return {"tool": tool, "args": args, "subject": subject, "at": utc(at), "status": status}


def _spent(asking: Asking, terms: Terms) -> dict[str, Any]:
    state, goal, given = asking.state, asking.goal, asking.action.arguments
    amounts: dict[str, float | None] = {}
    for name in terms.sums:
        if name in given:
            amounts[name] = _amount(given[name])
    shared = [_shared(asking, budget, account) for budget, account in terms.shared]
    if goal.budget is None or not goal.budget.sum:
        return {"amounts": amounts, "shared": tuple(shared)}
    own = asking.own if asking.granted else ()
    spent = _sums(state, goal.id, goal.budget.sum, asking.now - seconds(goal.budget.per), own)
    return {"amounts": amounts, "sums_spent": spent, "shared": tuple(shared)}


def _shared(asking: Asking, budget: SharedBudget, name: str) -> Spent:
    """What was spent of a shared budget, of the kinds that it limits."""
    state, start = asking.state, asking.now - seconds(budget.per)
    present = _counted_with(asking, name) if asking.granted else ()
    actions, usd = 0, 0.0
    sums: dict[str, float] = {}
    if budget.actions is not None:
        actions = times_since(state.spent.get(name, ()), start) + len(present)
    if budget.usd is not None:
        usd = since(state.paid.get(name, ()), start)
        usd = round(usd + sum([one.usd for one in present]), 9) if present else usd
    if budget.sum:
        sums = _sums(state, name, budget.sum, start, present)
    return Spent(budget, actions, usd, sums)


def _counted_with(asking: Asking, account: str) -> list[Situation]:
    return [one for _, one in asking.granted if any(other.budget.account == account for other in one.shared)]


def _sums(
    state: State, account: str, names: Mapping[str, float], start: float, present: Sequence[Situation]
) -> dict[str, float]:
    before = state.sums.get(account, {})
    spent: dict[str, float] = {}
    for name in names:
        spent[name] = since(before.get(name, ()), start)
    if not present:
        return spent
    now = [known(one.amounts) for one in present]
    return {name: round(sum_ + sum([one.get(name, 0.0) for one in now]), 9) for name, sum_ in spent.items()}


def _amount(value: Json) -> float | None:
    if (value.__class__ is not float and value.__class__ is not int) or not math.isfinite(value):
        return None
    return abs(float(value))


def _repeated(asking: Asking, start: float) -> dict[str, Any]:
    alike, known_ = likeness(asking.goal.id, asking.action), asking.state.repeats
    if len(known_) >= MOST_KEYS and alike not in known_:
        alike = f"{asking.goal.id}\n"
    repeated = times_since(known_.get(alike, ()), start)
    if asking.granted:
        repeated += sum([one.repeat == alike for _, one in asking.granted])
    return {"repeat": alike, "repeated": repeated}


def _stands(state: State, circuits: Iterable[str], *, now: float) -> tuple[Health, ...]:
    known_, limits = state.circuits, state.rules.breakers
    return tuple([health(name, known_.get(name, CLOSED), limits[name], now=now) for name in circuits])


def _health(asking: Asking, circuits: Sequence[str]) -> tuple[Health, ...]:
    found = _stands(asking.state, circuits, now=asking.now)
    if not asking.granted or all(one.state != "half-open" for one in found):
        return found
    taken = {one.circuit: other.id for other, present in asking.granted for one in present.health}
    return tuple([replace(one, trial=one.trial or taken.get(one.circuit)) for one in found])


def _cooling(asking: Asking, cooldown: Cooldown, read: Mapping[str, Json]) -> Cooling:
    pause, cooled = seconds(cooldown.pause), asking.state.cooled
    try:
        key = asking.value(cooldown.key, read)
    except (EvaluationError, ExpressionError) as error:
        return Cooling("", pause, error=str(error))
    if asking.granted and any(one.cooling is not None and one.cooling.key == key for one in asking.own):
        return Cooling(key, pause, last=asking.now)
    last = cooled.get(f"{asking.goal.id}\n{key}")
    if last is None and len(cooled) >= MOST_KEYS:
        return Cooling(key, pause, error=f"{MOST_KEYS} keys cool down already, and there is no room for another")
    return Cooling(key, pause, last=last[0] if last else None)


def _reach_of(asking: Asking, radius: Radius, counted: Sequence[float | str | None], read: Mapping[str, Json]) -> Reach:
    blast, per = radius.blast, radius.per
    try:
        value = asking.value(blast.each, read)
        most = _most(radius, counted[radius.place] if radius.place < len(counted) else None)
    except (EvaluationError, ExpressionError) as error:
        return Reach(tool=blast.tool, each=blast.each, per=per, error=str(error))
    reached, known_ = _reached(asking, blast, asking.state.reached.get(radius.account, {}), value, asking.now - per)
    return Reach(tool=blast.tool, each=blast.each, value=value, per=per, reached=reached, known=known_, most=most)


def _reached(
    asking: Asking, blast: Blast, values: Mapping[str, tuple[float, float]], value: str, start: float
) -> tuple[int, bool]:
    """How many values were reached after a time, and whether this one is among them."""
    gone = 0
    for at, _ in values.values():  # the oldest stand first
        if at > start:
            break
        gone += 1
    known_ = value in values and values[value][0] > start
    if not asking.granted:
        return len(values) - gone, known_
    place = (blast.tool, blast.each)
    present = {one.value for past in asking.own for one in past.reach if (one.tool, one.each) == place}
    new = [one for one in present if one not in values or values[one][0] <= start]
    return len(values) - gone + len(new), known_ or value in present


def _most(radius: Radius, counted: float | str | None) -> int:
    if radius.most is not None:
        return radius.most
    if not isinstance(counted, int | float):
        of = radius.blast.of
        raise EvaluationError(counted or f"`{of.tool if of else '?'}` was not asked")
    return math.floor(counted * radius.percent / 100 + 1e-9)
