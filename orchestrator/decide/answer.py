"""A model's answer: asked for, validated, repaired once. Only what `read` lets through leaves here."""

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct
from pydantic import ValidationError

from orchestrator.errors import ModelError, PlannerError
from orchestrator.models.model import Model
from orchestrator.types import Json

T = TypeVar("T")
_LONGEST = 20_000


class Counts(Struct):
    """How often a model was asked, had to be asked again, and failed."""

    asked: int = 0
    repaired: int = 0
    failed: int = 0


class Asking(Struct, frozen=True):
    """One question: the prompt's two halves and the JSON schema of the answer."""

    system: str
    user: str
    schema: dict[str, Json]


async def answer(model: Model, asking: Asking, *, read: Callable[[str], T], counts: Counts) -> T:
    """Ask, and ask once more with the error if the answer is not valid.

    Args:
        model: who is asked.
        asking: the question.
        read: takes the text; raises ValueError (pydantic's ValidationError is one) saying what is wrong with it.
        counts: counted up.

    Raises:
        PlannerError: no valid answer came, or none at all (ModelError).
    """
    counts.asked += 1
    try:
        try:
            return read(await _text(model, asking))
        except ValueError as error:
            counts.repaired += 1
            # the answer itself is not repeated: it may carry what the event smuggled in
            again = (
                f"Your last answer was not valid: {_problem(error)}. Answer again, as the schema says.\n\n{asking.user}"
            )
            return read(await _text(model, Asking(asking.system, again, asking.schema)))
    except ValueError as error:
        counts.failed += 1
        raise PlannerError(f"{model.name} answered twice what is not valid: {_problem(error)}") from error
    except ModelError:
        counts.failed += 1
        raise


async def _text(model: Model, asking: Asking) -> str:
    reply = await model.ask(system=asking.system, user=asking.user, schema=asking.schema)
    if len(reply.text) > _LONGEST:
        raise ValueError(f"the answer has {len(reply.text)} characters")
    return reply.text


def _problem(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)[:200]
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:60]
    return f"`{where}`: {first['msg']}"[:200] if where else first["msg"][:200]
