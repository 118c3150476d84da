"""One person at one journal: what the doors share. Opened by `sessions`, with a loop running beside it or not.

What only some questions need is imported when the first of them is asked: most commands only read.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.act.places import Busy
from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock, utc
from orchestrator.control import EMITTED, Control
from orchestrator.decide.wish import GoalDraft
from orchestrator.doors.goal_views import GoalRow, rows
from orchestrator.doors.tool_views import Listing, listing
from orchestrator.explain.explanation import Explanation
from orchestrator.figures import totals
from orchestrator.journal.journal import Journal
from orchestrator.journal.own import ParkedData
from orchestrator.journal.state import State
from orchestrator.masking.masking import Masking
from orchestrator.models.model import Model
from orchestrator.observe.attributes import event_type, text
from orchestrator.observed import Observed
from orchestrator.replay.audition import Audition
from orchestrator.replay.changes import Changes
from orchestrator.replay.found import Difference, Replayed, Vendors
from orchestrator.replay.rehearse import Rehearsal
from orchestrator.settings import Settings
from orchestrator.turn import Stages
from orchestrator.types import Event, Goal, Json, Record

Live = Callable[[], Awaitable[dict[str, Json] | None]]
"""What a running loop says of itself; None when none runs."""

_DAY = 86400.0
_PATIENCE = 10.0
_BATCH = 256


class Status(Struct, omit_defaults=True, kw_only=True):
    """How things are. `live` is what the running loop says of itself; None when none runs."""

    running: bool
    journal: dict[str, Json]
    counts: dict[str, Json]
    decided_by: dict[str, int]
    refusals: dict[str, int]
    goals: int
    paused: int
    waiting: int
    stopped: list[str] = []
    held: int = 0
    parked: list[ParkedData] = []
    live: dict[str, Json] | None = None


class Parts:
    """What a session needs only for some questions, made when the first of them is asked."""

    def __init__(
        self,
        settings: Settings,
        stack: AsyncExitStack,
        *,
        clock: Clock,
        tools: Toolbox | None = None,
        masking: Masking | None = None,
    ) -> None:
        """Make parts inside `stack`; `tools` are those of the running loop, where there are any."""
        self._settings, self._stack, self._clock, self._tools = settings, stack, clock, tools
        self._masking = masking

    async def tools(self, names: Collection[str] | None = None) -> Toolbox:
        """Servers of the settings (all, if none are named), started, and waited for."""
        from orchestrator.doors import build

        if self._tools is not None:
            return self._tools
        servers = await self._stack.enter_async_context(build.toolbox(self._settings, only=names))
        await servers.ready(timeout=_PATIENCE)
        toolbox = build.masked(servers, self._masking, self._settings)
        if names is None:
            self._tools = toolbox
        return toolbox

    async def stages(self, *, servers: Collection[str] | None = None) -> Stages:
        """Stages of the session's own, to try things out with; they can reach these servers, or all."""
        from orchestrator.doors import build

        toolbox = await self.tools(servers)
        return await self._stack.enter_async_context(build.scratch_stages(self._settings, toolbox))

    async def vendors(self) -> Vendors:
        """What a replay needs besides the journal: tools are listed, never called."""
        from orchestrator.doors import build

        toolbox = await self.tools()
        enter = self._stack.enter_async_context
        meanings = [await enter(build.scratch_meaning(self._settings)) for _ in range(2)]
        model = build.planner(self._settings, await self.model())
        return Vendors(
            tools=toolbox.tools(),
            sinks=self._settings.sinks().get,
            meaning=meanings[0],
            examining=meanings[1],
            model=model,
            policies=build.policies(self._settings),
        )

    async def model(self) -> Model | None:
        """The configured model."""
        from orchestrator.doors import build

        return await self._stack.enter_async_context(build.model(self._settings, clock=self._clock))


def control(
    settings: Settings,
    journal: Journal,
    state: Callable[[], State],
    *,
    clock: Clock,
    masking: Masking | None = None,
) -> Control:
    """Control over a journal."""
    declared = {type_: Observed.declared(schema) for type_, schema in settings.schemas.items()}
    return Control(journal, state, clock=clock, servers=settings.servers, declared=declared, masking=masking)


class Session:
    """What one person can ask and do. Reading needs nothing; writing needs the journal or its owner's socket."""

    def __init__(self, settings: Settings, control: Control, parts: Parts, *, live: Live, clock: Clock) -> None:
        """Made by `sessions.session`, and by the running loop for its own doors."""
        self.settings, self.control, self.reader = settings, control, control.journal
        self._parts, self._live, self._clock = parts, live, clock

    def now(self) -> float:
        """The time, in epoch seconds."""
        return self._clock.now()

    def event(
        self,
        type_: str,
        *,
        data: Json = None,
        subject: str | None = None,
        id_: str | None = None,
        time: datetime | None = None,
        source: str = EMITTED,
    ) -> Event:
        """An event somebody gives by hand; without an id it is never a duplicate.

        Raises:
            EventError: an attribute no event may have.
        """
        return Event(
            id=os.urandom(12).hex() if id_ is None else text("id", id_),
            source=text("source", source),
            type=event_type(type_),
            time=time or utc(self._clock.now()),
            subject=None if subject is None else text("subject", subject),
            data=data,
        )

    async def draft(self, sentence: str) -> GoalDraft:
        """Draft a goal from a sentence, with the model if one is configured.

        Raises:
            GoalError: something is missing or could mean two things; the text asks.
        """
        from orchestrator.decide.draft import draft
        from orchestrator.decide.draft_llm import draft_by_model
        from orchestrator.doors import build

        self.control.refuse_keys(sentence)
        tools = tuple((await self._parts.tools()).tools().values())
        known = {type_: seen.kinds for type_, seen in self.control.observed.items()}
        model = await self._parts.model()
        if model is None:
            return self._unlike(draft(sentence, known=known, tools=tools))
        prompt = build.prompt("draft")
        return self._unlike(await draft_by_model(sentence, known=known, tools=tools, model=model, prompt=prompt))

    def _unlike(self, drafted: GoalDraft) -> GoalDraft:
        goal, known, number = drafted.goal, self.control.state.goals, 2
        while goal.id in known and known[goal.id].goal.text != goal.text:
            goal = replace(drafted.goal, id=f"{drafted.goal.id}-{number}")
            number += 1
        return GoalDraft(goal, drafted.notes)

    async def rehearse(self, goal: Goal, *, since: float = _DAY) -> Rehearsal:
        """Hold a goal against the last `since` seconds of the journal, without acting."""
        from orchestrator.journal.times import position_at
        from orchestrator.replay.rehearse import rehearse

        after = position_at(self.reader, self._clock.now() - since)
        return await rehearse(
            goal, self.reader, await self._parts.stages(), after=after, rules=self.control.state.rules
        )

    async def replay(
        self,
        changes: Changes,
        *,
        since: str,
        until: str | None = None,
        found: Callable[[Difference], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> Replayed:
        """What would have come of a stretch of the journal if something were otherwise; calls nothing, writes nothing.

        Raises:
            SettingsError: as `Control.replay`.
        """
        vendors = await self._parts.vendors()
        return await self.control.replay(changes, vendors, since=since, until=until, found=found, progress=progress)

    async def audition(self, policy: str, *, since: float = _DAY) -> Audition:
        """Hold a policy of one's own, `FILE:FUNCTION`, against the last `since` seconds of the journal.

        Raises:
            SettingsError: it cannot be loaded.
        """
        from orchestrator.guard.own import own_policy
        from orchestrator.journal.times import position_at
        from orchestrator.replay.audition import audition

        after = position_at(self.reader, self._clock.now() - since)
        function = own_policy(policy, self.settings.folder)
        return await audition(function, self.reader, after=after, rules=self.control.state.rules)

    async def explain(self, text: str) -> Explanation:
        """Explain an event, an action or a goal.

        Raises:
            MDLError: nothing, or more than one thing, is called so.
        """
        from orchestrator.explain.explainer import Explainer

        state = self.control.state
        lets = [call for version in state.goals.values() for call in version.goal.let.values()]
        stages = await self._parts.stages(servers={call.tool.partition(".")[0] for call in lets})
        stages.orienting.rules = lambda: state.rules
        return await Explainer(self.reader, state, examine=stages.orienting.examine).explain(text)

    async def tools(self) -> Listing:
        """Every tool and server, with what is known of them; beside a running loop also what they do."""
        toolbox, live = await self._parts.tools(), await self._live()
        busy = None if live is None else msgspec.convert(live.get("busy", {}), dict[str, Busy])
        tools, servers = toolbox.tools().values(), toolbox.servers()
        return listing(tools, servers, self.settings, self.control.state, busy=busy, now=self._clock.now())

    async def goals(self) -> list[GoalRow]:
        """Every goal, with what became of it; beside a running loop also which of its servers are down."""
        live = await self._live() or {}
        down = [server["name"] for server in live.get("servers", ()) if server["state"] == "down"]
        return rows(self.control.state, down=down)

    async def records(self, *, after: int, follow: bool) -> AsyncIterator[list[Record]]:
        """Records behind a position, up to the head, or for ever."""
        if follow:
            async for records in self.control.journal.subscribe(after=after):
                yield records
        while records := self.reader.read(after=after, limit=_BATCH):
            yield records
            after = records[-1].position

    async def status(self) -> Status:
        """How things are."""
        found, live = totals(self.control), await self._live()
        path = self.settings.path(self.settings.journal.path)
        return Status(
            running=live is not None,
            journal={
                "path": str(path),
                "head": self.reader.head,
                "cursor": self.control.state.cursor,
                "trimmed": self.reader.trimmed,
                "gone": self.reader.gone,
                "bytes": path.stat().st_size if path.exists() else 0,
            },
            counts={"events": found.events, "turns": found.turns, **found.actions},
            decided_by=found.decided_by,
            refusals=found.refusals,
            goals=found.goals,
            paused=found.paused,
            waiting=found.waiting,
            stopped=sorted(self.control.state.stopped),
            held=found.held,
            parked=[one.data for one in self.control.parked()],
            live=live,
        )

    def goals_named(self, names: Sequence[str]) -> list[Goal]:
        """Goals by their ids, also those of `mdl.toml` that no loop has taken up yet.

        Raises:
            GoalError: no such goal.
        """
        written = {goal.id: goal for goal in self.settings.goals}
        return [written[name] if name in written else self.control.goal(name).goal for name in names]
