"""A model that answers what a fuzzer gives: mostly from the lists that the schema allows, else anything."""

import json

from orchestrator.models.model import Reply
from orchestrator.types import Json
from tests.fuzz.given import Given


class Chooser:
    """See `Model`."""

    name = "chooser/fuzz"

    def __init__(self, given: Given) -> None:
        """Answer from these bytes."""
        self._given = given

    async def ask(self, *, system: str, user: str, schema: dict[str, Json]) -> Reply:  # noqa: ARG002  the Protocol's words
        """Answer once."""
        given = self._given
        if given.chance(4):
            return Reply(given.text(200))
        answer = {name: given.pick(one["enum"]) for name, one in schema["properties"].items()}
        if given.chance(4):
            answer[given.pick([*answer, "more"])] = given.json()
        return Reply(json.dumps(answer))
