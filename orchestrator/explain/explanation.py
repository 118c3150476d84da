"""An explanation as a tree of lines, and how one event, action, touch or goal reads as a line. Looks nothing up."""

import json
from typing import cast

from msgspec import Struct

from orchestrator.clock import utc
from orchestrator.journal.own import AT_ONCE, TURN, TURN_PARKED, ActionData
from orchestrator.journal.state import GoalStats, State
from orchestrator.types import OWN, Decision, Event, GoalVersion, Json, Judgement, Record, Touch

_LONGEST = 160


class Node(Struct, omit_defaults=True, kw_only=True):
    """One line of the tree. `state` is what became of it, such as `acted`, `stopped`, `not` or `succeeded`.

    goal: the id of the goal it belongs to; empty where it belongs to none, or to several. version: which version of it
    (`id@version`), where it names one.
    """

    kind: str
    text: str
    id: str = ""
    goal: str = ""
    version: str = ""
    position: int = 0
    state: str = ""
    facts: dict[str, Json] = {}
    children: list["Node"] = []


class Explanation(Struct, omit_defaults=True):
    """What was asked about, with all below it; `because` is the chain of causes above it, the first cause first."""

    node: Node
    because: list[Node] = []


def event_node(record: Record, event: Event) -> Node:
    """An event."""
    about = f" about {event.subject}" if event.subject else ""
    text = f"{event.type}{about}{_told(event) if event.own else _data(event)}"
    facts = {"source": event.source, "time": event.time.isoformat(), "at": record.at}
    goal, version = _goal_of(event)
    return Node(kind="event", id=event.id, goal=goal, version=version, position=record.position, text=text, facts=facts)


def gone_node(record: Record) -> Node:
    """A record whose body is gone: what its header still tells."""
    about = f" about {record.key}" if record.key and not record.key.endswith(f"#{record.id}") else ""
    text = f"{record.kind} {record.type}{about}: its body is gone, as `[journal] keep` says; the hash stays"
    facts = {"source": record.source, "at": record.at}
    return Node(kind=record.kind, id=record.id, position=record.position, text=text, state="not", facts=facts)


def lost_node(what: str) -> Node:
    """What is gone with its header, such as `#12`."""
    return Node(kind="record", text=f"{what} is gone, as `[journal] keep` says", state="not")


def action_node(data: ActionData, judgement: Judgement | None = None, *, answer: str = "") -> Node:
    """An action and what became of it; `answer` is what people said who were asked, such as `denied by ann`."""
    arguments = ", ".join(f"{name}={_short(value)}" for name, value in data.arguments.items())
    text = f"{data.tool}({arguments}) {_became(data, answer)}"
    facts: dict[str, Json] = {"seconds": data.seconds}
    goal, version = _named(data.goal)
    node = Node(kind="action", id=data.action, goal=goal, version=version, text=text, state=data.status, facts=facts)
    if answer:
        node.state = "answered" if answer.startswith("approved") else "refused"
    if judgement is not None:
        situation = judgement.situation
        node.facts |= {"budget_spent": situation.budget_spent, "rate_spent": situation.rate_spent}
        if situation.lineage:
            node.facts["lineage"] = list(situation.lineage)
        if situation.approved_by:
            node.text += f", approved by {situation.approved_by}"
    if data.numbers:
        node.facts["numbers"] = data.numbers
    if data.result is not None:
        node.facts["result"] = data.result
    return node


def aside_node(record: Record, event: Event) -> Node:
    """That a turn was parked, or what a person wanted of it then."""
    data, word = event.data, record.type.removeprefix(TURN)
    text = f"its turn was parked: {data['reason']}" if record.type == TURN_PARKED else f"{data['by']} {word} it"
    return Node(kind="turn", id=event.id, position=record.position, text=text, state="stopped")


def touch_node(touch: Touch) -> Node:
    """A goal that an event touched, or nearly."""
    reason = touch.reason.replace(f"; {touch.stopped}", "")
    how = f"found by {touch.found_by}" + (f", {reason}" if reason else "")
    text = f"{touch.goal} ({how})"
    if touch.stopped is not None:
        text = f"{touch.goal} nearly fired: {touch.stopped} ({how})"
    facts: dict[str, Json] = {"fit": touch.fit}
    if touch.let:
        facts["let"] = touch.let
    goal, version = _named(touch.goal)
    return Node(
        kind="goal",
        id=goal,
        goal=goal,
        version=version,
        text=text,
        state="stopped" if touch.stopped else "acted",
        facts=facts,
    )


def add_decision(node: Node, decision: Decision) -> None:
    """Say on a goal's line what was decided for it, and by whom."""
    degraded = f", because {decision.degraded}" if decision.degraded else ""
    node.text += f": {decision.verdict}, decided by {decision.decided_by}{degraded}"
    if decision.reason:
        node.text += f" ({decision.reason})"
    if decision.verdict != "act":
        node.state = decision.verdict
    if decision.candidates:
        node.facts["candidates"] = [
            {
                "tools": [action.tool for action in candidate.actions],
                "fit": candidate.fit,
                "cost": candidate.cost,
                "latency": candidate.latency,
                "score": candidate.score,
                "dropped": candidate.dropped,
            }
            for candidate in decision.candidates
        ]


def life(version: GoalVersion | None, state: State) -> str:
    """Whether a goal is `active`, `paused`, `stopped`, `set aside` or `removed`."""
    if version is None:
        return "removed"
    if state.set_aside(version.goal):
        return "set aside"
    if state.stop(version.goal.id) is not None:
        return "stopped"
    return "paused" if version.paused else "active"


def fired(progress: GoalStats | None) -> str:
    """How often a goal fired and what came of it, as sentences behind its text."""
    if progress is None:
        return " It has not fired yet."
    told = f" It fired {_times(progress.fired)}, last at {utc(progress.last):%Y-%m-%d %H:%M:%S} UTC."
    if not progress.fired:
        told = " It has not fired yet."
    if progress.near_misses:
        told += f" It nearly fired {_times(progress.near_misses)}."
    if progress.refused:
        told += f" Actions were refused {_times(progress.refused)}."
    if progress.missed:
        told += f" What it wants was missed {_times(progress.missed)}."
    return told


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _became(data: ActionData, answer: str) -> str:
    match data.status:
        case "refused":
            return f"was refused by {data.policy}: {data.error}"
        case "waiting" if data.policy == AT_ONCE:
            return f"waits: {data.error}"
        case "waiting" if answer:
            return f"was {answer}: {(data.error or '').partition(': mdl approve ')[0]}"
        case "waiting":
            return f"waits for a person: {data.error}"
        case "succeeded":
            told = f", as `{data.reconciled}` told" if data.reconciled else ""
            waited = f", after it had waited for {data.waited * 1000:.1f} ms" if data.waited else ""
            return f"succeeded in {data.seconds * 1000:.1f} ms{told}{waited}"
        case "failed":
            return f"failed: {data.error}"
        case "unknown":
            return f"has an unknown outcome: {data.error}"


def _goal_of(event: Event) -> tuple[str, str]:
    data = cast("dict[str, Json]", event.data)
    if not event.own or not isinstance(event.data, dict):
        return "", ""
    if event.type.startswith(f"{OWN}goal.") and "id" in data:
        return str(data["id"]), f"{data['id']}@{data.get('version', 0)}"
    name = data.get("goal")
    return _named(name) if isinstance(name, str) else ("", "")


def _named(goal: str) -> tuple[str, str]:
    id_, at, _ = goal.partition("@")
    return id_, goal if at else ""


def _told(event: Event) -> str:
    data: Json = event.data or {}
    told = [str(data[name]) for name in ("holds", "error", "reason") if data.get(name)]
    told += [f"by {data['by']}"] if data.get("by") else []
    return f": {'; '.join(told)}" if told else ""


def _data(event: Event) -> str:
    if event.data in (None, {}):
        return ""
    return f" {_short(event.data)}"


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
