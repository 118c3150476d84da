"""An action nobody knows the end of: whoever may know is asked, and else its goal says what becomes of it.

Knows nothing of crashes: a call that gave no answer and one that a crash cut off are in the same doubt.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

import msgspec
from msgspec.structs import replace

from orchestrator.act.toolbox import Again, Halted, Toolbox
from orchestrator.errors import ToolError
from orchestrator.types import Action, Call, Goal, Grant, Json, Outcome, Tool

_log = logging.getLogger("mdl.loop")
RESTS = (0.5, 2.0)
"""Seconds before the second and the third call."""
_PATIENCE = 30.0


class Doubt:
    """Settles what is in doubt with one toolbox; `goal` gives the goal of a version's name as it stands now."""

    def __init__(self, toolbox: Toolbox, goal: Callable[[str], Goal | None], *, rests: Sequence[float] = RESTS) -> None:
        """Call again at most so often as there are `rests`, after so many seconds."""
        self._toolbox, self._goal, self._rests = toolbox, goal, rests

    async def settle(self, grant: Grant, outcome: Outcome, *, leave: Again, halted: Halted) -> Outcome:
        """What became of an action whose outcome is unknown.

        Where its tool has a `reconcile`, that is asked: done is `succeeded`, not done is called again. Where nobody
        knows, `on_unknown = "retry"` calls again, always with the same key, and only with `leave`, and while it is not
        `halted`. The outcome that stays unknown says what the goal wants of it.
        """
        goal = self._goal(grant.action.goal)
        wanted = goal.on_unknown if goal is not None else "hold"
        for rest in (*self._rests, None):
            done = await self._reconciled(grant.action)
            if isinstance(done, Outcome):
                return replace(done, seconds=outcome.seconds, attempts=outcome.attempts)
            if rest is None or (done is None and wanted != "retry"):
                break
            await asyncio.sleep(rest if outcome.attempts else 0)
            if not await leave():
                break
            if (again := await self._again(grant, leave, halted)) is None:
                break
            attempts, took = outcome.attempts + again.attempts, outcome.seconds + again.seconds
            outcome = replace(again, attempts=attempts, seconds=took)
            if outcome.status != "unknown":
                return outcome
        if wanted != "drop":
            _log.warning(
                "the outcome of %s is unknown: %s; see after it, then `mdl settle %s`",
                grant.action.tool,
                outcome.error,
                grant.action.id[:12],
            )
        return replace(outcome, on_unknown=wanted)

    async def _again(self, grant: Grant, leave: Again, halted: Halted) -> Outcome | None:
        """What one more call brought; None where it was halted before it began."""
        tool, places = grant.action.tool, self._toolbox.places
        await places.wait(tool)
        try:
            if halted():
                return None
            outcome = await self._toolbox.act(grant, again=leave, halted=halted)
            return outcome if outcome.attempts or not halted() else None
        finally:
            places.give(tool)

    async def _reconciled(self, action: Action) -> Outcome | bool | None:
        """The outcome of an action that is done, False for one that is not, None where nobody can tell."""
        tool = self._toolbox.tools().get(action.tool)
        if tool is None or tool.reconcile is None:
            return None
        try:
            await self._toolbox.ready([tool.reconcile.partition(".")[0]], timeout=_PATIENCE)
            asked = self._toolbox.tools().get(tool.reconcile, tool)
            answer = await self._toolbox.read(Call(tool.reconcile, _arguments(action, asked)))
        except ToolError as error:
            _log.warning("`%s` cannot tell what became of %s: %s", tool.reconcile, action.tool, error)
            return None
        match said := _plain(answer):
            case {"done": True}:
                result = cast("dict[str, Json]", said).get("result")
                return Outcome(action=action, status="succeeded", result=result, reconciled=tool.reconcile)
            case {"done": False}:
                return False
            case _:
                _log.warning('`%s` answers without "done": true or false; it cannot tell', tool.reconcile)
                return None


def _plain(answer: Json) -> Json:
    """A server that declares no shape of its answer gives it as text."""
    if isinstance(answer, str):
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(answer)
    return answer


def _arguments(action: Action, asked: Tool) -> dict[str, Json]:
    """The action's arguments and its `key`, as far as the asked tool takes them by name."""
    known = asked.input_schema.get("properties")
    given = {**action.arguments, "key": action.id}
    return {name: value for name, value in given.items() if name in known} if isinstance(known, dict) else given
