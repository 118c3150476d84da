"""What every server's config shares: strict types, no unknown keys, and one line that says what to mend."""

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError

VARIABLE = "MDL_SERVER_CONFIG"


class ConfigError(ValueError):
    """A server's config does not fit; the text is one line for the person who wrote it."""


def _absolute(folder: Path) -> Path:
    if not folder.is_absolute():
        raise ValueError(f"`{folder}` is no absolute path")
    return folder


class Section(BaseModel):
    """A table inside a config."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Config(Section):
    """The keys that every server takes."""

    folder: Annotated[Path, Strict(False), AfterValidator(_absolute)] = Field(default_factory=Path.cwd)  # noqa: FBT003
    """Where relative paths begin; the folder of mdl.toml, or the current one."""


_C = TypeVar("_C", bound=Config)


def read(kind: type[_C], config: Mapping[str, Any] | None) -> _C:
    """The config as a checked value.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type.
    """
    try:
        return kind.model_validate(dict(config or {}))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        raise ConfigError("; ".join(_line(kind, one["type"], one["loc"], one["msg"]) for one in wrong)) from None


def given() -> Mapping[str, Any]:
    """The config of a server that runs alone, from the environment: JSON in MDL_SERVER_CONFIG, or nothing.

    Raises:
        ConfigError: it is no JSON object.
    """
    text = os.environ.get(VARIABLE) or "{}"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{VARIABLE} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f'{VARIABLE} must be a JSON object such as {{"folder": "/srv/shop"}}')
    return cast("dict[str, Any]", found)


def _line(kind: type[Config], fault: str, place: tuple[int | str, ...], words: str) -> str:
    where = ".".join(map(str, place))
    if fault != "extra_forbidden":
        text = words.removeprefix("Value error, ")
        return f"config `{where}`: {text[:1].lower()}{text[1:]}" if where else f"config: {text}"
    known = sorted(kind.model_fields) if len(place) == 1 else []
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    mend = f"did you mean `{near[0]}`?" if near else f"it knows {', '.join(f'`{name}`' for name in known)}"
    return f"config has no key `{where}`" + (f"; {mend}" if known else "")
