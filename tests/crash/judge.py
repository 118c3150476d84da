"""The judge: compares what a history's witnesses noted with what its journal says. Pure; starts and reads nothing."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from tests.crash.account import ACTION, SAFE, Account, Deed
from tests.crash.history import Entry, History
from tests.crash.place import BUDGET, COUNT

Fault = Literal["lost", "doubled", "order", "outcome", "window", "budget", "approval", "timer", "cursor"]
FIRES = {
    "web.safe": ("safe", 1), "web.unsafe": ("unsafe", 1), "web.read": ("read", 1), "web.plan": ("plan", 3),
    "shop.orders.inserted": ("row", 1), "timer.pulse": ("tick", 1),
}  # fmt: skip
"""What each event of a type has to bring about: of which goal, and how many actions if all goes well."""
TICK = 0.5


@dataclass(frozen=True)
class Violation:
    """Something that may not be, and where it is to be seen."""

    fault: Fault
    text: str

    def __str__(self) -> str:
        return f"{self.fault.upper()}: {self.text}"


def judge(history: History) -> list[Violation]:
    """Everything that is wrong with a history."""
    account = Account(history)
    checks: tuple[Callable[[Account], Iterator[Violation]], ...] = (
        acknowledged, turned, covered, fired, called, repeated, concluded, ordered, windows, budgets, counted,
        approvals, echoes, ticks,
    )  # fmt: skip
    return [violation for check in checks for violation in check(account)]


def summary(history: History, violations: list[Violation]) -> dict[str, int]:
    """The run in five numbers."""
    account, faults = Account(history), Counter(violation.fault for violation in violations)
    posted = sum(len(line["events"]) for line in history.posted if line["what"] == "acknowledged")
    answered = sum(line["what"] == "answered" for line in history.answers)
    rows = sum(len(line["rows"]) for line in history.rows)
    killed = [life for life in history.lives if life.killed]
    return {
        "kills": len(killed),
        "acknowledged": posted + rows + answered,
        "lost": faults["lost"],
        "doubled": faults["doubled"],
        "in_flight": sum(deed.open_at(life.head) for life in killed for deed in account.deeds.values()),
    }


def acknowledged(account: Account) -> Iterator[Violation]:
    """What was acknowledged is in the journal, once, and in the order it was sent for its key."""
    stored: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position, event in account.events.items():
        stored[_identity(event)].append(position)
    yield from (
        Violation("doubled", f"event {id_} of {source} stands at {places}")
        for (source, id_), places in stored.items()
        if len(places) > 1
    )
    latest: dict[tuple[str, str], int] = {}
    for source, id_, key, what in _acknowledgements(account.history):
        places = stored.get((source, id_), [])
        if not places:
            yield Violation("lost", f"event {id_} of {source}, {what}, is not in the journal")
        elif places[0] < latest.get((source, key), 0):
            text = f"event {id_} of {source} for {key}, {what}, stands at #{places[0]}, before one sent earlier"
            yield Violation("order", f"{text} at #{latest[source, key]}")
        else:
            latest[source, key] = places[0]


def turned(account: Account) -> Iterator[Violation]:
    """Every event has one turn, or the cursor says that it is finished without."""
    for position, event in account.events.items():
        turns = account.turns.get(position, [])
        if len(turns) > 1:
            yield Violation("doubled", f"{_said(event)} has turns at {[turn.position for turn in turns]}")
        if not turns and position <= account.history.rest and position > account.through:
            yield Violation("lost", f"{_said(event)} has no turn, and the cursor is at #{account.through}")


def covered(account: Account) -> Iterator[Violation]:
    """A cursor says that everything up to it is finished: whatever came of that stands before it; parked ones aside.

    So a cursor that runs ahead is seen wherever it is written, whether or not a kill makes it cost anything.
    """
    latest, last = 0, Entry(0, "", "", "", "", "", 0, None)
    events = iter(sorted(account.events.items()))
    upcoming = next(events, None)
    for cursor in sorted(account.cursors, key=lambda one: one.body["through"]):
        while upcoming is not None and upcoming[0] <= cursor.body["through"]:
            if (end := account.ended(upcoming[0])) > latest:
                latest, last = end, upcoming[1]
            upcoming = next(events, None)
        if latest > cursor.position:
            text = f"the cursor at #{cursor.position} covers all up to #{cursor.body['through']}"
            yield Violation("cursor", f"{text}, and the last that came of {_said(last)} is at #{latest}")


def fired(account: Account) -> Iterator[Violation]:
    """Every event brought about what its goal says, as far as its outcomes allow."""
    for type_, (goal, steps) in FIRES.items():
        for event in account.typed(type_):
            deeds = account.deeds_for(event.position, goal)
            if len(deeds) != steps:
                yield Violation("lost", f"{_said(event)}: goal {goal} was granted {len(deeds)} of {steps} actions")
            yield from _steps(event, deeds)


def called(account: Account) -> Iterator[Violation]:
    """Every call was announced before; what is said to have succeeded was called to its end."""
    for stray in account.strays:
        what = f"line {stray['line']} of calls: {stray['what']} of {stray['tool']}({stray['id']})"
        yield Violation("doubled", f"{what}, an action that no turn grants")
    for deed in account.deeds.values():
        ended = any(call["what"] == "end" for call in deed.calls)
        if deed.status == "succeeded" and not ended:
            yield Violation("lost", f"said to have succeeded and never called to its end: {deed}")
        if deed.calls and deed.announced is None:
            yield Violation("doubled", f"called and never announced: {deed}")
        if any(call["id"] != deed.told for call in deed.calls):
            yield Violation("doubled", f"called with other arguments under the same key: {deed}")


def repeated(account: Account) -> Iterator[Violation]:
    """No action was called twice, unless it was in flight at a kill and its tool may be called again."""
    numbers = {life.pid: life for life in account.history.lives}
    for deed in account.deeds.values():
        lives = [numbers[call["loop"]] for call in deed.calls if call["what"] == "begin"]
        for before, after in pairwise(sorted(lives, key=lambda life: life.number)):
            between = [life for life in account.history.lives if before.number <= life.number < after.number]
            if deed.tool not in SAFE:
                yield Violation("doubled", f"called again, though nobody may: {deed}")
            elif before is after:
                yield Violation("doubled", f"called twice in life {before.number}: {deed}")
            elif not all(deed.open_at(life.head) for life in between):
                yield Violation("doubled", f"called again in life {after.number}, though not in flight: {deed}")


def concluded(account: Account) -> Iterator[Violation]:
    """Unknown is what was in flight at a kill and may not be called again: exactly that, and nothing failed."""
    killed = [life for life in account.history.lives if life.killed]
    for deed in account.deeds.values():
        in_flight = any(deed.open_at(life.head) for life in killed)
        if len(deed.outcomes) > 1:
            yield Violation("doubled", f"more than one outcome: {deed}")
        if deed.status is None:
            continue  # `fired` says what is missing
        right = "unknown" if in_flight and deed.tool not in SAFE else "succeeded"
        if deed.status != right:
            state = "in flight at a kill" if in_flight else "in flight at no kill"
            yield Violation("outcome", f"{deed.status}, and not {right} though {state}: {deed}")


def ordered(account: Account) -> Iterator[Violation]:
    """Within a key actions were begun in the order of their events, and turns were made in it; parked ones aside."""
    latest: dict[str, Deed] = {}
    began = [(deed.calls[0]["line"], deed) for deed in account.deeds.values() if deed.calls]
    for _, deed in sorted(began, key=lambda one: one[0]):
        before = latest.setdefault(deed.key, deed)
        if deed.trigger in account.parked:
            continue
        if deed.trigger < before.trigger:
            yield Violation("order", f"{deed} was begun after {before}")
        else:
            latest[deed.key] = deed
    last: dict[str, Entry] = {}
    for turn in sorted((turn for turns in account.turns.values() for turn in turns), key=lambda turn: turn.position):
        if turn.cause in account.parked:
            continue
        if turn.cause < last.setdefault(turn.key, turn).cause:
            text = f"turn #{turn.position} for event #{turn.cause} of {turn.key} comes after"
            yield Violation("order", f"{text} #{last[turn.key].position} for event #{last[turn.key].cause}")
        last[turn.key] = turn


def windows(account: Account) -> Iterator[Violation]:
    """A goal with a count fired at every so manieth event of its key, and at no other."""
    yield from _window(account, "web.count", "count")
    yield from _window(account, "web.let", "let")


def _window(account: Account, type_: str, goal: str) -> Iterator[Violation]:
    seen = Counter[str]()
    for event in account.typed(type_):
        seen[event.key] += 1
        due = seen[event.key] % COUNT == 0
        deeds = account.deeds_for(event.position, goal)
        if bool(deeds) != due:
            what = "did not fire" if due else "fired"
            yield Violation("window", f"{_said(event)} is number {seen[event.key]} of {event.key}, and the goal {what}")
        yield from _steps(event, deeds)


def budgets(account: Account) -> Iterator[Violation]:
    """A budget of so many actions let exactly so many through."""
    asked = account.typed("web.budget")
    deeds = [deed for event in asked for deed in account.deeds_for(event.position, "budget")]
    if len(deeds) != min(BUDGET, len(asked)):
        yield Violation("budget", f"{len(deeds)} of {len(asked)} actions were granted, with a budget of {BUDGET}")
    for event in asked:
        judged = account.judged(event.position, "budget")
        if len(judged) != 1:
            yield Violation("lost", f"{_said(event)}: goal budget has {len(judged)} judgements")
        elif judged[0].get("kind", "grant") != "grant" and (policy := judged[0].get("policy")) != "budget":
            yield Violation("budget", f"{_said(event)} was refused by {policy}")
        yield from _steps(event, account.deeds_for(event.position, "budget"))
    yield from _refusals(account, asked)


def counted(account: Account) -> Iterator[Violation]:
    """Each action of a goal that may take any number found as many spent as there were before it."""
    spent = 0
    for turn in sorted((turn for turns in account.turns.values() for turn in turns), key=lambda turn: turn.position):
        for one in account.judged(turn.cause, "read"):
            found = one["situation"].get("budget_spent", 0)
            if found != spent:
                text = f"the guard of turn #{turn.position} counted {found} actions of goal read"
                yield Violation("budget", f"{text}, and there were {spent}")
            spent = found + 1


def approvals(account: Account) -> Iterator[Violation]:
    """What needs a person was asked for; granted, it was called for that; denied or unanswered, it was not."""
    asked = {event.body["data"]["action"]: event for event in account.typed("dev.mdl.approval.requested")}
    verdicts: dict[str, Entry] = {}
    for event in (*account.events.values(),):
        if event.type in {"dev.mdl.approval.granted", "dev.mdl.approval.denied"}:
            verdicts.setdefault(event.body["data"]["action"], event)
    for event in account.typed("web.approve"):
        wanted = account.judged(event.position, "approve")
        if len(wanted) != 1 or wanted[0]["action"] not in asked:
            yield Violation("lost", f"{_said(event)} needs a person, and nobody was asked")
    for line in account.history.answers:
        if line["what"] == "answered" and line["action"] not in verdicts:
            text = f"line {line['line']} of answers: {line['action'][:16]} was {line['verdict']}"
            yield Violation("lost", f"{text}, and the journal knows nothing of it")
    for action in asked:
        yield from _answered(account, action, verdicts.get(action))


def echoes(account: Account) -> Iterator[Violation]:
    """Every outcome that a goal listens to was heard."""
    for event in account.typed(f"{ACTION}succeeded"):
        wanted = event.body["data"]["goal"].startswith("unsafe@")
        deeds = account.deeds_for(event.position, "echo")
        if len(deeds) != wanted:
            yield Violation("lost", f"{_said(event)}: goal echo was granted {len(deeds)} of {int(wanted)} actions")
        yield from _steps(event, deeds)


def ticks(account: Account) -> Iterator[Violation]:
    """From the first tick on none is missing and none is there twice."""
    times = [(event, datetime.fromisoformat(event.id).timestamp()) for event in account.typed("timer.pulse")]
    for (before, then), (after, now) in pairwise(times):
        if abs(now - then - TICK * (1 + after.body["data"]["missed"])) > 0.001:
            yield Violation(
                "timer", f"{_said(after)} follows {_said(before)}, with {after.body['data']['missed']} missed"
            )


def _steps(event: Entry, deeds: list[Deed]) -> Iterator[Violation]:
    """A plan goes on as long as its steps succeed, and is concluded as far as it goes."""
    for number, deed in enumerate(deeds):
        if deed.announced is None or deed.status is None:
            yield Violation("lost", f"{_said(event)}: step {number} has no outcome: {deed}")
        if deed.status != "succeeded":
            for later in deeds[number + 1 :]:
                if later.calls or later.outcomes:
                    yield Violation("doubled", f"{_said(event)}: went on behind a step that did not succeed: {later}")
            return


def _refusals(account: Account, asked: list[Entry]) -> Iterator[Violation]:
    refused = Counter(
        event.body["data"]["event"] for event in account.events.values() if event.type == f"{ACTION}refused"
    )
    for event in asked:
        granted = bool(account.deeds_for(event.position, "budget"))
        if refused[event.position] != (not granted):
            fault: Fault = "doubled" if refused[event.position] else "lost"
            yield Violation(fault, f"{_said(event)} was {'granted' if granted else 'refused'}, and has "
                            f"{refused[event.position]} refusals")  # fmt: skip


def _answered(account: Account, action: str, verdict: Entry | None) -> Iterator[Violation]:
    deed, rest = account.deeds.get(action), account.history.rest
    if verdict is None or verdict.type.endswith("denied"):
        if deed is not None:
            yield Violation("approval", f"nobody has granted it: {deed}")
    elif deed is None or deed.status is None:
        if verdict.position <= rest:
            yield Violation("lost", f"action {action[:16]} was granted at #{verdict.position} and has no outcome")
    elif deed.announced is None or deed.announced < verdict.position:
        yield Violation("approval", f"begun before it was granted at #{verdict.position}: {deed}")


def _acknowledgements(history: History) -> Iterator[tuple[str, str, str, str]]:
    """Source, id, key and witness of whatever may not be lost, in the order it was sent."""
    for line in history.posted:
        if line["what"] == "acknowledged":
            for one in line["events"]:
                yield one["source"], one["id"], one["key"], f"acknowledged on line {line['line']} of posted"
    for line in history.rows:
        for id_, key in line["rows"]:
            yield "sqlite:shop", str(id_), key, f"committed on line {line['line']} of rows"


def _identity(event: Entry) -> tuple[str, str]:
    """What an event is known by to whoever made it: of a changed row its primary key."""
    if event.source == "sqlite:shop":
        return event.source, str(event.body["data"]["new"]["id"])
    return event.source, event.id


def _said(event: Entry) -> str:
    data: Any = event.body.get("data")
    return f"event {event.id[:40]} of {event.source} ({event.type}, #{event.position}, data {data})"
