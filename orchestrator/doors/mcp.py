"""The door for MCP clients: set a goal, list goals, emit an event, ask why, ask how things are.

Served over stdio by `mdl mcp`, where a person at this machine asks, and at `/mcp` on the running loop, where a token
says who does: a tool is listed and called only with its role (`rights.TOOLS`), and shows and sets only goals the token
reaches. There is no tool to approve: a chat that could approve its own actions would need no approval at all.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, InputRequiredResult, Tool, ToolAnnotations
from msgspec.structs import replace
from pydantic import AwareDatetime, Field

from orchestrator.doors.access import LOCAL, Caller
from orchestrator.doors.goal_views import as_toml, rehearsal_lines
from orchestrator.doors.parts import explained, goal_rows, of_owners
from orchestrator.doors.rights import TOOLS
from orchestrator.doors.session import Session
from orchestrator.errors import AccessError, MDLError
from orchestrator.types import Goal, Json, canonical

OpenSession = Callable[[bool], AbstractAsyncContextManager[Session]]
"""Opens a session, to write as well or only to read."""

_INSTRUCTIONS = (
    "MDL watches a back end and acts on goals people set. To set one, call set_goal: the first call only shows a draft "
    "and what it would have done. Show both to the person, and call again with `confirm` once the person agrees."
)
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False)

Sentence = Annotated[
    str, Field(description='What the person wants: "when shop.order.placed amount above 100 then notify me"')
]
Confirm = Annotated[str | None, Field(description="`confirm` of the draft, once the person has agreed to it")]
Owner = Annotated[str | None, Field(description="Whose goal it is; needed where the token is for several owners")]
Type = Annotated[str, Field(description="Event type, such as shop.order.placed")]
Data = Annotated[Any, Field(description="The event's data: any JSON")]
Subject = Annotated[str | None, Field(description="What it is about; events of one subject stay in order")]
EventId = Annotated[str | None, Field(description="Its id; an event whose id was seen before is not taken again")]
Time = Annotated[AwareDatetime | None, Field(description="When it happened; left out: now")]
Asked = Annotated[str, Field(description="An event's id or position (#12), an action's id, or a goal's id")]


class Door:
    """The tools. Each call opens one session, so the door works with and without a running loop."""

    def __init__(self, open_session: OpenSession, asking: Callable[[], Caller]) -> None:
        """Open sessions this way; `asking` says who asks."""
        self._open, self._asking = open_session, asking

    async def set_goal(self, sentence: Sentence, confirm: Confirm = None, owner: Owner = None) -> dict[str, Any]:
        """Turn a person's sentence into a goal. The first call only shows a draft and what it would have done."""
        async with self._session(write=confirm is not None) as here:
            draft = await here.draft(sentence)
            goal = self._mine(here, draft.goal if owner is None else replace(draft.goal, owner=owner))
            token = _token(goal)
            if confirm is None:
                tried = rehearsal_lines(await here.rehearse(goal))
                notes = [*draft.notes, *here.control.check(goal)]
                return {"draft": as_toml([goal]), "notes": notes, "rehearsal": tried, "confirm": token}
            if confirm != token:
                raise ToolError(
                    "this is not the draft that was shown; call again without `confirm` and show the new one"
                )
            version = await here.control.set_goal(goal, person=self._asking().person)
            return {"set": version.name, "goal": as_toml([goal])}

    async def list_goals(self) -> list[dict[str, Any]]:
        """List the goals: what each wants, whether it is active, and what became of it."""
        async with self._session() as here:
            return [msgspec.to_builtins(row) for row in await goal_rows(here, self._asking())]

    async def emit_event(
        self,
        type: Type,  # noqa: A002  CloudEvents' own word
        data: Data = None,
        subject: Subject = None,
        id: EventId = None,  # noqa: A002  CloudEvents' own word
        time: Time = None,
    ) -> dict[str, Json]:
        """Give the loop an event. It is durable when this returns."""
        async with self._session(write=True) as here:
            event = here.event(type, data=data, subject=subject, id_=id, time=time)
            self._asking().emits([event.source])
            (record,) = await here.control.emit([event])
        return {"id": event.id, "position": record.position if record else None, "duplicate": record is None}

    async def explain(self, id: Asked) -> dict[str, Any]:  # noqa: A002  the word people use
        """Explain why something happened, or why a goal did not fire: causes above, consequences below."""
        async with self._session() as here:
            return msgspec.to_builtins(await explained(here, id, self._asking()))

    async def status(self) -> dict[str, Any]:
        """Tell how the loop is: does it run, its backlog, counts, what waits for a person, sources and servers."""
        async with self._session() as here:
            return msgspec.to_builtins(of_owners(await here.status(), here, self._asking()), str_keys=True)

    def _mine(self, here: Session, goal: Goal) -> Goal:
        """The goal as who asks may set it; drafting may have taken long, so the token is looked at again."""
        caller, current = self._asking(), here.control.state.goals.get(goal.id)
        caller.must("steer")
        if current is not None:
            caller.own(current.goal, goal.id)
        return caller.owned(goal)

    @asynccontextmanager
    async def _session(self, *, write: bool = False) -> AsyncGenerator[Session]:
        try:
            async with self._open(write) as here:
                yield here
        except MDLError as error:
            raise ToolError(str(error)) from error


class _Server(MCPServer):
    """Lists and calls only what who asks has the role for."""

    def __init__(self, asking: Callable[[], Caller]) -> None:
        super().__init__("mdl", instructions=_INSTRUCTIONS, log_level="WARNING")
        self._asking = asking

    async def list_tools(self) -> list[Tool]:
        caller = self._asking()
        return [tool for tool in await super().list_tools() if caller.has(TOOLS[tool.name])]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        if name in TOOLS:
            try:
                self._asking().must(TOOLS[name])
            except AccessError as error:
                raise ToolError(str(error)) from error
        return await super().call_tool(name, arguments, context)


def server(open_session: OpenSession, asking: Callable[[], Caller] = lambda: LOCAL) -> MCPServer:
    """An MCP server over sessions; `asking` says who asks, left out: a person at this machine."""
    door, made = Door(open_session, asking), _Server(asking)
    for tool in (door.list_goals, door.explain, door.status):
        made.add_tool(tool, annotations=_READS)
    for tool in (door.set_goal, door.emit_event):
        made.add_tool(tool, annotations=_WRITES)
    return made


def _token(goal: Goal) -> str:
    return hashlib.sha256(canonical(msgspec.to_builtins(goal))).hexdigest()[:16]
