"""A toolbox whose callers see masks alone: values go to a tool's `unmask` arguments, and what tools say is masked."""

import logging
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from orchestrator.act.toolbox import Again, Halted, ServerStatus, Toolbox
from orchestrator.errors import MaskError, ToolError
from orchestrator.masking.echo import Echo
from orchestrator.masking.logs import known
from orchestrator.masking.masking import Masking
from orchestrator.types import Action, Call, Grant, Json, Outcome, Tool

_log = logging.getLogger("mdl.act")


class MaskedToolbox:
    """Another toolbox behind masking. What tools list of themselves stays as it is."""

    def __init__(self, behind: Toolbox, masking: Masking, *, unmask: Mapping[str, frozenset[str]]) -> None:
        """Turn masks back in the arguments that `unmask` names, by tool."""
        self._behind, self._masking, self._unmask = behind, masking, unmask
        self.places = behind.places

    def tools(self) -> Mapping[str, Tool]:
        """Every tool that can be called now, by its name `server.tool`."""
        return self._behind.tools()

    def servers(self) -> tuple[ServerStatus, ...]:
        """Every configured server, up or not."""
        return tuple(
            replace(one, reason=self._masking.redacted(one.reason)) if one.reason else one
            for one in self._behind.servers()
        )

    async def ready(self, names: Iterable[str] | None = None, *, timeout: float) -> bool:  # noqa: ASYNC109  as the Protocol has it
        """Wait until these servers (left out: all) are up, at most `timeout` seconds; whether they are."""
        return await self._behind.ready(names, timeout=timeout)

    async def act(self, grant: Grant, *, again: Again | None = None, halted: Halted | None = None) -> Outcome:
        """Call the granted tool with what its masks stand for. The outcome has the action as it was granted."""
        told = dict[str, Json]()
        try:
            action = self._opened(grant.action, told)
        except MaskError as error:
            return Outcome(action=grant.action, status="failed", error=str(error), attempts=0, misfit=True)
        echo = Echo(self._masking, grant.action, told)
        with known(echo.known):
            outcome = await self._behind.act(replace(grant, action=action), again=again, halted=halted)
        masked = replace(
            outcome,
            action=grant.action,
            result=echo.value(outcome.result),
            error=outcome.error and echo.text(outcome.error),
        )
        try:
            await self._masking.settled()
        except MaskError as error:
            _log.warning("masks in what `%s` gave stand for nothing yet: %s", grant.action.tool, error)
        return masked

    async def read(self, call: Call) -> Json:
        """Call a trusted read-only tool, with arguments as they are: masks are turned back for granted calls alone.

        Raises:
            ToolError: as `Toolbox.read`.
        """
        try:
            result = self._masking.value(await self._behind.read(call))
        except ToolError as error:
            raise type(error)(self._masking.text(str(error))) from None
        finally:
            await self._masking.settled()
        return result

    def _opened(self, action: Action, told: dict[str, Json]) -> Action:
        names = self._unmask.get(action.tool)
        if not names:
            return action
        arguments = {
            name: self._masking.unmasked(value, told) if name in names else value
            for name, value in action.arguments.items()
        }
        return replace(action, arguments=arguments)
