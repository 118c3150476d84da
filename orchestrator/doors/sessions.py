"""Opening a session: beside a running loop, or with none; to read, or to write as well.

Reading needs the journal's file only; where there is none, an empty one elsewhere answers, so that looking makes
nothing that would stand in the way of `mdl journal restore`. What is written goes through the running loop's socket;
where no loop runs, the journal is owned for as long as the session lasts.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from orchestrator.clock import Clock, SystemClock
from orchestrator.doors.faulty import bare
from orchestrator.doors.mirror import Mirror
from orchestrator.doors.session import Parts, Session, control
from orchestrator.errors import GoalError, JournalBusy, JournalError, SettingsError
from orchestrator.journal.control_socket import ControlClient
from orchestrator.journal.remote import SOCKET, RemoteJournal
from orchestrator.journal.schema import open_to_write
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.masking.masking import Masking
from orchestrator.settings import Settings, load
from orchestrator.types import Json

_PATIENCE, _AGAIN = 5.0, 0.05
_log = logging.getLogger("mdl.doors")


@asynccontextmanager
async def session(file: Path, *, write: bool = False, anyhow: bool = False) -> AsyncGenerator[Session]:
    """A session at the journal of a settings file; `anyhow`: beside a running loop also where the file has a fault.

    Raises:
        SettingsError: the file cannot be used.
        JournalError: the journal cannot be read; or not written, if `write`.
    """
    settings, clock = await _settings(file, anyhow=anyhow), SystemClock()
    path = settings.path(settings.journal.path)
    async with AsyncExitStack() as stack:
        kept = settings if write or await asyncio.to_thread(path.exists) else _empty(stack, settings)
        journal = await _journal(stack, kept, path, write=write, clock=clock)
        masking = _masking(stack, kept, clock=clock)
        parts = Parts(settings, stack, clock=clock, masking=masking)
        acting = control(settings, journal, Mirror(journal).state, clock=clock, masking=masking)
        if write and isinstance(journal, SqliteJournal):
            with suppress(
                GoalError
            ):  # so that what is written now meets the goals of mdl.toml; `mdl run` says what is wrong
                await acting.rulebook.adopt(settings.rules)
                await acting.adopt(settings.goals)

        async def now() -> dict[str, Json] | None:
            return await _live(path)

        yield Session(settings, acting, parts, live=now, clock=clock)


async def own(stack: AsyncExitStack, path: Path, *, clock: Clock, max_queue: int = 4096) -> SqliteJournal:
    """Own a journal as long as the stack lasts; waits while another command has it for a moment.

    Raises:
        JournalBusy: a loop owns it, or somebody else does for longer than a moment.
        JournalError: as `SqliteJournal.open`.
    """
    deadline = monotonic() + _PATIENCE
    while True:
        try:
            return await stack.enter_async_context(SqliteJournal.open(path, clock=clock, max_queue=max_queue))
        except JournalBusy:
            if monotonic() > deadline or await _live(path) is not None:
                raise
            await asyncio.sleep(_AGAIN)


async def _settings(file: Path, *, anyhow: bool) -> Settings:
    try:
        return load(file)
    except (GoalError, SettingsError) as error:
        known = bare(file)
        if not anyhow or await _live(known.path(known.journal.path)) is None:
            raise
        _log.warning("the running loop is asked all the same: %s", error)
        return known


def _empty(stack: AsyncExitStack, settings: Settings) -> Settings:
    """Settings whose journal is an empty one, gone with the stack."""
    path = Path(stack.enter_context(TemporaryDirectory(prefix="mdl-"))) / "journal.db"
    open_to_write(path).close()
    return settings.model_copy(update={"journal": settings.journal.model_copy(update={"path": str(path)})})


async def _journal(
    stack: AsyncExitStack, kept: Settings, path: Path, *, write: bool, clock: Clock
) -> SqliteJournal | RemoteJournal:
    if not write:
        read = kept.path(kept.journal.path)
        return stack.enter_context(RemoteJournal(read, control=path.with_name(SOCKET)))
    if await asyncio.to_thread(path.exists) and await _live(path) is not None:
        return stack.enter_context(RemoteJournal(path))
    try:
        return await own(stack, path, clock=clock)
    except JournalBusy:
        if await _live(path) is None:
            raise
        return stack.enter_context(RemoteJournal(path))  # a loop has begun in between


def _masking(stack: AsyncExitStack, settings: Settings, *, clock: Clock) -> Masking | None:
    if settings.masking is None:
        return None
    from orchestrator.doors import build

    return stack.enter_context(build.masking(settings, clock=clock))


async def _live(path: Path) -> dict[str, Json] | None:
    try:
        return await ControlClient(path.with_name(SOCKET), timeout=5).call("status")
    except JournalError:
        return None
