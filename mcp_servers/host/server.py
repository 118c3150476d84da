"""The tools of `host`, and its config."""

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import AfterValidator, Field

from mcp_servers import clock
from mcp_servers.config import Config, read
from mcp_servers.host.command import Run, TooLong, run as run_command
from mcp_servers.host.metrics import Metrics, begin, metrics as looked
from mcp_servers.uncertain import Uncertain, outspoken
from mcp_servers.words import plain


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character cannot be passed to a program")
    return text


Word = Annotated[str, AfterValidator(_no_nul)]


class HostConfig(Config):
    """What may be run, and how."""

    commands: dict[str, Annotated[list[Word], Field(min_length=1)]] = Field(default_factory=dict)
    env: dict[str, Word] = Field(default_factory=dict)
    timeout: float = Field(default=10.0, gt=0, le=3_600)


class Done(TypedDict):
    """How a command ended; of each stream the last 8,000 bytes."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float


def configure(config: Mapping[str, Any] | None = None, *, now: clock.Now = clock.now) -> MCPServer[Any]:
    """A server for this machine.

    Raises:
        ConfigError: the config does not fit.
    """
    settings = read(HostConfig, config)
    begin()
    server = MCPServer[Any]("host", log_level="WARNING")
    look = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    act = ToolAnnotations(read_only_hint=False, idempotent_hint=False, destructive_hint=True)

    @server.tool(annotations=look, meta={"mdl/cost": 0.0, "mdl/latency": 0.002})
    async def metrics() -> Metrics:
        """How busy this machine is: processor, memory, disk, load, processes, time since start."""
        try:
            return looked(settings.folder, now)
        except OSError as error:
            raise ToolError(f"this machine cannot be looked at: {error.strerror}") from error

    @server.tool(annotations=act, meta={"mdl/cost": 0.0, "mdl/latency": 1.0})
    @outspoken
    async def run(command: str) -> Done:
        """Run a command that the config allows, without arguments; an exit code other than 0 is a failure.

        A command that is killed on its way may have done a part.

        Args:
            command: the command's name.
        """
        words = settings.commands.get(command)
        if words is None:
            names = ", ".join(f"`{name}`" for name in settings.commands) or "none"
            raise ToolError(f"there is no command `{plain(command)}`; allowed: {names}")
        done = await _ended(command, words, settings)
        if done.exit_code < 0:
            raise Uncertain(_failure(command, done))
        if done.exit_code:
            raise ToolError(_failure(command, done))
        return Done(exit_code=0, stdout=done.stdout, stderr=done.stderr, seconds=done.seconds)

    return server


async def _ended(name: str, words: list[str], settings: HostConfig) -> Run:
    try:
        return await run_command(words, folder=settings.folder, env=settings.env, timeout=settings.timeout)
    except TooLong:
        raise Uncertain(f"`{name}` did not end within {settings.timeout:g} s and was killed") from None
    except OSError as error:
        raise ToolError(f"`{name}` cannot be started: {error.strerror}: {plain(str(error.filename))}") from error


def _failure(name: str, done: Run) -> str:
    how = f"was ended by signal {-done.exit_code}" if done.exit_code < 0 else f"ended with exit code {done.exit_code}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return f"`{name}` {how}" + (f": {plain(lines[-1].strip(), 500)}" if lines else "")
