"""The model's Protocol: a prompt and a JSON schema in, JSON text out. Knows nothing of goals."""

from typing import Protocol

from msgspec import Struct

from orchestrator.types import Json


class Reply(Struct, frozen=True, omit_defaults=True):
    """What a model answered, unvalidated, with tokens in and out and seconds taken."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0


class Model(Protocol):
    """A language model. `testing.ScriptedModel` is the fake."""

    @property
    def name(self) -> str:
        """Provider and model, such as `ollama/llama3.2`."""
        ...

    async def ask(self, *, system: str, user: str, schema: dict[str, Json]) -> Reply:
        """Ask once, constrained to the JSON schema where the provider can.

        Raises:
            ModelError: away, too slow, or the prompt does not fit.
        """
        ...
