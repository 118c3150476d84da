"""`${NAME}` in the texts of settings: what it looks like, and what stands there instead."""

import re
from collections.abc import Mapping
from typing import Any, cast

from orchestrator.errors import SettingsError
from orchestrator.types import Json

SECRET = re.compile(r"\$\{([^}]*)(\}?)")
"""`${NAME}`, closed or not."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The name of an environment variable."""


def filled(value: Json, environment: Mapping[str, str], place: str = "") -> Any:
    """A value with every `${NAME}` in its texts taken from the environment; `place` is where it stands in the settings.

    Raises:
        SettingsError: one is not set, or is empty, or is no name.
    """

    def fill(found: re.Match[str]) -> str:
        if not found[2] or not VARIABLE.fullmatch(found[1]):
            raise SettingsError(f"`{place}`: `${{` opens the name of an environment variable, as in `${{NAME}}`")
        if not environment.get(found[1]):
            state = "is empty" if found[1] in environment else "is not set"
            raise SettingsError(f"`{place}` wants the environment variable {found[1]}, which {state}")
        return environment[found[1]]

    match value:
        case str():
            return SECRET.sub(fill, value)
        case dict():
            return {
                key: filled(inner, environment, f"{place}.{key}" if place else key)
                for key, inner in cast("dict[str, Json]", value).items()
            }
        case list():
            return [filled(inner, environment, place) for inner in cast("list[Json]", value)]
        case _:
            return value
