"""Do arguments fit a tool's schema by name? Types are the server's to judge; names it often lets pass in silence."""

from collections.abc import Mapping
from typing import cast

from orchestrator.errors import ToolError
from orchestrator.types import Json, Tool

_OPEN = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas"})
"""With one of these a schema may name arguments elsewhere than in `properties`."""


class Misfit(ToolError):  # noqa: N818  a state, like its siblings in errors.py
    """The arguments do not fit the tool; calling again is useless."""


def misfit(tool: Tool, arguments: Mapping[str, Json]) -> str | None:
    """What does not fit, or None.

    An argument that is not in `properties` is a misfit also where the schema does not forbid it: servers drop such
    names without a word, and a mistyped limit would be no limit.
    """
    schema = tool.input_schema
    required = schema.get("required")  # the server's word: it may be anything
    asked = cast("list[Json]", required) if isinstance(required, list) else []
    missing = [name for name in asked if isinstance(name, str) and name not in arguments]
    if missing:
        return f"`{tool.name}` needs {_quoted(missing)}"
    names = schema.get("properties")
    if not isinstance(names, dict):
        return None
    known = cast("dict[str, Json]", names)
    if arguments.keys() <= known.keys() or schema.get("additionalProperties") or not _OPEN.isdisjoint(schema):
        return None
    takes = f"it takes {_quoted(known)}" if known else "it takes none"
    return f"`{tool.name}` has no argument {_quoted(sorted(arguments.keys() - known.keys()))}; {takes}"


def _quoted(names: Mapping[str, Json] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
