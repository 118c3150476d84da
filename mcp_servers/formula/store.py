"""Formulas that were defined by a call: a folder with one TOML file for each version, which people can read.

A file is written whole and synced before it has its name, and never changed after. Several processes may keep formulas
in one folder: a version belongs to whoever names its file first. Checks no formula.
"""

import os
import tempfile
from pathlib import Path

import tomli_w

from mcp_servers.formula.definition import Definition, as_tables, definitions_of
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.toml_file import read


class Store:
    """A folder of definitions."""

    def __init__(self, folder: Path) -> None:
        """Keep them in `folder`, which is made with the first of them."""
        self._folder = folder

    def __str__(self) -> str:
        """Where it is."""
        return str(self._folder)

    def definitions(self) -> list[Definition]:
        """What is kept.

        Raises:
            FormulaError: a file cannot be read.
        """
        return [one for path in sorted(self._folder.glob("*@*.toml")) for one in definitions_of(read(path), file=path)]

    def after(self, name: str, version: int) -> list[Definition]:
        """The versions of a formula that follow one.

        Raises:
            FormulaError: a file cannot be read.
        """
        found: list[Definition] = []
        while (path := self._path(name, version + 1 + len(found))).exists():
            definitions = definitions_of(read(path), file=path)
            if len(definitions) != 1:
                raise FormulaError(f"{path} holds {len(definitions)} formulas instead of one version")
            found += definitions
        return found

    def keep(self, definition: Definition) -> bool:
        """Keep a version; durable when this returns. False where another process has kept that version before.

        Raises:
            FormulaError: the file cannot be written.
        """
        try:
            if not self._folder.exists():
                self._folder.mkdir()
                _sync(self._folder.parent)
            return self._write(self._path(definition.name, definition.version), tomli_w.dumps(as_tables([definition])))
        except OSError as error:
            raise FormulaError(f"{self._folder} cannot be written: {error.strerror}") from error

    def _write(self, path: Path, text: str) -> bool:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self._folder, suffix=".new") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            try:
                path.hardlink_to(file.name)  # unlike a rename it never takes the place of another file
            except FileExistsError:
                return False
        _sync(self._folder)
        return True

    def _path(self, name: str, version: int) -> Path:
        return self._folder / f"{name}@{version}.toml"


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
