"""The planner that asks a model: which tool, or none; and where arguments stay open, which of the event's own values.

The model chooses from lists and writes nothing: tools are those of the question, values those of the event. Arguments
come from the goal's `do` where it names the tool, else by name and type as in the fallback.
"""

from typing import Literal

from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, TypeAdapter

from orchestrator.decide.answer import Asking, Counts, answer
from orchestrator.decide.arguments import Filling, fill, options
from orchestrator.decide.compiled import bound, candidate
from orchestrator.decide.planner import Proposal, Question
from orchestrator.decide.prompt import fenced, line, read as read_prompt, shown
from orchestrator.decide.ranking import properties, rank
from orchestrator.errors import EvaluationError, ExpressionError, PlannerError
from orchestrator.expressions import event_variables
from orchestrator.models.model import Model, Reply
from orchestrator.types import Action, DecidedBy, Json, Tool, canonical

_NONE = "none"
_MOST_TOOLS = 10
_MOST_GOAL = 2000
_LEAST_EVENT = 500
_REASONS = ("threshold", "trend", "conflict", "request", _NONE)


class _Choice(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tool: str
    reason: Literal["threshold", "trend", "conflict", "request", "none"]


_values = TypeAdapter(dict[str, str | int | float | bool | None])


class _Metered:
    """A model whose tokens are counted, for one question."""

    def __init__(self, model: Model) -> None:
        self._model, self.name, self.tokens = model, model.name, 0

    async def ask(self, *, system: str, user: str, schema: dict[str, Json]) -> Reply:
        reply = await self._model.ask(system=system, user=user, schema=schema)
        self.tokens += reply.tokens_in + reply.tokens_out
        return reply


class ModelPlanner:
    """Asks one model; `counts` says how it went."""

    decided_by: DecidedBy = "model"

    def __init__(self, model: Model, *, prompt: str, characters: int = 16_000) -> None:
        """Ask with this prompt.

        Args:
            model: who is asked.
            prompt: the text of `prompts/decide.txt`; places `goal`, `tools`, `schema`.
            characters: what one prompt may have; the event is cut, and marked as cut, where it would have more.

        Raises:
            SettingsError: the prompt has no header.
        """
        self._model, self._prompt, self._characters = model, read_prompt(prompt), characters
        self.counts = Counts()

    async def propose(self, question: Question) -> Proposal:
        """Ask for one tool, and fill it.

        Raises:
            PlannerError: the model is away, or answered twice what is not valid.
        """
        model = _Metered(self._model)
        try:
            return replace(await self._propose(question, model), tokens=model.tokens)
        except PlannerError as error:
            error.tokens = model.tokens
            raise

    async def _propose(self, question: Question, model: Model) -> Proposal:
        goal = question.goal.goal
        if not question.tools:
            return Proposal(clarify=f"`{goal.id}` may use no tool that is there now; see `mdl tools` and its `may`")
        offered = sorted(
            (tool for tool, _ in rank(goal.text, question.tools)[:_MOST_TOOLS]), key=lambda tool: tool.name
        )
        choice = await self._chosen(question, offered, model)
        if choice.tool == _NONE:
            return Proposal(reason=f"{self._model.name} chose none ({choice.reason})")
        tool = next(tool for tool in offered if tool.name == choice.tool)
        filling = await self._filled(tool, question, model)
        if filling.open:
            return Proposal(clarify=f"{self._model.name} chose {tool.name}, but {filling.reason}")
        action = Action.of(question.event, question.goal.name, step="0", tool=tool.name, arguments=filling.arguments)
        return Proposal((candidate([action], (tool,)),), f"{self._model.name} chose it ({choice.reason})")

    async def _chosen(self, question: Question, offered: list[Tool], model: Model) -> _Choice:
        names = [tool.name for tool in offered]
        schema = _schema({"tool": [*names, _NONE], "reason": list(_REASONS)})

        def read(text: str) -> _Choice:
            choice = _Choice.model_validate_json(text)
            if choice.tool not in {*names, _NONE}:
                raise ValueError(f"`tool` must be one of {', '.join([*names, _NONE])}")
            return choice

        asking = self._asking(question, offered, schema)
        return await answer(model, asking, read=read, counts=self.counts)

    async def _filled(self, tool: Tool, question: Question, model: Model) -> Filling:
        call = next((call for call in question.goal.goal.do if call.tool == tool.name), None)
        if call is not None:
            try:
                return Filling(bound(call, question), {})
            except (EvaluationError, ExpressionError) as error:
                return Filling({}, {"do": str(error)})
        filling = fill(tool, question)
        if not filling.open or not all(options(tool, name, question) for name in filling.open):
            return filling
        return await self._asked(tool, question, filling, model)

    async def _asked(self, tool: Tool, question: Question, filling: Filling, model: Model) -> Filling:
        found = {name: options(tool, name, question) for name in filling.open}
        schema = _schema({name: [*values, None] for name, values in found.items()})

        def read(text: str) -> dict[str, str | int | float | bool | None]:
            given = _values.validate_json(text, strict=True)
            for name in found.keys() | given.keys():
                if name not in given or canonical(given[name]) not in _allowed(found.get(name, ())):
                    raise ValueError(f"`{name[:60]}` must be one of the listed values")
            return given

        asking = self._asking(question, [tool], schema)
        given = await answer(model, asking, read=read, counts=self.counts)
        chosen = {name: value for name, value in given.items() if value is not None}
        left = {name: reason for name, reason in filling.open.items() if name not in chosen}
        return Filling({**filling.arguments, **chosen}, left)

    def _asking(self, question: Question, tools: list[Tool], schema: dict[str, Json]) -> Asking:
        system = self._prompt.fill(
            goal=line(question.goal.goal.text, _MOST_GOAL),
            tools="\n".join(_described(tool) for tool in tools),
            schema=shown(schema),
        )
        data = {**event_variables(question.event), **({"let": question.touch.let} if question.touch.let else {})}
        user = fenced("event", data, most=max(_LEAST_EVENT, self._characters - len(system)))
        return Asking(system, user, schema)


def _schema(enums: dict[str, list[Json]]) -> dict[str, Json]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(enums),
        "properties": {name: {"enum": values} for name, values in enums.items()},
    }


def _allowed(values: list[Json] | tuple[Json, ...]) -> set[bytes]:
    return {canonical(value) for value in (*values, None)}


def _described(tool: Tool) -> str:
    parameters = ", ".join(properties(tool))
    return f"- {tool.name}: {line(tool.description) or 'no description'}" + (
        f" (takes {parameters})" if parameters else ""
    )
