"""A running loop with its sources and doors: put together, served, and stopped again in order.

Start: journal, tools, loop, then whatever lets events in. Stop: the other way round, within five seconds.
"""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import monotonic

import msgspec

from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock, SystemClock
from orchestrator.control import refuse_claims
from orchestrator.doors import build, in_vain, show
from orchestrator.doors.access import Access, asking
from orchestrator.doors.api import Api
from orchestrator.doors.http import application, serving
from orchestrator.doors.mcp import server
from orchestrator.doors.session import Parts, Session, control
from orchestrator.doors.sessions import own as own_journal
from orchestrator.doors.values import letting_go
from orchestrator.errors import JournalError, JournalFull, MaskError, MDLError
from orchestrator.figures import Figures, figures
from orchestrator.journal import own
from orchestrator.journal.control_socket import Call, serve
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.remote import SOCKET, calls_of
from orchestrator.journal.retention import Retention
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.loop.loading import Loading
from orchestrator.loop.loop import Loop
from orchestrator.masking.logs import redacted_logs
from orchestrator.masking.masking import Masking
from orchestrator.observe.pump import pump
from orchestrator.observe.watch import Watch
from orchestrator.policy_table import PolicyTable
from orchestrator.settings import ServerSettings, Settings, load
from orchestrator.turn import Stages
from orchestrator.types import Event, Json, Record

_log = logging.getLogger("mdl.run")
_QUIET = 5
_PATIENCE = 10.0


class Running:
    """One process's loop and everything around it."""

    def __init__(
        self,
        file: Path,
        settings: Settings,
        journal: SqliteJournal,
        toolbox: Toolbox,
        stages: Stages,
        *,
        clock: Clock,
        masking: Masking | None = None,
    ) -> None:
        """Put together; nothing runs yet."""
        self.file, self.settings, self.journal, self.toolbox, self.stages = file, settings, journal, toolbox, stages
        self.read: bytes | None = None
        self.loop = Loop(journal, toolbox, stages, clock=clock, settings=settings.loop)
        self.masking = masking
        self.control = control(settings, journal, lambda: self.loop.state, clock=clock, masking=masking)
        self.url, self.troubles = "", dict[str, str | None]()
        self.notary = build.notary(settings, journal, clock=clock)
        self.stopping = asyncio.Event()
        self.access = Access(journal, self.loop.state, clock=clock)
        self._clock, self._started = clock, monotonic()

    async def intake(self, events: Sequence[Event], *, position: str | None = None) -> Sequence[Record | None]:
        """Take events from a source that pushes.

        Raises:
            EventError: 403, they claim to come from the loop itself, or from a source that is pulled.
            JournalFull: too much waits already, or the journal is full; nothing was taken.
        """
        refuse_claims(events)
        if self.loop.backlog > self.settings.journal.max_backlog:
            raise JournalFull(f"{self.loop.backlog} records wait for their turn; come back later")
        if self.masking is not None:
            await _settled(self.masking)
        positions = {events[0].source: position} if position and events else None
        return await self.journal.append([event_draft(event) for event in events], positions=positions)

    async def room(self) -> None:
        """Wait while too much waits already, for sources that are pulled; and until what they masked is kept."""
        await self.loop.shrunk(self.settings.journal.max_backlog)
        told = ""
        while self.masking is not None:
            try:
                await _settled(self.masking)
                break
            except JournalFull as error:
                if str(error) != told:
                    _log.warning("sources are held back: %s", told := str(error))
                await asyncio.sleep(error.retry_after)

    async def settled(self) -> None:
        """Wait until the sources have given what there is, and every event is finished with what it caused."""
        quiet = 0
        while quiet < _QUIET:
            before = self.journal.head
            await self.loop.idle()
            await asyncio.sleep(0.1)
            quiet = quiet + 1 if self.journal.head == before and not self.loop.state.wants else 0

    async def status(self) -> dict[str, Json]:
        """What the running loop says of itself."""
        found = self.figures()
        return {
            "pid": os.getpid(),
            "url": self.url,
            "seconds": round(found.seconds, 1),
            "backlog": found.backlog,
            "parked_full": self.loop.parking.waits,
            "aside": [{"position": at, "reason": reason} for at, reason in self.loop.parking.aside.items()],
            "sources": found.sources,
            "busy": msgspec.to_builtins(found.busy),
            "servers": [msgspec.to_builtins(one) for one in self.toolbox.servers()],
            "errors": {goal: f"{count} times: {text}" for (goal, text), count in self.stages.orienting.errors.items()},
            "checkpoint": self._checkpoint(),
            "tokens": self.access.told(),
            "latency_ms": msgspec.to_builtins(found.latency_ms),
        }

    def figures(self) -> Figures:
        """What it does now, in numbers."""
        seconds = monotonic() - self._started
        return figures(
            self.control,
            self.loop,
            self.journal,
            now=self._clock.now(),
            seconds=seconds,
            sources=self.troubles,
            busy=self.toolbox.places.busy(),
        )

    async def numbers(self) -> Json:
        """`figures` for the control socket."""
        return msgspec.to_builtins(self.figures())

    def _checkpoint(self) -> dict[str, Json] | None:
        if self.notary is None:
            return None
        last, troubles = self.notary.last, {name: text for name, text in self.notary.troubles.items() if text}
        return {"position": last and last.position, "time": last and last.time, "troubles": troubles}

    async def health(self) -> dict[str, Json]:
        """For `/healthz`: `full` where events are not taken or not decided, `degraded` where anything is set aside."""
        state, parked = self.loop.state, sorted(self.loop.state.parked)
        aside = sorted(version.goal.id for version in state.goals.values() if state.set_aside(version.goal))
        full = self.loop.parking.waits or self.loop.backlog > self.settings.journal.max_backlog
        status = "full" if full else "degraded" if parked or aside else "ok"
        return {"status": status, "backlog": self.loop.backlog, "parked": parked, "goals_aside": aside}

    async def reload(self) -> list[str]:
        """Read the goals and rules of mdl.toml again; a file that does not hold changes nothing.

        Returns:
            What changed, and whether there is more that only a restart takes up.

        Raises:
            SettingsError: the file, or a goal in it, cannot be used.
        """
        found = load(self.file)
        lines = await self.control.rulebook.adopt(found.rules)
        lines += await self.control.adopt(found.goals)
        if _fixed(found) != _fixed(self.settings):
            lines.append(f"{self.file} has more changes than goals and rules; restart the loop to take them up")
        return lines

    def report(self, source: str, trouble: str | None) -> None:
        """Remember how a source is, and say so when it changes."""
        if trouble is not None and self.masking is not None:
            trouble = self.masking.redacted(trouble)
        if self.troubles.get(source) != trouble:
            _log.warning("%s: %s", source, trouble or "is well again")
        self.troubles[source] = trouble


@asynccontextmanager
async def running(file: Path, *, clock: Clock | None = None) -> AsyncGenerator[Running]:
    """Run the loop of a settings file until left.

    Raises:
        SettingsError: something in the file cannot be used.
        JournalBusy: another process runs this journal's loop.
    """
    clock, read, settings = clock or SystemClock(), _bytes(file), load(file)
    build.check(settings, clock=clock)
    async with AsyncExitStack() as stack:
        path = settings.path(settings.journal.path)
        journal = await own_journal(stack, path, clock=clock, max_queue=settings.journal.max_queue)
        masking = stack.enter_context(build.masking(settings, clock=clock))
        if masking is not None:
            stack.enter_context(redacted_logs(masking.redacted))
        servers = await stack.enter_async_context(build.toolbox(settings))
        toolbox = build.masked(servers, masking, settings)
        stages = await stack.enter_async_context(build.stages(settings, toolbox, clock=clock))
        live = Running(file, settings, journal, toolbox, stages, clock=clock, masking=masking)
        live.read = read  # before the settings: what was written in between is read once more
        await Loading(journal, live.loop.state, stages.orienting, clock=clock).try_all(settings.goals)
        for line in [*await live.control.rulebook.adopt(settings.rules), *await live.control.adopt(settings.goals)]:
            _log.info("%s", line)
        asked: dict[str, Call] = {"status": lambda _: live.status(), "figures": lambda _: live.numbers()}
        await stack.enter_async_context(serve(path.with_name(SOCKET), {**calls_of(journal), **asked}))
        if live.notary is not None:
            await stack.enter_async_context(live.notary.at_work())
        await journal.append([event_draft(own.loop_event(own.LOOP_STARTED, at=clock.now(), data={"pid": os.getpid()}))])
        async with asyncio.TaskGroup() as tasks:
            loop = tasks.create_task(live.loop.run(), name="loop")
            keeping = [tasks.create_task(_keep(live, clock=clock), name="retention")]
            if masking is not None:
                keeping.append(tasks.create_task(letting_go(journal, live.loop.state, masking), name="vault"))
            async with _doors(live, clock=clock):
                settle()
                yield live
                for task in keeping:
                    task.cancel()
                live.loop.stop()  # its turns end while the doors close
            await loop
        await _stopped(journal, clock=clock)


async def _settled(masking: Masking) -> None:
    try:
        await masking.settled()
    except MaskError as error:
        raise JournalFull(f"{error}; nothing was stored") from error


async def _stopped(journal: SqliteJournal, *, clock: Clock) -> None:
    """Say that the loop ended by itself; where that cannot be stored, the next start only takes more care."""
    with suppress(JournalError):
        await journal.append([event_draft(own.loop_event(own.LOOP_STOPPED, at=clock.now(), data={"pid": os.getpid()}))])


async def _keep(live: Running, *, clock: Clock) -> None:
    if (keep := live.settings.journal.keep) is not None:
        await Retention(live.journal, keep=keep, clock=clock, snapshot=live.loop.snapshot).run()


def settle() -> None:
    """Tell the garbage collector that all there is now stays, and to look less often: a turn leaves no cycles behind.

    Left alone, every full round looks at all that was ever loaded. What this saves a turn has not been shown yet.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@asynccontextmanager
async def _doors(live: Running, *, clock: Clock) -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        if live.settings.http.enabled:

            @asynccontextmanager
            async def here(_: bool = True) -> AsyncGenerator[Session]:  # noqa: FBT001, FBT002  its own session does both
                async with AsyncExitStack() as inner:
                    parts = Parts(live.settings, inner, clock=clock, tools=live.toolbox, masking=live.masking)
                    yield Session(live.settings, live.control, parts, live=live.status, clock=clock)

            await stack.enter_async_context(live.access.at_work())
            app = application(
                live.intake,
                settings=live.settings.http,
                hooks=build.hooks(live.settings),
                clock=clock,
                health=live.health,
                figures=live.figures,
                mcp=server(here, asking),
                access=live.access,
                api=Api(here, live.settings.http).routes(),
                masking=live.masking,
            )
            live.url = await stack.enter_async_context(serving(app, live.settings.http))
        async with asyncio.TaskGroup() as tasks:
            sources = build.sources(live.settings, clock=clock, masking=live.masking)
            live.troubles.update({source.uri: None for source in sources})
            beside = [
                tasks.create_task(pump(source, live.journal, report=live.report, ready=live.room), name=source.uri)
                for source in sources
            ]
            beside.append(tasks.create_task(_reload(live), name="settings"))
            try:
                yield
            finally:
                for task in beside:
                    task.cancel()


async def _reload(live: Running) -> None:
    taken, told = live.read, b""
    with Watch(live.file) as watch:
        while True:
            await watch.changed()
            if (written := await asyncio.to_thread(_bytes, live.file)) in (taken, None):
                continue
            try:
                lines = await live.reload()
                taken = written
                settle()
            except MDLError as error:  # tried again: what stood in the way may be a goal just being set
                lines = [f"the goals stay as they are: {error}"] if written != told else []
                told = written
            for line in lines:
                _log.info("%s", line)


def _fixed(settings: Settings) -> Settings:
    """What only a restart takes up: all but goals and rules."""
    no_rule, servers = {"dry_run": False, "breaker": None}, dict[str, ServerSettings]()
    for name, one in settings.servers.items():
        tools = {tool: said.model_copy(update=no_rule) for tool, said in one.tools.items()}
        servers[name] = one.model_copy(update={"tools": tools, "breaker": None})
    policy = PolicyTable(own=settings.policy.own)
    return settings.model_copy(update={"goals": (), "owners": {}, "policy": policy, "servers": servers})


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:  # being replaced just now
        return None


async def run_forever(file: Path, *, quiet: bool) -> None:
    """`mdl run`: run, show turns as they come, and stop on SIGINT or SIGTERM.

    Raises:
        MDLError: as `running`.
    """
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "chromadb", "mcp", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    async with running(file) as live:
        turns = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            turns.add_signal_handler(number, live.stopping.set)
        goals = len(live.loop.state.goals)
        show.console.print(f"MDL runs with {goals} goals at {live.url or 'no HTTP'}; stop it with Ctrl-C.")
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(_show(live, quiet=quiet)), tasks.create_task(_warn(live))]
            await live.stopping.wait()
            for task in beside:
                task.cancel()


async def _warn(live: Running) -> None:
    """Say what the settings name in vain; of tools as soon as their servers are up."""
    goals = [version.goal for version in live.control.state.goals.values()]
    for what, text in in_vain.ownerless(live.settings, goals):
        _log.warning("%s: %s", what, text)
    await live.toolbox.ready(timeout=_PATIENCE)
    up = {server.name for server in live.toolbox.servers() if server.state == "up"}
    for what, text in in_vain.toolless(live.settings, tools=live.toolbox.tools().keys(), up=up):
        _log.warning("%s: %s", what, text)


async def _show(live: Running, *, quiet: bool) -> None:
    async for records in live.journal.subscribe(after=live.journal.head):
        for record in records:
            if not quiet and (record.kind == "turn" or (record.kind == "event" and record.type.startswith(own.OWN))):
                show.console.print(show.record_line(record))
