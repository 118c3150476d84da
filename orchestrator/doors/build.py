"""The one place that joins parts and vendors: toolbox, model, stages and sources, as the settings say."""

import os
import sys
from collections.abc import AsyncGenerator, Collection, Generator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from importlib.resources import files
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestrator.act.masked import MaskedToolbox
from orchestrator.act.places import Places
from orchestrator.act.servers import Servers
from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock
from orchestrator.decide.llm import ModelPlanner
from orchestrator.errors import MaskError, SettingsError
from orchestrator.guard.masks import masks
from orchestrator.guard.own import own_policy
from orchestrator.guard.policy import Policy
from orchestrator.guard.verdict import POLICIES
from orchestrator.journal.journal import Reader
from orchestrator.judging import Judging
from orchestrator.masking.masking import Masking
from orchestrator.models.model import Model
from orchestrator.observe.jsonl import JsonLines
from orchestrator.observe.source import Source
from orchestrator.observe.sqlite import SqliteChanges
from orchestrator.observe.timer import Timer
from orchestrator.observe.webhook import Hooks
from orchestrator.orient.meaning import Meaning
from orchestrator.orienting import Orienting
from orchestrator.settings import (
    CheckpointSettings,
    JsonlSource,
    Settings,
    SourceSettings,
    SqliteSource,
    TimerSource,
    WebhookSource,
)
from orchestrator.turn import Stages
from rag.retrieve import Retriever

if TYPE_CHECKING:
    from orchestrator.journal.notary import Notary
    from orchestrator.journal.places import Place
    from orchestrator.masking.vault import Vault


_BESIDE = ("control.sock", "checkpoint.key", "mask.key", "masks.db")
"""What MDL keeps in the journal's folder; named here, since importing it from where it is made loads cryptography."""


def toolbox(settings: Settings, *, only: Collection[str] | None = None) -> Servers:
    """Every server of the settings (or these), not started. Modules beside `mdl.toml` can be imported from then on."""
    if str(settings.folder) not in sys.path:
        sys.path.append(str(settings.folder))  # last, so that nothing beside mdl.toml hides a package
    chosen = {name: one for name, one in settings.servers.items() if only is None or name in only}
    jitter = Random(0)  # noqa: S311  no secret
    at_once = Places(settings.at_once, most=settings.loop.lanes)
    return Servers(chosen, folder=settings.folder, random=jitter, private=private(settings), places=at_once)


def private(settings: Settings) -> tuple[Path, ...]:
    """MDL's own files, which no isolated server sees; nor what has their names in its own, such as `NAME-wal`."""
    journal = settings.path(settings.journal.path)
    beside = (journal, *map(journal.with_name, _BESIDE))
    return (settings.folder / settings.file, *beside, settings.path(settings.meaning.path))


@contextmanager
def masking(settings: Settings, *, clock: Clock) -> Generator[Masking | None]:
    """What masks as `[masking]` says, with the vault and the key beside the journal; None without that table.

    Raises:
        MaskError: vault or key cannot be used.
    """
    chosen = settings.masking
    if chosen is None:
        yield None
        return
    from orchestrator.masking.vault import Vault  # loads cryptography, needless without masking

    file, key = _vault(settings)
    with closing(Vault(file, key)) as opened:
        yield Masking(opened, key, fields=chosen.fields, detect=chosen.detect, clock=clock)


@contextmanager
def vault(settings: Settings) -> "Generator[Vault]":
    """The vault that is there, also where the settings have no `[masking]` any more.

    Raises:
        MaskError: there is none, or it cannot be used.
    """
    from orchestrator.masking.vault import Vault

    file, key = _vault(settings, only_there=True)
    with closing(Vault(file, key)) as opened:
        yield opened


def _vault(settings: Settings, *, only_there: bool = False) -> tuple[Path, bytes]:
    from orchestrator.masking.key import mask_key
    from orchestrator.masking.vault import NAME

    file = settings.path(settings.journal.path).with_name(NAME)
    if only_there and not file.exists():
        raise MaskError(f"there is no vault `{file}`; nothing was masked here")
    return file, mask_key(file.parent, vault=file)


def masked(tools: Toolbox, masking: Masking | None, settings: Settings) -> Toolbox:
    """The toolbox as the loop and its doors see it."""
    return tools if masking is None else MaskedToolbox(tools, masking, unmask=settings.unmask())


@asynccontextmanager
async def stages(settings: Settings, tools: Toolbox, *, clock: Clock) -> AsyncGenerator[Stages]:
    """The stages of the running loop, with the model where one is configured."""
    async with model(settings, clock=clock) as found, meaning(settings) as meant:
        asked = planner(settings, found)
        sinks = settings.sinks().get
        orienting = Orienting(tools.read, meaning=meant, model=asked is not None, sinks=sinks)
        judging = Judging(tools.tools, model=asked, policies=policies(settings), read=tools.read, sinks=sinks)
        yield Stages(orienting, judging)


@asynccontextmanager
async def scratch_stages(settings: Settings, tools: Toolbox) -> AsyncGenerator[Stages]:
    """Stages to try things out with: no model is asked, and the loop's index of meanings is left alone."""
    async with scratch_meaning(settings) as meant:
        sinks = settings.sinks().get
        judging = Judging(tools.tools, policies=policies(settings), read=tools.read, sinks=sinks)
        yield Stages(Orienting(tools.read, meaning=meant, sinks=sinks), judging)


def policies(settings: Settings) -> tuple[Policy, ...]:
    """Every policy an action passes: MDL's, then those of one's own.

    Raises:
        SettingsError: one of one's own cannot be loaded.
    """
    masked = () if settings.masking is None else (masks,)
    return (*masked, *POLICIES, *(own_policy(name, settings.folder) for name in settings.policy.own))


@asynccontextmanager
async def model(settings: Settings, *, clock: Clock) -> AsyncGenerator[Model | None]:
    """The configured model, or None."""
    if settings.model is None:
        yield None
        return
    from orchestrator.models.ollama import Ollama  # loads httpx, needless without a model

    ollama = Ollama(settings.model, clock=clock)
    try:
        yield ollama
    finally:
        await ollama.close()


def planner(settings: Settings, found: Model | None) -> ModelPlanner | None:
    """The planner that asks the configured model, where there is one."""
    if found is None or settings.model is None:
        return None
    return ModelPlanner(found, prompt=prompt("decide"), characters=settings.model.num_ctx * 2)


@asynccontextmanager
async def scratch_meaning(settings: Settings) -> AsyncGenerator[Meaning]:
    """An index of meanings of one's own, gone at the end."""
    with TemporaryDirectory(prefix="mdl-") as folder:
        async with meaning(settings, folder=Path(folder)) as meant:
            yield meant


@asynccontextmanager
async def meaning(settings: Settings, *, folder: Path | None = None) -> AsyncGenerator[Meaning]:
    """The index of goals that are found by meaning, in the settings' folder or another."""
    chosen = settings.meaning
    path = folder or settings.path(chosen.path)
    made = Meaning(lambda: Retriever(path), threshold=chosen.threshold, unsure=chosen.unsure)
    try:
        yield made
    finally:
        await made.close()


def notary(settings: Settings, journal: Reader, *, clock: Clock) -> "Notary | None":
    """What signs the journal's head and sends it away, or None where the settings name no place.

    Raises:
        SettingsError: a place cannot work as it is configured.
        CheckpointError: the key cannot be used.
    """
    chosen = settings.journal.checkpoint
    if chosen is None:
        return None
    from orchestrator.journal.notary import Notary  # loads cryptography, needless without checkpoints
    from orchestrator.journal.signing_key import signing_key

    key = signing_key(settings.path(settings.journal.path), chosen.key)
    return Notary(
        journal, places(settings, clock=clock), key=key, clock=clock, every=chosen.every, records=chosen.records
    )


def places(settings: Settings, *, clock: Clock) -> "list[Place]":
    """Where checkpoints go.

    Raises:
        SettingsError: a place cannot work as it is configured.
    """
    chosen = settings.journal.checkpoint
    return list(_places(settings, chosen, clock=clock)) if chosen is not None else []


def _places(settings: Settings, chosen: CheckpointSettings, *, clock: Clock) -> "Iterator[Place]":
    from orchestrator.journal.http_places import CheckpointObject, CheckpointWebhook
    from orchestrator.journal.places import CheckpointFile

    if chosen.file:
        yield CheckpointFile(settings.path(chosen.file))
    if chosen.webhook:
        yield CheckpointWebhook(chosen.webhook.url, secret=chosen.webhook.secret, clock=clock)
    if chosen.put:
        yield CheckpointObject(chosen.put)


def sources(settings: Settings, *, clock: Clock, masking: Masking | None = None) -> list[Source]:
    """Every source that is pulled; none is opened yet. What they give is masked by `masking`.

    Raises:
        SettingsError: one cannot work as it is configured; names it.
    """
    found: list[Source] = []
    for name, one in settings.sources.items():
        try:
            found += _pulled(name, one, settings, clock, masking)
        except SettingsError as error:
            raise SettingsError(f"source `{name}`: {error}") from error
    return found


def hooks(settings: Settings) -> dict[str, WebhookSource]:
    """Every source that pushes over HTTP."""
    return {name: one for name, one in settings.sources.items() if isinstance(one, WebhookSource)}


def check(settings: Settings, *, clock: Clock) -> None:
    """Make every source once, so that one that cannot work is told before anything starts.

    Raises:
        SettingsError: names the first one, and why.
    """
    sources(settings, clock=clock)
    policies(settings)
    Hooks(hooks(settings), clock=clock, chance=os.urandom)


def _pulled(
    name: str, one: SourceSettings, settings: Settings, clock: Clock, masking: Masking | None
) -> Iterator[Source]:
    match one:
        case SqliteSource():
            yield SqliteChanges(name, one, path=settings.path(one.path), masking=masking)
        case TimerSource():
            yield Timer(name, one, clock=clock)
        case JsonlSource():
            yield JsonLines(name, one, path=settings.path(one.path), clock=clock, masking=masking)
        case WebhookSource():
            pass


def prompt(name: str) -> str:
    """The text of a prompt."""
    return files("prompts").joinpath(f"{name}.txt").read_text(encoding="utf-8")
