"""How records become a `State`.

A projection is a cache. It can be thrown away and folded again from the first record, and comes out the same: folding
reads only records, never a clock. It decides nothing.
"""

from collections.abc import Iterable
from itertools import islice

import msgspec

from orchestrator import windows
from orchestrator.journal import access, circuits, own, spending
from orchestrator.journal.drafts import cursor_of, event_of, intent_of, turn_of
from orchestrator.journal.state import (
    LOADS,
    Before,
    GoalStats,
    Held,
    Open,
    OpenWant,
    Parked,
    Pending,
    State,
    ToolStats,
    goal_id,
    loading_key,
)
from orchestrator.observed import Observed
from orchestrator.types import (
    Event,
    GoalVersion,
    Judgement,
    Record,
    Touch,
    Turn,
    Window,
    WindowState,
)

_KEPT_LINEAGES = 20_000
KEPT_TYPES = 10_000
KEPT_HELD = 10_000
SWEEP = 4096


def fold(state: State, record: Record) -> Event | None:
    """Fold one record; gives the event back if it is one, so that nobody has to decode it twice."""
    state.position = record.position
    match record.kind:
        case "event":
            event = event_of(record)
            fold_event(state, event, record)
            return event
        case "turn":
            fold_turn(state, turn_of(record))
        case "intent":
            state.open[record.id] = Open(record.cause, intent_of(record).goal)
        case "cursor":
            _fold_cursor(state, cursor_of(record))
            if state.attempts or state.retried or state.dropped:
                _forget_attempts(state)
    return None


def fold_event(state: State, event: Event, record: Record) -> None:
    """Fold an event that stands at a position."""
    state.counts.events += 1
    if event.own:
        try:
            if event.type in own.LIMITS:
                spending.fold_limit(state, event)
            else:
                _fold_own(state, event, record)
        except msgspec.ValidationError:
            return  # not made by this MDL; it may not keep the journal from being read
    elif (observed := state.observed.get(event.type)) is not None:
        observed.observe(event.data)
    elif len(state.observed) < KEPT_TYPES:  # producers may invent types without end
        state.observed[event.type] = observed = Observed()
        observed.observe(event.data)


def fold_turn(state: State, turn: Turn) -> None:
    """Fold a turn. The loop does so before the turn is durable, so that the next turn already counts it.

    So turns may be folded in another order than the journal has them; what comes out does not depend on it.
    """
    state.counts.turns += 1
    asked = bool(state.pending) and _answer(state, turn)
    for touch in turn.touches:
        fold_touch(state, touch, position=turn.event, at=turn.at)
        if not asked:  # what a person approved was counted when it was decided
            _progress(state, touch.goal, turn.at, stopped=touch.stopped is not None)
    judged = {judgement.action: judgement for judgement in turn.judgements}
    for decision in turn.decisions:
        if decision.verdict == "act" and decision.actions:
            state.counts.decided_by[decision.decided_by] += not asked
            state.open[decision.actions[0].id] = Open(turn.event, decision.goal)
        goal = goal_id(decision.goal)
        if decision.bill and not asked:
            spending.pay(state, decision.bill)
        for action in decision.actions:
            if judgement := judged.get(action.id):
                _follow(state, judgement, f"{goal}/{action.tool}")
                spending.spend(state, judgement, action, goal=goal, subject=turn.subject)
                if judgement.situation.health:
                    circuits.try_again(state, judgement, goal=decision.goal, event=turn.event)
    if state.counts.turns % SWEEP == 0:
        _sweep(state, turn.at)


def _answer(state: State, turn: Turn) -> bool:
    """Forget the approvals that a turn was made of; whether there were any."""
    answered = {action.id for decision in turn.decisions for action in decision.actions} & state.pending.keys()
    for action in answered:
        del state.pending[action]
    return bool(answered)


def fold_touch(state: State, touch: Touch, *, position: int, at: float) -> None:
    """Fold what an orientation did to a goal's window; folding the same touch again changes nothing."""
    if touch.by is None:
        return
    version = state.version(touch.goal)
    if version is None or version.goal.window is None:
        return
    known = state.windows.setdefault(touch.goal, {})
    before = known.get(touch.by, WindowState())
    known[touch.by] = touched(version.goal.window, before, touch, position=position, at=at)


def touched(window: Window, state: WindowState, touch: Touch, *, position: int, at: float) -> WindowState:
    """A window after a touch that counts in it."""
    after = windows.hit(windows.compile_window(window), state, position=position, at=at)
    return after if touch.stopped else windows.fired(after, position=position, at=at)


def change_goal(goals: dict[str, GoalVersion], event: Event, *, position: int) -> None:
    """Do to goals what an event of `own.GOAL_CHANGES` says."""
    data = msgspec.convert(event.data, own.GoalData)
    known = goals.get(data.id)
    if event.type == own.GOAL_REMOVED:
        goals.pop(data.id, None)
    elif data.goal is not None:
        goals[data.id] = GoalVersion(
            goal=data.goal, version=data.version, home=data.home, position=position, set_by=data.set_by
        )
    elif known is not None:
        goals[data.id] = msgspec.structs.replace(known, paused=event.type == own.GOAL_PAUSED)


def count_attempts(state: State, turns: Iterable[tuple[int, int]]) -> None:
    """Fold how often turns were taken up; 0 where one has ended after all."""
    for position, count in turns:
        if count:
            state.attempts[position] = count
        else:
            state.attempts.pop(position, None)


def count_loading(state: State, goals: Iterable[tuple[str, int]]) -> None:
    """Fold how often goals were loaded; 0 where one is loaded after all."""
    for key, count in goals:
        if count:
            state.loading[key] = count
        else:
            state.loading.pop(key, None)


def _fold_own(state: State, event: Event, record: Record) -> None:
    match event.type:
        case _ if event.type.startswith(own.ACTION):
            _fold_outcome(state, msgspec.convert(event.data, own.ActionData), event, record)
        case own.GOAL_SET | own.GOAL_PAUSED | own.GOAL_RESUMED | own.GOAL_REMOVED:
            _fold_goal(state, event, record.position)
        case own.APPROVAL_REQUESTED:
            data = msgspec.convert(event.data, own.ActionData)
            state.open.pop(data.action, None)
            state.pending[data.action] = Pending(data, event.subject)
        case own.APPROVAL_GRANTED | own.APPROVAL_DENIED | own.APPROVAL_EXPIRED:
            _fold_answer(state, event.type, msgspec.convert(event.data, own.VerdictData), record.position)
        case own.WANT_HELD | own.WANT_MISSED:
            _fold_want(state, msgspec.convert(event.data, own.WantData))
        case _ if event.type.startswith(own.TURN):
            _fold_attempt(state, event, record)
        case own.SETTLED:
            state.held.pop(msgspec.convert(event.data, own.VerdictData).action, None)
        case own.LOOP_LOADING | own.LOOP_STARTED | own.LOOP_STOPPED:
            _fold_loop(state, event)
        case _ if event.type in access.CHANGES:
            state.forgotten = max(state.forgotten, access.fold(state.access, event))
        case _:
            pass


def _fold_loop(state: State, event: Event) -> None:
    if event.type == own.LOOP_LOADING:
        count_loading(state, msgspec.convert(event.data, own.LoadingData).goals)
        return
    state.running = event.type == own.LOOP_STARTED
    if state.running and state.loading:  # all are loaded but those that are set aside
        there = {loading_key(version.goal) for version in state.goals.values()}
        there |= {loading_key(one.version.goal) for one in state.before if one.version}
        state.loading = {key: count for key, count in state.loading.items() if count >= LOADS and key in there}


def _fold_cursor(state: State, through: int) -> None:
    state.cursor = max(state.cursor, through)
    before = [change for change in state.before if change.position > state.cursor]
    if len(before) < len(state.before):
        state.before = before
        for name in [name for name in state.windows if state.version(name) is None]:
            del state.windows[name]  # every event of before the goal's change is finished


def _fold_goal(state: State, event: Event, position: int) -> None:
    data = msgspec.convert(event.data, own.GoalData)
    state.before.append(Before(position, data.id, state.goals.get(data.id)))
    change_goal(state.goals, event, position=position)
    if event.type == own.GOAL_RESUMED and data.id in state.goals:
        state.loading.pop(loading_key(state.goals[data.id].goal), None)
    if data.goal is not None:
        state.versions[data.id] = data.version
        spending.keep(state, data.goal)
    if data.goal is not None or event.type == own.GOAL_REMOVED:  # other words, other wants
        for want in [want for want in state.wants.values() if goal_id(want.goal) == data.id]:
            del state.wants[want.action]


def _fold_outcome(state: State, data: own.ActionData, event: Event, record: Record) -> None:
    state.open.pop(data.action, None)
    if state.repeated or state.histories:
        spending.conclude(state, data, goal_id(data.goal))
    if state.rules.breakers:
        circuits.conclude(state, data, at=event.time.timestamp())
    match data.status:
        case "refused":
            state.counts.refused += 1
            goal = goal_id(data.goal)
            (state.progress.get(goal) or state.progress.setdefault(goal, GoalStats())).refused += 1
            policy = data.policy or "?"
            state.counts.refusals[policy] = state.counts.refusals.get(policy, 0) + 1
            return
        case "succeeded":
            state.counts.succeeded += 1
        case "failed":
            state.counts.failed += 1
        case _:
            state.counts.unknown += 1
            _hold(state, data, event, record)
    stats = state.tools.get(data.tool) or state.tools.setdefault(data.tool, ToolStats())
    stats.calls += 1
    stats.failures += data.status != "succeeded"
    stats.seconds += (data.seconds - stats.seconds) / min(stats.calls, 50)
    version = state.goals.get(goal_id(data.goal))
    if data.last and data.status == "succeeded" and version and version.name == data.goal and version.goal.want:
        state.wants[data.action] = OpenWant(data.action, data.goal, data.event, record.at)


def _hold(state: State, data: own.ActionData, event: Event, record: Record) -> None:
    if data.on_unknown in {"hold", "retry"}:
        state.held[data.action] = Held(msgspec.structs.replace(data, result=None), event.subject, record.at)
        if len(state.held) > KEPT_HELD:
            state.held.pop(next(iter(state.held)))


def _fold_answer(state: State, type_: str, verdict: own.VerdictData, position: int) -> None:
    pending = state.pending.get(verdict.action)
    if pending is None or pending.granted_by is not None:  # the first answer counts
        return
    if type_ != own.APPROVAL_GRANTED:
        del state.pending[verdict.action]
    else:  # it waits on until its turn is there, so that a crash between the two loses nothing
        version = state.goals.get(goal_id(pending.data.goal))
        if version is None or version.set_by != verdict.who:
            state.pending[verdict.action] = _agreed(pending, verdict, position)


def _agreed(pending: Pending, verdict: own.VerdictData, position: int) -> Pending:
    if verdict.who in pending.approvers:
        return pending
    approvers, names = (*pending.approvers, verdict.who), (*pending.names, verdict.named)
    known = msgspec.structs.replace(pending, approvers=approvers, names=names)
    if len(approvers) < pending.data.people:
        return known
    return msgspec.structs.replace(known, granted_by=" and ".join(names), granted=position)


def _fold_attempt(state: State, event: Event, record: Record) -> None:
    match event.type:
        case own.TURN_ATTEMPTED:
            count_attempts(state, msgspec.convert(event.data, own.AttemptData).turns)
        case own.TURN_PARKED:
            data = msgspec.convert(event.data, own.ParkedData)
            state.parked[data.position] = Parked(data, event.subject, record.position, record.at)
            circuits.give_back(state, lambda trial: trial.event == data.position)
            state.attempts.pop(data.position, None)
            state.retried.pop(data.position, None)
        case own.TURN_RETRIED | own.TURN_DROPPED:
            position = msgspec.convert(event.data, own.AnswerData).position
            parked = state.parked.pop(position, None)
            if parked is not None and event.type == own.TURN_RETRIED:
                state.retried[position] = record.position
            elif parked is not None:
                state.dropped.add(position)
                _drop(state, parked.data)
        case _:
            pass


def _drop(state: State, data: own.ParkedData) -> None:
    """Forget what a parked turn still had to do; the loop records what becomes of its actions."""
    for action in [action for action, one in state.open.items() if one.event == data.position]:
        del state.open[action]
    for want in [want for want in state.wants.values() if want.event == data.position]:
        del state.wants[want.action]
    if data.type == own.APPROVAL_GRANTED and data.action is not None:
        state.pending.pop(data.action, None)


def _forget_attempts(state: State) -> None:
    """Forget attempts at what is finished now."""
    state.dropped = {position for position in state.dropped if position > state.cursor}
    state.retried = {position: record for position, record in state.retried.items() if record > state.cursor}
    lasting = {one.event for one in (*state.open.values(), *state.wants.values())} | state.retried.keys()
    state.attempts = {
        position: count for position, count in state.attempts.items() if position > state.cursor or position in lasting
    }


def _fold_want(state: State, data: own.WantData) -> None:
    state.wants.pop(data.action, None)
    progress = state.progress.setdefault(goal_id(data.goal), GoalStats())
    progress.missed += data.error is not None
    progress.held += data.error is None


def _progress(state: State, goal: str, at: float, *, stopped: bool) -> None:
    goal = goal_id(goal)
    progress = state.progress.get(goal) or state.progress.setdefault(goal, GoalStats())
    if stopped:
        progress.near_misses += 1
    else:
        progress.fired += 1
        progress.last = max(progress.last, at)


def _follow(state: State, judgement: Judgement, step: str) -> None:
    # Also what was refused: its event may cause an action, and a chain of refusals has to end like any other.
    state.lineages[judgement.action] = (*judgement.situation.lineage, step)
    if len(state.lineages) > 2 * _KEPT_LINEAGES:  # half at once: a dict is slow to find what is first in it now
        state.lineages = dict(islice(state.lineages.items(), _KEPT_LINEAGES, None))


def _sweep(state: State, now: float) -> None:
    spending.sweep(state, now)
    for name, known in state.windows.items():
        version = state.version(name)
        if version is not None and (asked := version.goal.window) is not None:
            window = windows.compile_window(asked)
            for by, held in list(known.items()):
                # A turn may still come for an event behind the cursor, and has to find that a later one has fired.
                if held.fired_position <= state.cursor and windows.outlived(window, held, at=now):
                    del known[by]
