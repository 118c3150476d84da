"""A TOML file as plain values, or one sentence on why not."""

import tomllib
from pathlib import Path
from typing import Any

from mcp_servers.formula.limits import FormulaError


def read(path: Path) -> dict[str, Any]:
    """The file's tables.

    Raises:
        FormulaError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormulaError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, or no TOML
        raise FormulaError(f"{path} is no TOML: {error}") from error
