"""A prompt: a text with places to fill, whose first lines name version and purpose. Bounded, and data fenced as data.

Fences are hygiene, not control: what a model answers is checked against the question, and the guard stops the rest.
"""

import json
import re

from msgspec import Struct

from orchestrator.errors import SettingsError
from orchestrator.types import Json, canonical

_PLACE = re.compile(r"\{([a-z]+)\}")
_TAG = re.compile(r"<(?=[/\w])")
_LONGEST_LINE = 400


class Prompt(Struct, frozen=True):
    """A prompt as it lies in `prompts/`, read."""

    version: str
    purpose: str
    text: str

    def fill(self, **places: str) -> str:
        """Fill `{name}` places, each once and at the same time: what is filled in is not searched again."""
        return _PLACE.sub(lambda place: places.get(place[1], place[0]), self.text)


def read(text: str) -> Prompt:
    """Read a prompt file's text.

    Raises:
        SettingsError: it does not begin with `version:` and `purpose:`, or says nothing after them.
    """
    match = re.match(r"version: *(\S+)\npurpose: *(.+)\n\s*\n([\s\S]*\S)", text)
    if match is None:
        raise SettingsError("a prompt begins with the lines `version: …` and `purpose: …` and an empty line")
    return Prompt(match[1], match[2].strip(), match[3])


def line(text: str, most: int = _LONGEST_LINE) -> str:
    """A text as one bounded line that cannot close a fence."""
    return _TAG.sub("< ", cut(" ".join(text.split()), most))


def fenced(name: str, value: Json, *, most: int) -> str:
    """A value as data between `<name>` and `</name>`; what is too long is cut, and the cut is marked."""
    data = canonical(value).decode().replace("<", "\\u003c").replace(">", "\\u003e")
    return f"<{name}>\n{cut(data, most)}\n</{name}>"


def cut(text: str, most: int) -> str:
    """A text of at most about `most` characters, with a mark where something is left out."""
    return text if len(text) <= most else f"{text[:most]} …[cut: {len(text) - most:,} more characters]"


def shown(schema: dict[str, Json]) -> str:
    """A schema as it stands in a prompt."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
