"""Why: the tree of causes around an event, an action or a goal, answered from the journal alone.

Upwards: what caused it. Downwards: what it touched, what was decided, allowed, done, and what came of that. Goals
that an event did not touch are asked once more, in the version of that position, by the code that ran then.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import msgspec

from orchestrator.errors import BodyGone, MDLError
from orchestrator.explain.explanation import (
    Explanation,
    Node,
    action_node,
    add_decision,
    aside_node,
    event_node,
    fired,
    gone_node,
    life,
    lost_node,
    touch_node,
)
from orchestrator.journal import own
from orchestrator.journal.drafts import event_of, turn_of
from orchestrator.journal.journal import Reader
from orchestrator.journal.state import State, goal_id
from orchestrator.orient.index import names as names_type
from orchestrator.types import Action, Event, GoalVersion, Judgement, Record, Turn

Examine = Callable[[Event, GoalVersion], Awaitable[str]]
_DEPTH = 12
_LISTED = 5
_SCAN = 20_000
_CAUSED = b'"causationid":'


class Explainer:
    """Explains one journal.

    Args:
        reader: the journal.
        state: its projection.
        examine: says why an event does not touch a goal, by the live code path.
    """

    def __init__(self, reader: Reader, state: State, *, examine: Examine) -> None:
        """Explain this journal."""
        self._caused: dict[str, list[Record]] = {}
        self._shown: set[str] = set()
        self._reader, self._state, self._examine = reader, state, examine

    async def explain(self, text: str) -> Explanation:
        """Explain a goal id, an event id or position (`#12`), or an action id; ids may be cut short.

        Raises:
            MDLError: nothing in the journal has this id, or several have.
            BodyGone: the record at this position is gone.
        """
        self._shown = set()
        if text in self._state.versions:
            return Explanation(await self._goal(text))
        record = self._find(text)
        if not record.body:
            return Explanation(self._gone(record))
        event, self._caused = event_of(record), self._look_ahead(record.position)
        if event.causationid and event.causationid.startswith(text):
            return await self._asked_action(event.causationid, record, event)
        return Explanation(await self._event(record, event, 0), self._because(event))

    async def _asked_action(self, action: str, record: Record, event: Event) -> Explanation:
        planned, position = self._planned(action)
        if planned is None:  # what tells of it is gone but for this
            return Explanation(await self._event(record, event, 0), self._because(event))
        cause = self._reader.at(position)
        self._caused = self._look_ahead(position)
        judgements = [j for turn in self._turns(position) for j in turn.judgements if j.action == action]
        node = await self._action(planned, judgements[0] if judgements else None, 0)
        if cause is None or not cause.body:
            return Explanation(node, [gone_node(cause) if cause else lost_node(f"#{position}")])
        above = [*self._because(event_of(cause)), event_node(cause, event_of(cause))]
        return Explanation(node, [*above, *self._goal_of(action, cause.position)])

    def _planned(self, action: str) -> tuple[Action | None, int]:
        """An action, and the position of the event it is for; while it has no outcome, by the turn that planned it."""
        if (made := self._outcome(action)) is not None:
            data = _action_of(made)
            planned = Action(id=action, goal=data.goal, step=data.step, tool=data.tool, arguments=data.arguments)
            return planned, data.event
        if (known := self._state.open.get(action)) is None:
            return None, 0
        decisions = [decision for turn in self._turns(known.event) for decision in turn.decisions]
        return next((one for decision in decisions for one in decision.actions if one.id == action), None), known.event

    def _goal_of(self, action: str, position: int) -> Iterator[Node]:
        for turn in self._turns(position):
            for decision in turn.decisions:
                if any(planned.id == action for planned in decision.actions):
                    for touch in turn.touches:
                        if touch.goal == decision.goal:
                            node = touch_node(touch)
                            add_decision(node, decision)
                            yield node

    def _gone(self, record: Record) -> Node:
        node = gone_node(record)
        node.children = [gone_node(one) for one in self._reader.caused_by(record.position) if not one.body]
        return node

    # ------------------------------------------------------------ finding

    def _find(self, text: str) -> Record:
        found = [record for record in self._reader.find(text) if record.kind == "event"]
        exact = [record for record in found if record.id == text]
        if not exact and (record := self._at(text)) is not None:
            return record
        found = exact or found
        meant = {_meant(record): record for record in reversed(found)}
        if len(meant) == 1:
            return next(iter(meant.values()))
        if found:
            several = ", ".join(f"#{record.position} {id_}" for (_, id_), record in sorted(meant.items())[:_LISTED])
            raise MDLError(f"`{text}` may be {several}{' …' * (len(meant) > _LISTED)}; say which by its #position")
        trimmed = self._reader.trimmed
        gone = f" (ids up to #{trimmed} are forgotten; ask by #position)" if trimmed else ""
        raise MDLError(
            f"nothing in the journal is called `{text}`{gone}; "
            "`mdl tail` lists events and actions, `mdl goal list` goals"
        )

    def _at(self, text: str) -> Record | None:
        place = text.removeprefix("#")
        if not (place.isdecimal() and place.isascii()):
            return None
        record = self._at_position(int(place))
        if record is None or record.kind == "event":
            return record
        if (cause := self._at_position(record.cause)) is None:
            raise MDLError(f"#{record.position} is the loop's own mark of how far it has come; ask about an event")
        return cause

    def _at_position(self, position: int) -> Record | None:
        record = self._reader.at(position)
        if record is None and 0 < position <= self._reader.gone:
            raise BodyGone(lost_node(f"#{position}").text)
        return record

    def _because(self, event: Event) -> list[Node]:
        chain: list[Node] = []
        while event.causationid and len(chain) < _DEPTH * 2:
            made = self._outcome(event.causationid)
            if made is None:
                break
            data = self._asked_for(event.causationid) if event.type in own.APPROVAL_VERDICTS else _action_of(made)
            if data is None:
                chain.append(lost_node("what a person was asked"))
                break
            cause = self._reader.at(data.event)
            if cause is None or not cause.body:
                chain += [self._told(data), gone_node(cause) if cause else lost_node(f"#{data.event}")]
                break
            event = event_of(cause)
            chain += [self._told(data), event_node(cause, event)]
        return chain[::-1]

    def _asked_for(self, action: str) -> own.ActionData | None:
        asked = [r for r in self._reader.find(action) if r.type == own.APPROVAL_REQUESTED and r.body]
        return _action_of(asked[0]) if asked else None

    def _told(self, data: own.ActionData, judgement: Judgement | None = None) -> Node:
        """An action, and what became of it, also where people were asked and have answered."""
        asked = data.status == "waiting" and data.policy != own.AT_ONCE
        return action_node(data, judgement, answer=self._answer(data.action) if asked else "")

    def _answer(self, action: str) -> str:
        """What people answered, such as `denied by ann`; empty where it waits for them, or their answer is gone."""
        if (pending := self._state.pending.get(action)) is not None:
            return f"approved by {pending.granted_by}" if pending.granted_by else ""
        for record in (r for r in self._reader.find(action) if r.type in own.APPROVAL_VERDICTS and r.body):
            if record.type == own.APPROVAL_EXPIRED:
                return "not answered in time"
            if record.type == own.APPROVAL_DENIED:
                return f"denied by {msgspec.convert(event_of(record).data, own.VerdictData).named}"
            judgements = [j for turn in self._turns(record.position) for j in turn.judgements if j.action == action]
            if judgements:  # or somebody else had to agree as well
                return f"approved by {judgements[0].situation.approved_by}"
        return ""

    def _outcome(self, action: str) -> Record | None:
        named = [record for record in self._reader.find(action) if record.body]
        found = [r for r in named if r.type.startswith(own.ACTION)]
        waiting = [r for r in named if r.type == own.APPROVAL_REQUESTED or (r.type == own.WAITING and r is named[-1])]
        return next(iter(found or waiting), None)

    # ------------------------------------------------------------ downwards

    async def _event(self, record: Record, event: Event, depth: int) -> Node:
        node = event_node(record, event)
        if depth > _DEPTH:
            return node
        turns = self._turns(record.position)
        node.children += self._aside(record.position)
        if record.position in self._state.parked and not turns:
            return node
        for turn in turns:
            node.children += [child async for child in self._touches(turn, depth)]
        touched = {goal_id(touch.goal) for turn in turns for touch in turn.touches}
        if depth and turns:
            return node
        if turns or record.position <= self._state.cursor:
            node.children += [child async for child in self._untouched(event, record.position, touched)]
            if not node.children:
                node.children.append(Node(kind="goal", text="no goal was set when it came", state="not"))
        else:
            node.children.append(Node(kind="turn", text="it waits for its turn", state="waiting"))
        return node

    def _aside(self, position: int) -> list[Node]:
        """That the event's turn was parked, and what people said to it."""
        found = self._reader.find(f"turn/{position}/")
        return [aside_node(one, event_of(one)) for one in found if one.source == own.SOURCE and one.body]

    async def _touches(self, turn: Turn, depth: int) -> AsyncIterator[Node]:
        judged = {judgement.action: judgement for judgement in turn.judgements}
        for touch in turn.touches:
            node = touch_node(touch)
            for decision in turn.decisions:
                if decision.goal == touch.goal:
                    add_decision(node, decision)
                    node.children += [await self._action(a, judged.get(a.id), depth) for a in decision.actions]
            yield node

    async def _untouched(self, event: Event, position: int, touched: set[str]) -> AsyncIterator[Node]:
        elsewhere: list[str] = []
        for version in self._goals_at(position):
            if version.goal.id in touched:
                continue
            if self._state.set_aside(version.goal):
                reason = "it is set aside, since the process ended while it was loaded"
                yield _missed(version, reason)
                continue
            if version.goal.on and not names_type(version.goal, event.type):
                elsewhere.append(version.goal.id)
                continue
            reason = "it was paused" if version.paused else await self._examine(event, version)
            yield _missed(version, reason)
        if elsewhere:
            names = ", ".join(sorted(elsewhere))
            yield Node(kind="goal", text=f"`on` of {names} does not name {event.type}", state="not")

    async def _action(self, action: Action, judgement: Judgement | None, depth: int) -> Node:
        made = self._outcome(action.id)
        if made is not None:
            node = self._told(_action_of(made), judgement)
        else:
            text = f"{action.tool} was not reached"
            id_ = goal_id(action.goal)
            node = Node(kind="action", id=action.id, goal=id_, version=action.goal, text=text, state="not")
            if action.id in self._state.open and self._state.open[action.id].event in self._state.parked:
                node.text, node.state = f"{action.tool} was called, and its turn is parked", "stopped"
            elif action.id in self._state.open:
                node.text, node.state = f"{action.tool} runs, or the loop ended while it ran", "open"
        if action.id in self._shown:  # once more, in the turn of an answer to what was asked about it
            node.facts.pop("result", None)
            return node
        self._shown.add(action.id)
        await self._consequences(action.id, node, depth=depth)
        return node

    def _turns(self, position: int) -> list[Turn]:
        return [turn_of(record) for record in self._reader.caused_by(position) if record.kind == "turn" and record.body]

    async def _consequences(self, action: str, node: Node, *, depth: int) -> None:
        for record in self._caused.get(action, ()):
            event = event_of(record)
            child = await self._event(record, event, depth + 1)
            if event.type.startswith(own.ACTION) or event.type == own.APPROVAL_REQUESTED:
                child.children = [inner for inner in child.children if inner.state != "not"]
                node.children += child.children  # the outcome is this node; what it touched hangs below it
            else:
                node.children.append(child)

    def _look_ahead(self, position: int) -> dict[str, list[Record]]:
        """What actions caused, among the records behind a position: looked through once for all of a tree."""
        caused: dict[str, list[Record]] = {}
        for record in self._records(after=position):
            if _CAUSED in record.body and (cause := event_of(record).causationid):
                caused.setdefault(cause, []).append(record)
        return caused

    def _records(self, *, after: int) -> Iterator[Record]:
        last = after + _SCAN
        while after < last and (records := self._reader.read(after=after, limit=1024, kind="event")):
            yield from records
            after = records[-1].position

    # ------------------------------------------------------------ goals

    async def _goal(self, id_: str) -> Node:
        version = self._state.goals.get(id_)
        progress = self._state.progress.get(id_)
        node = Node(
            kind="goal",
            id=id_,
            goal=id_,
            version=f"{id_}@{self._state.versions[id_]}",
            text=version.goal.text if version else f"{id_} was removed",
            state=life(version, self._state),
        )
        node.facts = {"version": self._state.versions[id_]}
        if progress is not None:
            node.facts |= msgspec.to_builtins(progress)
        node.text += fired(progress)
        node.children = [
            Node(
                kind="version",
                id=record.id,
                goal=id_,
                version=record.id.partition("/")[0],
                position=record.position,
                text=f"{record.type.removeprefix(own.OWN)} {record.id}",
            )
            for record in self._reader.find(f"{id_}@")
        ]
        node.children += list(self._recent_turns(id_))
        return node

    def _recent_turns(self, id_: str, *, most: int = 5) -> Iterator[Node]:
        recent = self._reader.read(after=max(self._reader.head - _SCAN, 0), limit=_SCAN, kind="turn")
        shown = 0
        for record in (record for record in reversed(recent) if record.body):
            for touch in turn_of(record).touches:
                if goal_id(touch.goal) == id_ and shown < most:
                    shown += 1
                    node = touch_node(touch)
                    node.position, node.text = record.cause, f"{record.type}: {node.text}"
                    yield node

    def _goals_at(self, position: int) -> Iterator[GoalVersion]:
        for id_, newest in self._state.versions.items():
            current = self._state.goals.get(id_)
            if current is not None and current.position < position and not current.paused:
                yield current
                continue
            for number in range(newest, 0, -1):
                if (version := self._version(f"{id_}@{number}", position)) is not None:
                    yield version
                    break

    def _version(self, name: str, position: int) -> GoalVersion | None:
        records = [r for r in self._reader.find(name) if r.position < position and r.id.split("/", 1)[0] == name]
        made = next((r for r in records if r.type == own.GOAL_SET), None)
        if made is None or any(r.type == own.GOAL_REMOVED for r in records):
            return None
        data = msgspec.convert(event_of(made).data, own.GoalData)
        last = records[-1].type
        return data.goal and GoalVersion(
            goal=data.goal, version=data.version, home=data.home, position=made.position, paused=last == own.GOAL_PAUSED
        )


def _missed(version: GoalVersion, reason: str) -> Node:
    id_ = version.goal.id
    text = f"{version.name} did not fire: {reason}"
    return Node(kind="goal", id=id_, goal=id_, version=version.name, text=text, state="not")


def _action_of(record: Record) -> own.ActionData:
    return msgspec.convert(event_of(record).data, own.ActionData)


def _meant(record: Record) -> tuple[str, str]:
    """What an id stands for: an event, or the action or goal version that the loop's own events tell of."""
    own_id = record.id.split("/", 1)[0]
    return (own.SOURCE, own_id) if record.source == own.SOURCE else (record.source, record.id)
