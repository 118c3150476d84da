"""What granted actions leave behind for the limits of those that follow. Folding only: it decides and refuses nothing.

Money, tokens and sums are kept on a grid of time, so that however many small ones there are take bounded room: what
falls into one place of it counts as long as the last of them does. What a limit asks for is kept as long as the longest
time that was ever asked for, so that a change of the goal, or its removal, gives nothing back.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping

import msgspec

from orchestrator.clock import seconds
from orchestrator.journal import circuits, own
from orchestrator.journal.state import Past, State, Stop, account
from orchestrator.limits import Budget, Rules
from orchestrator.types import Action, Bill, Event, Goal, Judgement, Situation

DAY = 86_400.0
KEPT_PAST = 1000
"""Actions a goal's history holds."""
_GRID = 256
_ACTIONS = "#"


def spend(state: State, judgement: Judgement, action: Action, *, goal: str, subject: str | None) -> None:
    """Fold the verdict on one action: only what was granted counts."""
    if judgement.kind != "grant":
        return
    situation = judgement.situation
    now = situation.now
    insort(state.spent.setdefault(goal, []), now)  # in order, also where the clock was set back
    insort(state.rates.setdefault(account(goal, subject), []), now)
    if situation.usd:
        _add(state, state.paid.setdefault(goal, []), goal, now, situation.usd)
    if situation.amounts:
        _add_sums(state, goal, now, known(situation.amounts))
    for one in situation.shared:
        _charge(state, one.budget.account, now, usd=situation.usd, amounts=known(situation.amounts))
    if situation.repeat:
        insort(state.repeats.setdefault(situation.repeat, []), now)
    _remember(state, situation, goal)
    if situation.history is not None or goal in state.histories:
        _keep_past(state, action, goal, subject=subject, at=now)


def spend_again(state: State, data: own.RepeatData, *, at: float) -> None:
    """Fold that a granted action is called once more; folding the same call again changes nothing."""
    if data.attempt <= state.repeated.get(data.action, 1):
        return
    state.repeated[data.action] = data.attempt
    for name in data.accounts:
        _charge(state, name, at, usd=data.usd, amounts=data.amounts)


def pay(state: State, bill: Bill) -> None:
    """Fold the tokens that deciding took."""
    for name in bill.accounts:
        _add(state, state.tokens.setdefault(name, []), name, bill.at, bill.tokens)


def conclude(state: State, data: own.ActionData, goal: str) -> None:
    """Fold what became of an action."""
    state.repeated.pop(data.action, None)
    for past in reversed(state.histories.get(goal, ())):
        if past.action == data.action:
            past.status = data.status
            break


def fold_limit(state: State, event: Event) -> None:
    """Fold an event of `own.LIMITS`.

    Raises:
        msgspec.ValidationError: it was not made by this MDL.
    """
    if event.type == own.RULES_SET:
        _rule(state, msgspec.convert(event.data, own.RulesData).rules)
    elif event.type == own.REPEATED:
        spend_again(state, msgspec.convert(event.data, own.RepeatData), at=event.time.timestamp())
    else:
        _stop(state, event, msgspec.convert(event.data, own.StopData))


def keep(state: State, goal: Goal) -> None:
    """Keep what a goal's limits ask for."""
    _reach(state, account(goal.id, None), goal.rate.per)
    if goal.budget:
        _ask(state, goal.id, goal.budget)


def sweep(state: State, now: float) -> None:
    """Forget what no limit asks for any more."""
    _forget(state.spent, {name: state.horizons.get(f"{name}{_ACTIONS}", 0.0) for name in state.spent}, now)
    rates = {name: state.horizons.get(account(name.partition("\n")[0], None), 0.0) for name in state.rates}
    _forget(state.rates, rates, now)
    _forget(state.repeats, dict.fromkeys(state.repeats, state.horizons.get(own.RULES_SET, 0.0)), now)
    for amounts in (state.paid, state.tokens):
        _forget_amounts(amounts, state.horizons, now)
    for name, sums in list(state.sums.items()):
        _forget_amounts(sums, dict.fromkeys(sums, state.horizons.get(name, 0.0)), now)
        if not sums:
            del state.sums[name]
    state.cooled = {key: one for key, one in state.cooled.items() if one[0] + one[1] > now}
    for name, values in list(state.reached.items()):
        state.reached[name] = {key: one for key, one in values.items() if one[0] + one[1] > now}
        if not state.reached[name]:
            del state.reached[name]


def radius(goal: str, tool: str, each: str) -> str:
    """The name under which the values that a goal has reached are kept."""
    return f"{goal}\n{tool}\n{each}"


def known(amounts: Mapping[str, float | None]) -> dict[str, float]:
    """The amounts that are numbers."""
    return {name: amount for name, amount in amounts.items() if amount is not None}


def _stop(state: State, event: Event, data: own.StopData) -> None:
    if event.type == own.STARTED:
        state.stopped.pop(data.goal, None)  # to start all starts nobody who was stopped by name
    else:
        state.stopped[data.goal] = Stop(data.by, event.time.timestamp())


def _rule(state: State, rules: Rules) -> None:
    state.rules = rules
    circuits.rule(state)
    for budget in rules.budgets:
        _ask(state, budget.account, budget)
    if rules.repeat:
        _reach(state, own.RULES_SET, rules.repeat.within)


def _charge(state: State, name: str, now: float, *, usd: float, amounts: Mapping[str, float]) -> None:
    if f"{name}{_ACTIONS}" in state.horizons:
        insort(state.spent.setdefault(name, []), now)
    if usd:
        _add(state, state.paid.setdefault(name, []), name, now, usd)
    if amounts:
        _add_sums(state, name, now, amounts)


def _add_sums(state: State, name: str, now: float, amounts: Mapping[str, float]) -> None:
    sums = state.sums.setdefault(name, {})
    for argument, amount in amounts.items():
        _add(state, sums.setdefault(argument, []), name, now, amount)


def _add(state: State, amounts: list[tuple[float, float]], name: str, at: float, amount: float) -> None:
    width = state.horizons.get(name, DAY) / _GRID
    if not amounts or (amounts[-1][0] <= at and amounts[-1][0] // width != at // width):
        amounts.append((at, amount))
        return
    place = bisect_right(amounts, (at, float("inf")))
    for near in (place - 1, place):
        if 0 <= near < len(amounts) and amounts[near][0] // width == at // width:
            last, sum_ = amounts[near]
            amounts[near] = max(last, at), sum_ + amount
            return
    amounts.insert(place, (at, amount))


def _remember(state: State, situation: Situation, goal: str) -> None:
    now, cooling = situation.now, situation.cooling
    if cooling is not None and cooling.pause:
        key = f"{goal}\n{cooling.key}"
        last = state.cooled.get(key, (now, 0.0))
        state.cooled[key] = max(now, last[0]), max(cooling.pause, last[1])
    for one in situation.reach:
        values = state.reached.setdefault(radius(goal, one.tool, one.each), {})
        last = values.pop(one.value, (now, 0.0))
        values[one.value] = max(now, last[0]), max(one.per, last[1])  # the oldest stand first
        while (first := next(iter(values.items())))[1][0] + first[1][1] <= now:
            del values[first[0]]


def _keep_past(state: State, action: Action, goal: str, *, subject: str | None, at: float) -> None:
    kept = state.histories.setdefault(goal, [])
    past = Past(action=action.id, tool=action.tool, args=action.arguments, subject=subject, at=at)
    insort(kept, past, key=lambda one: one.at)
    del kept[: max(len(kept) - KEPT_PAST, bisect_left(kept, at - DAY, key=lambda one: one.at))]


def _ask(state: State, name: str, budget: Budget) -> None:
    _reach(state, name, budget.per)
    if budget.actions is not None:  # each is kept, so only where there is a number they cannot exceed
        _reach(state, f"{name}{_ACTIONS}", budget.per)


def _reach(state: State, name: str, per: str) -> None:
    state.horizons[name] = max(state.horizons.get(name, 0.0), seconds(per))


def _forget(times: dict[str, list[float]], per: Mapping[str, float], now: float) -> None:
    for name, known_ in list(times.items()):
        del known_[: bisect_right(known_, now - per[name])]
        if not known_:
            del times[name]


def _forget_amounts(amounts: dict[str, list[tuple[float, float]]], per: Mapping[str, float], now: float) -> None:
    for name, known_ in list(amounts.items()):
        del known_[: bisect_right(known_, (now - per.get(name, 0.0), float("inf")))]
        if not known_:
            del amounts[name]
