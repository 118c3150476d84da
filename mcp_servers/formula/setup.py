"""The config of the formula server, and the service it makes. Loads no protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from mcp_servers.config import Config, ConfigError, Section, read
from mcp_servers.formula.library import Library
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.service import Service
from mcp_servers.formula.store import Store
from mcp_servers.formula.streams import Streams

_Path = Annotated[Path, Strict(False)]  # noqa: FBT003  a text becomes a path


class StreamsConfig(Section):
    """How much the streams of one server may hold."""

    keys: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Streams; the one pushed longest ago is forgotten first."""

    values: Annotated[int, Field(ge=1, le=100_000_000)] = 2_000_000
    """Values in all of them together, at 8 to 16 bytes each."""


class FormulaConfig(Config):
    """The keys of the formula server."""

    formulas: Annotated[list[_Path], Field(default_factory=list, max_length=100)]
    """TOML files of formulas, or folders of such files."""

    store: _Path | None = None
    """The folder that keeps what `define` defines; without it there is no such tool."""

    tools: Literal["all"] | list[str] = "all"
    """The formulas that are tools of their own, `name` or `name@version`."""

    allowed_hosts: Annotated[list[str], Field(default_factory=list)]
    """Hosts besides loopback ones that may call over HTTP."""

    streams: StreamsConfig = StreamsConfig()


def service(config: Mapping[str, Any] | None) -> tuple[FormulaConfig, Service]:
    """The checked config, and the service it asks for.

    Raises:
        ConfigError: the config, a file of formulas or the store cannot be used.
    """
    found = read(FormulaConfig, config)
    store = None if found.store is None else Store(found.folder / found.store)
    try:
        library = Library(_files(found), store=store)
        for title in [] if found.tools == "all" else found.tools:
            library.named(title)
    except FormulaError as error:
        raise ConfigError(str(error)) from None
    return found, Service(library, Streams(keys=found.streams.keys, values=found.streams.values))


def _files(config: FormulaConfig) -> list[Path]:
    paths = [config.folder / path for path in config.formulas]
    return [file for path in paths for file in (sorted(path.glob("*.toml")) if path.is_dir() else [path])]
