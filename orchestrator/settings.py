"""`mdl.toml` as typed, frozen values: journal, HTTP, sources, servers, model, goals. Reads one file, starts nothing.

`${NAME}` in a text is taken from the environment when the file is read; the value never leaves this process. Goals are
kept in the journal, so there it is refused.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictBool, ValidationError, model_validator

from orchestrator.clock import seconds
from orchestrator.errors import GoalError, SettingsError
from orchestrator.isolation_table import IsolationTable
from orchestrator.limits import Breaker, Rules
from orchestrator.masking_table import MaskingTable
from orchestrator.policy_table import OwnerTable, PolicyTable, breaker_table, owner_tables, policy_table
from orchestrator.sizes import Size, size
from orchestrator.types import Goal, Json, SinkKind
from orchestrator.variables import filled
from orchestrator.written import goal


def _duration(value: Any) -> float:
    try:
        return seconds(value if isinstance(value, str) else repr(value))
    except SettingsError as error:
        raise ValueError(str(error)) from error


class Keep(NamedTuple):
    """How much a journal keeps: so many seconds, or so many bytes."""

    seconds: float | None = None
    bytes: int | None = None


def _keep(value: Any) -> Keep:
    if re.fullmatch(r"\d+\s*(B|kB|MB|GB)", str(value)):
        return Keep(bytes=size(value))
    try:
        return Keep(seconds=_duration(value))
    except ValueError as error:
        raise ValueError("give a time such as `30d`, or a size such as `2GB`") from error


def _breaker(value: Any) -> Breaker:
    try:
        return breaker_table(value)
    except SettingsError as error:
        raise ValueError(str(error)) from error


Duration = Annotated[float, PlainValidator(_duration, json_schema_input_type=str)]
BreakerTable = Annotated[Breaker, PlainValidator(_breaker)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CheckpointWebhookSettings(_Table):
    """`[journal.checkpoint.webhook]`: a receiver of Standard Webhooks."""

    url: str = Field(pattern=r"^https?://[^\s/]+")
    secret: str


class CheckpointSettings(_Table):
    """`[journal.checkpoint]`: how often the journal's head is signed, and where it goes: one place, or several."""

    every: Duration = 300.0
    records: int | None = Field(default=None, gt=0)
    """Also after so many records, however soon."""
    key: str | None = None
    """Ed25519, PEM or 32 bytes in base64, as `${NAME}`; left out: a file beside the journal, made on first use."""
    file: str | None = None
    """A line for each is appended to it."""
    webhook: CheckpointWebhookSettings | None = None
    put: str | None = Field(default=None, pattern=r"^https?://[^\s/]+")
    """A URL that takes a PUT, such as a presigned one, as `${NAME}`; `{position}` makes one object a checkpoint."""

    @model_validator(mode="after")
    def _some_place(self) -> "CheckpointSettings":
        if not (self.file or self.webhook or self.put):
            raise ValueError("checkpoints go nowhere; give at least one of `file`, `webhook` and `put`")
        return self


class JournalSettings(_Table):
    """`[journal]`: where it lies, how much may wait in it, and who is told its head."""

    path: str = ".mdl/journal.db"
    max_queue: int = Field(default=4096, gt=0)
    """Records that may wait for a commit; beyond it sources are told to come back."""
    max_backlog: int = Field(default=100_000, gt=0)
    """Events that may wait for their turn; beyond it sources are told to come back."""
    keep: Annotated[Keep | None, PlainValidator(_keep, json_schema_input_type=str)] = None
    """Bodies older than this, or beyond this size, go, but those that are still needed; left out: all stay.

    Headers go when they are ten times as old, or take more than about a tenth of the size: the file is bounded.
    """
    checkpoint: CheckpointSettings | None = None


class HttpSettings(_Table):
    """`[http]`: the door for webhooks, health and MCP."""

    enabled: StrictBool = True
    host: str = "127.0.0.1"
    port: int = Field(default=8635, ge=0, le=65535)
    max_body: Size = 1_048_576
    body_timeout: Duration = 10.0
    """How long a body may take to arrive whole."""
    allowed_hosts: tuple[str, ...] = ()
    """Further Host names besides the loopback ones and `host`."""
    allowed_origins: tuple[str, ...] = ()


class LoopSettings(_Table):
    """`[loop]`: how much runs at once."""

    lanes: int = Field(default=64, gt=0)
    """Keys (subjects) whose turns may run at the same time."""
    drain: Duration = 3.0
    """How long running actions may take to end when the loop is asked to stop."""


class HookMapping(_Table):
    """How any JSON becomes events: each a text, or CEL over `body` (and `headers`) behind `=`."""

    type: str
    subject: str | None = None
    id: str | None = None
    time: str | None = None


class WebhookSource(HookMapping):
    """`kind = "webhook"`: any JSON posted to `/hooks/NAME`."""

    kind: Literal["webhook"]
    signature: Literal["github", "standard-webhooks"] | None = None
    keys: tuple[str, ...] = ()
    tolerance: Duration = 300.0

    @model_validator(mode="after")
    def _keys_and_signature(self) -> "WebhookSource":
        if self.signature and not self.keys:
            raise ValueError('`signature` without `keys`; add keys = ["${SOME_SECRET}"]')
        if self.keys and not self.signature:
            raise ValueError('`keys` without `signature`; add signature = "github" or "standard-webhooks"')
        return self


class SqliteSource(_Table):
    """`kind = "sqlite"`: rows that change in the tables of a database file."""

    kind: Literal["sqlite"]
    path: str
    tables: tuple[str, ...] = Field(min_length=1)
    subject: str | None = None
    """CEL over `event` behind `=`, or a text; left out: `TABLE/PRIMARY KEY`."""


class TimerSource(_Table):
    """`kind = "timer"`: `every` or `cron`, and what happens with ticks missed while the loop was down."""

    kind: Literal["timer"]
    every: Duration | None = None
    cron: str | None = None
    tz: str = "UTC"
    missed: Literal["skip", "once", "all"] = "once"
    type: str | None = None
    """Event type; left out: `timer.NAME`."""

    @model_validator(mode="after")
    def _one_rhythm(self) -> "TimerSource":
        if (self.every is None) == (self.cron is None):
            raise ValueError("give exactly one of `every` and `cron`")
        return self


class JsonlSource(HookMapping):
    """`kind = "jsonl"`: one JSON value a line, from a file or standard input (`path = "-"`)."""

    kind: Literal["jsonl"]
    path: str
    follow: StrictBool = True
    type: str = "=body.type"


SourceSettings = Annotated[WebhookSource | SqliteSource | TimerSource | JsonlSource, Field(discriminator="kind")]


class ToolSettings(_Table):
    """`[mcpServers.NAME.tools.TOOL]`: what the server does not say of its tool, or says wrongly."""

    cost: float | None = Field(default=None, ge=0)
    latency: Duration | None = None
    read_only: StrictBool | None = None
    idempotent: StrictBool | None = None
    sinks: dict[str, SinkKind] = {}
    """Arguments that say where a call goes or what it runs: only the owner's own CEL or literals may fill them."""
    unmask: tuple[str, ...] = ()
    """Arguments in which Act turns masks back into their values; in all others the tool is given the masks."""
    dry_run: StrictBool = False
    """Whether it is only to be watched: it is never called with a grant."""
    breaker: BreakerTable | None = None
    """When it is left alone for a while, since it fails."""
    at_once: int | None = Field(default=None, gt=0)
    """How many of its calls run at the same time; the others wait."""
    reconcile: str | None = Field(default=None, pattern=r"^[^\s.]+\.\S+$")
    """The read-only tool, `server.tool`, that knows what became of a call without an answer.

    It is asked with those of the call's arguments, and its `key`, that it takes by name. It answers
    `{"done": true, "result": …}`, or `{"done": false}`, and the call is made again.
    """


class ServerSettings(_Table):
    """`[mcpServers.NAME]`: a command over stdio, as every MCP client takes it, or `module` in this process.

    `trust` (ours, or one whose word counts) makes its annotations believed; modules are trusted unless told otherwise.
    """

    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    module: str | None = None
    config: dict[str, Any] = {}
    """Handed to a module's `configure(config)`; with `command`, as JSON in the variable MDL_SERVER_CONFIG."""
    trust: StrictBool | None = None
    timeout: Duration = 20.0
    breaker: BreakerTable | None = None
    """When all of its tools are left alone for a while, since together they fail."""
    at_once: int | None = Field(default=None, gt=0)
    """How many calls of all its tools run at the same time; the others wait. Left out: as many actions as lanes."""
    tools: dict[str, ToolSettings] = {}
    isolation: IsolationTable = IsolationTable()

    @model_validator(mode="after")
    def _one_way(self) -> "ServerSettings":
        if (self.command is None) == (self.module is None):
            raise ValueError("give exactly one of `command` and `module`")
        if self.module and "isolation" in self.model_fields_set:
            raise ValueError("a module runs in this process and cannot have `isolation`; give its `command` instead")
        return self

    @property
    def trusted(self) -> bool:
        """Whether its annotations are believed."""
        return self.module is not None if self.trust is None else self.trust


class ModelSettings(_Table):
    """`[model]`: which model judges, where judgement is asked for. Without this table no model is ever asked."""

    provider: Literal["ollama"]
    name: str
    url: str = Field(default="http://127.0.0.1:11434", pattern=r"^https?://[^\s/]+")
    timeout: Duration = 30.0
    num_ctx: int = Field(default=8192, ge=512)
    keep_alive: str = "5m"


class MeaningSettings(_Table):
    """`[meaning]`: how goals without `on` are found. Scores are 0 to 1."""

    path: str = ".mdl/meaning"
    threshold: float = Field(default=0.28, ge=0, le=1)
    unsure: float = Field(default=0.22, ge=0, le=1)
    """Below `threshold` and from here on a model is asked, or the goal's own `unsure` decides."""


class Settings(_Table):
    """A whole `mdl.toml`. `folder` is where relative paths begin, `file` its own name there."""

    folder: Path
    file: str = "mdl.toml"
    journal: JournalSettings = JournalSettings()
    http: HttpSettings = HttpSettings()
    loop: LoopSettings = LoopSettings()
    meaning: MeaningSettings = MeaningSettings()
    model: ModelSettings | None = None
    masking: MaskingTable | None = None
    sources: dict[Name, SourceSettings] = {}
    servers: dict[Name, ServerSettings] = Field(default={}, alias="mcpServers")
    schemas: dict[str, dict[str, Any]] = {}
    """JSON Schema of `data` by event type."""
    goals: tuple[Annotated[Goal, PlainValidator(lambda value: value)], ...] = ()
    policy: Annotated[PolicyTable, PlainValidator(lambda value: value)] = PolicyTable()
    owners: dict[str, Annotated[OwnerTable, PlainValidator(lambda value: value)]] = {}

    @model_validator(mode="after")
    def _reconcilable(self) -> "Settings":
        for name, server in self.servers.items():
            for tool, said in server.tools.items():
                if said.reconcile and (asked := said.reconcile.partition(".")[0]) not in self.servers:
                    place = f"mcpServers.{name}.tools.{tool}.reconcile"
                    raise ValueError(f"`{place}` names server `{asked}`, which [mcpServers] does not have")
        return self

    def sinks(self) -> dict[str, Mapping[str, SinkKind]]:
        """The sinks of every tool that has some, argument to kind, by the tool's name `server.tool`."""
        tools = [(f"{server}.{name}", said) for server, one in self.servers.items() for name, said in one.tools.items()]
        return {name: said.sinks for name, said in tools if said.sinks}

    def unmask(self) -> dict[str, frozenset[str]]:
        """The arguments in which masks are turned back, of every tool that has some, by its name `server.tool`."""
        tools = [(f"{server}.{name}", said) for server, one in self.servers.items() for name, said in one.tools.items()]
        return {name: frozenset(said.unmask) for name, said in tools if said.unmask}

    @property
    def at_once(self) -> dict[str, int]:
        """How many calls run at the same time, by tool (`server.tool`) and server, where that is said."""
        tools = [(f"{server}.{name}", said) for server, one in self.servers.items() for name, said in one.tools.items()]
        return {name: said.at_once for name, said in (*self.servers.items(), *tools) if said.at_once is not None}

    @property
    def rules(self) -> Rules:
        """What holds for every goal."""
        servers = self.servers.items()
        dry = [f"{name}.{tool}" for name, server in servers for tool, said in server.tools.items() if said.dry_run]
        return self.policy.rules(self.owners, dry=tuple(sorted(dry)), breakers=dict(self._breakers()))

    def _breakers(self) -> Iterator[tuple[str, Breaker]]:
        for name, server in self.servers.items():
            if server.breaker:
                yield name, server.breaker
            yield from ((f"{name}.{tool}", said.breaker) for tool, said in server.tools.items() if said.breaker)

    def path(self, text: str) -> Path:
        """A path as written in the file, from the file's folder."""
        return self.folder / Path(text).expanduser()


def load(file: Path, *, environment: Mapping[str, str] | None = None) -> Settings:
    """Read `mdl.toml`.

    Raises:
        SettingsError: it cannot be read, is not TOML, or holds an unknown key or a value that does not fit.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"there is no `{file}`; `mdl init` writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"`{file}` cannot be read: {error}") from error
    return parse(text, folder=file.parent.resolve(), name=str(file), environment=environment)


def parse(text: str, *, folder: Path, name: str = "mdl.toml", environment: Mapping[str, str] | None = None) -> Settings:
    """Read the text of an `mdl.toml`.

    Raises:
        SettingsError: as `load`.
    """
    try:
        tables = tomllib.loads(text)
        goals = _goals(tables.pop("goals", []))
        policy, owners = policy_table(tables.pop("policy", {})), owner_tables(tables.pop("owners", {}))
        known = filled(tables, os.environ if environment is None else environment)
        ours = {"goals": goals, "policy": policy, "owners": owners, "folder": folder, "file": Path(name).name}
        return Settings.model_validate({**known, **ours})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name} is not TOML: {error}") from error
    except ValidationError as error:
        raise SettingsError(f"{name}: {'; '.join(_lines(error))}") from error
    except GoalError as error:
        raise GoalError(f"{name}: {error}") from error
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error


def _goals(tables: Json) -> tuple[Goal, ...]:
    if not isinstance(tables, list):
        raise SettingsError("`goals` is a list; begin each goal with [[goals]]")
    found = tuple(goal(table) for table in cast("list[Json]", tables))
    ids = [one.id for one in found]
    if twice := next((id_ for id_ in ids if ids.count(id_) > 1), None):
        raise GoalError(f"goal `{twice}`: stands there twice; give one of the two another id")
    return found


def _lines(error: ValidationError) -> list[str]:
    lines: list[str] = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"] if part not in {"webhook", "sqlite", "timer", "jsonl"})
        match problem["type"]:
            case "extra_forbidden":
                lines.append(f"unknown key `{where}`")
            case "missing":
                lines.append(f"`{where}` is missing")
            case "literal_error":
                lines.append(f"`{where}` is {problem['input']!r:.40}; it must be {problem.get('ctx', {})['expected']}")
            case _:
                reason = problem["msg"].removeprefix("Value error, ")
                lines.append(f"`{where}`: {reason}" if where else reason)
    return lines
