"""Whether a value fits a tool's JSON Schema (2020-12). A thin, typed wrapper; the work is done by `jsonschema`.

A schema that is wrong itself, or points outside itself, fits nothing: nothing is ever fetched.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from orchestrator.types import Json, Tool


def fits(value: Json, schema: dict[str, Json], *, tool: Tool | None = None) -> bool:
    """Whether a value fits a schema; `tool` lends its `$defs` to the schema of one parameter."""
    defs = tool.input_schema.get("$defs") if tool else None
    return refusal(value, {**schema, "$defs": defs} if defs else schema) is None


def refusal(value: Json, schema: dict[str, Json]) -> str | None:
    """Why a value does not fit a schema, in one line; None when it does."""
    try:
        errors = [*_validation()(schema).iter_errors(value)]
    except Exception as error:  # noqa: BLE001  on a schema that is none the library raises whatever it stumbles over
        return f"the schema itself is wrong: {(str(error).splitlines() or [type(error).__name__])[0]}"
    if not errors:
        return None
    where = ".".join(str(part) for part in errors[0].absolute_path)
    return f"`{where}`: {errors[0].message}" if where else str(errors[0].message)


@lru_cache(maxsize=1)
def _validation() -> Callable[[dict[str, Json]], Any]:
    # 0.1 s to import, and most loops never need it: compiled goals are filled by their author
    jsonschema: Any = import_module("jsonschema")
    referencing: Any = import_module("referencing")
    closed = referencing.Registry()
    return lambda schema: jsonschema.Draft202012Validator(schema, registry=closed)
