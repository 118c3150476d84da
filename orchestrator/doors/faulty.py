"""Settings that cannot be used, as far as they say where the journal is: for what has to work beside a running loop.

Nobody may be kept from stopping a loop because a file was being edited, or because a secret is set in another terminal.
"""

import tomllib
from pathlib import Path
from typing import cast

from orchestrator.settings import JournalSettings, Settings
from orchestrator.types import Json


def bare(file: Path) -> Settings:
    """Settings that hold nothing but the journal's place; where that cannot be read either, the usual one."""
    plain = JournalSettings()
    try:
        path = place(file.read_text(encoding="utf-8")) or plain.path
    except (OSError, UnicodeDecodeError):
        path = plain.path
    return Settings(folder=file.parent.resolve(), file=file.name, journal=plain.model_copy(update={"path": path}))


def place(text: str) -> str | None:
    """Where the text of an `mdl.toml` says that the journal is; None where it does not, or cannot be read."""
    try:
        journal: Json = tomllib.loads(text).get("journal")
    except tomllib.TOMLDecodeError:
        return None
    path = cast("dict[str, Json]", journal).get("path") if isinstance(journal, dict) else None
    return path if isinstance(path, str) and "${" not in path else None
