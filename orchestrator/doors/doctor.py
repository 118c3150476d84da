"""`mdl doctor`: tries once everything the settings name, and says how to mend what does not work."""

import shutil
from collections.abc import AsyncIterator, Iterator
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from orchestrator.act.toolbox import InForce
from orchestrator.clock import SystemClock
from orchestrator.control import Control
from orchestrator.decide.ranking import properties
from orchestrator.doors import build, in_vain
from orchestrator.doors.isolation_views import IN_PROCESS, in_words
from orchestrator.doors.sessions import session
from orchestrator.doors.tool_views import Listing
from orchestrator.errors import MDLError
from orchestrator.journal.verify import verify
from orchestrator.models.ollama import Ollama
from orchestrator.observe.changelog import installed
from orchestrator.settings import CheckpointSettings, Settings, SqliteSource, WebhookSource, load
from orchestrator.types import Goal

_LOW_DISK = 1_000_000_000
_LISTED = 5


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing that was tried."""

    what: str
    well: bool
    text: str
    in_force: InForce | None = None
    """What isolates a server."""


async def examine(file: Path) -> list[Finding]:
    """Try everything; never raises for what is wrong."""
    try:
        settings = load(file)
        build.check(settings, clock=SystemClock())
    except MDLError as error:
        return [Finding("settings", well=False, text=str(error))]
    findings = [Finding("settings", well=True, text=str(file)), _journal(settings), _disk(settings)]
    if settings.journal.checkpoint is not None:
        findings.append(_checkpoints(settings, settings.journal.checkpoint))
    findings += [
        _source(settings, name, one) for name, one in settings.sources.items() if isinstance(one, SqliteSource)
    ]
    findings += [
        Finding(f"source {name}", well=True, text="takes unsigned posts: it has no `signature` and `keys`")
        for name, one in settings.sources.items()
        if isinstance(one, WebhookSource) and not one.keys
    ]
    try:
        findings += [finding async for finding in _live(file, settings)]
    except MDLError as error:
        findings.append(Finding("start", well=False, text=str(error)))
    return findings


def _journal(settings: Settings) -> Finding:
    path = settings.path(settings.journal.path)
    if not path.exists():
        return Finding("journal", well=True, text=f"{path} will be made by the first `mdl run`")
    try:
        checked = verify(path)
    except MDLError as error:
        return Finding("journal", well=False, text=str(error))
    return Finding("journal", well=True, text=f"{path}: {checked.records} records, the chain holds")


def _checkpoints(settings: Settings, chosen: CheckpointSettings) -> Finding:
    from orchestrator.journal.signing_key import signing_key

    try:
        names = [place.name for place in build.places(settings, clock=SystemClock())]
        path = settings.path(settings.journal.path)
        if chosen.key is not None or path.exists():  # `mdl run` makes the key, with the journal
            signing_key(path, chosen.key)
    except MDLError as error:
        return Finding("checkpoints", well=False, text=str(error))
    if chosen.file is not None and not (folder := settings.path(chosen.file).parent).is_dir():
        return Finding("checkpoints", well=False, text=f"there is no folder {folder} for them; make it")
    return Finding("checkpoints", well=True, text=f"go to {', '.join(names)}")


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.folder).free
    return Finding("disk", well=free > _LOW_DISK, text=f"{free / 1e9:.1f} GB free")


def _source(settings: Settings, name: str, source: SqliteSource) -> Finding:
    path, what = settings.path(source.path), f"source {name}"
    if not path.exists():
        return Finding(what, well=False, text=f"there is no {path}")
    try:
        found = installed(path)
    except MDLError as error:
        return Finding(what, well=False, text=str(error))
    if found is None:
        return Finding(what, well=False, text=f"its changes are not written down; run `mdl source install {name}`")
    return Finding(what, well=True, text=f"changes of {', '.join(source.tables)} are written down")


async def _live(file: Path, settings: Settings) -> AsyncIterator[Finding]:
    async with session(file) as here:
        status = await here.status()
        yield Finding("loop", well=True, text="runs" if status.running else "does not run; `mdl run` starts it")
        if status.parked:
            places = ", ".join(f"#{one.position}" for one in status.parked[:_LISTED])
            text = f"{len(status.parked)} turns do not end: {places}; see `mdl parked list`, then retry or drop them"
            if (status.live or {}).get("parked_full"):
                text += "; until then no event is taken up"
            yield Finding("parked", well=False, text=text)
        yield _doors(settings, here.control)
        listing = await here.tools()
        for server in listing.servers:
            text = f"{server.tools} tools" if server.state == "up" else f"{server.state}: {server.reason}"
            yield Finding(f"server {server.name}", well=server.state == "up", text=text)
            if settings.servers[server.name].module or server.in_force:
                text = in_words(server.in_force) if server.in_force else IN_PROCESS
                yield Finding(f"isolation {server.name}", well=True, text=text, in_force=server.in_force)
        for finding in (*_reconciles(listing), *_unmasked(settings, listing)):
            yield finding
        known = {version.goal.id: version.goal for version in here.control.state.goals.values()}
        known |= {goal.id: goal for goal in settings.goals}
        for what, text in (*in_vain.ownerless(settings, known.values()), *_toolless(settings, listing)):
            yield Finding(what, well=False, text=text)
        for goal in settings.goals:
            yield _goal(here.control, goal, listing)
    if settings.model is not None:
        yield await _model(Ollama(settings.model, clock=SystemClock()))


def _doors(settings: Settings, control: Control) -> Finding:
    known, now, host = control.tokens.known(), SystemClock().now(), settings.http.host
    if known:
        good = sum(token.holds(now) for token in known)
        return Finding("tokens", well=good > 0, text=f"HTTP asks for one; {good} of {len(known)} are good")
    near = not settings.http.enabled or host == "localhost" or _loopback(host)
    text = "there are none, so HTTP asks for none" + ("" if near else f", at {host}; see `mdl token create`")
    return Finding("tokens", well=near, text=text)


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _reconciles(listing: Listing) -> Iterator[Finding]:
    known = {listed.tool.name: listed.tool for listed in listing.tools}
    up = {server.name for server in listing.servers if server.state == "up"}
    for tool in known.values():
        if tool.reconcile is None or tool.reconcile.partition(".")[0] not in up:
            continue
        asked = known.get(tool.reconcile)
        if asked is None or not asked.harmless:
            wrong = "which there is not" if asked is None else "which no trusted server says is read-only"
            text = f"`reconcile` names `{tool.reconcile}`, {wrong}, so it cannot be asked"
            yield Finding(f"tool {tool.name}", well=False, text=text)


def _unmasked(settings: Settings, listing: Listing) -> Iterator[Finding]:
    """What `unmask` names in vain: the tool would be given masks."""
    named = settings.unmask()
    if named and settings.masking is None:
        yield Finding(
            "masking", well=False, text="`unmask` is set and nothing is masked; add [masking], or take it out"
        )
    for name, tool in ((listed.tool.name, listed.tool) for listed in listing.tools):
        known = properties(tool)
        if strange := sorted(named.get(name, frozenset()) - known.keys()):
            text = f"`unmask` names `{strange[0]}`, which is none of its arguments: {', '.join(known) or 'it has none'}"
            yield Finding(f"tool {name}", well=False, text=text)


def _toolless(settings: Settings, listing: Listing) -> Iterator[tuple[str, str]]:
    up = {server.name for server in listing.servers if server.state == "up"}
    return in_vain.toolless(settings, tools={listed.tool.name for listed in listing.tools}, up=up)


def _goal(control: Control, goal: Goal, listing: Listing) -> Finding:
    if control.state.set_aside(goal):
        text = f"the process ended while it was loaded; mend it, or `mdl goal resume {goal.id}`"
        return Finding(f"goal {goal.id}", well=False, text=text)
    try:
        warnings = control.check(goal)
    except MDLError as error:
        return Finding(f"goal {goal.id}", well=False, text=str(error))
    up = {server.name for server in listing.servers if server.state == "up"}
    tools = {listed.tool.name for listed in listing.tools}
    see = goal.want.see.values() if goal.want else ()
    for call in (*goal.do, *goal.let.values(), *see):
        if call.tool not in tools and call.tool.partition(".")[0] in up:
            near = get_close_matches(call.tool, tools, n=1)
            hint = f"; is it `{near[0]}`?" if near else ""
            return Finding(f"goal {goal.id}", well=False, text=f"there is no tool `{call.tool}`{hint}")
    if not goal.do and not goal.may:
        return Finding(f"goal {goal.id}", well=False, text="it has neither `do` nor `may`, so it can never act")
    return Finding(f"goal {goal.id}", well=True, text="; ".join(warnings) or "compiles")


async def _model(model: Ollama) -> Finding:
    try:
        version = await model.check()
    except MDLError as error:
        return Finding(f"model {model.name}", well=False, text=str(error))
    finally:
        await model.close()
    return Finding(f"model {model.name}", well=True, text=f"answers, version {version}")
