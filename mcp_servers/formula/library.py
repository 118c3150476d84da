"""All named formulas of one server: those that come along, those of files, and those defined while it runs.

Latest version where none is said. Formulas of the library and of files are as they were written there; only what was
defined by a call may get further versions by a call.
"""

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from msgspec.structs import replace

from mcp_servers.formula.bounds import FORMULAS
from mcp_servers.formula.definition import Definition, definitions_of
from mcp_servers.formula.formula import Formula
from mcp_servers.formula.functions import ARITY
from mcp_servers.formula.limits import NAME, FormulaError
from mcp_servers.formula.store import Store
from mcp_servers.formula.toml_file import read
from mcp_servers.words import plain

_SHOWN = 20
RESERVED = frozenset({"compute", "define", "evaluate", "evaluate_batch", "formulas", "stream"})
"""The server's own tools: a formula of such a name could be no tool."""


class Library:
    """Formulas by name and version."""

    def __init__(self, paths: Sequence[Path] = (), *, store: Store | None = None) -> None:
        """Those that come along, those of the files at `paths`, and those of a store, where new ones are kept.

        Raises:
            FormulaError: a file or a formula does not hold, or two have one name.
        """
        self._versions: dict[str, dict[int, Formula]] = {}
        self._homes: dict[str, str] = {}
        self._store = store
        for formula in _builtin():
            self._add(formula, "the library")
        for path in paths:
            for definition in definitions_of(read(path), file=path):
                self._take(definition, str(path))
        for definition in store.definitions() if store else ():
            self._take(definition, str(store))

    def latest(self) -> list[Formula]:
        """The latest version of each, by name."""
        return [versions[max(versions)] for _, versions in sorted(self._versions.items())]

    def versions(self, name: str) -> list[int]:
        """The versions of a formula that there is."""
        return sorted(self._versions[name])

    def named(self, title: str) -> Formula:
        """The formula `name`, its latest version, or `name@version`.

        Raises:
            FormulaError: there is none; the text suggests a near one.
        """
        name, at, version = title.partition("@")
        versions = self._versions.get(name)
        if versions is None:
            raise FormulaError(self._stranger(name))
        if not at:
            return versions[max(versions)]
        for number, formula in tuple(versions.items()):  # `define` may add one meanwhile, on a thread
            if str(number) == version:
                return formula
        known = ", ".join(str(number) for number in sorted(versions)[-_SHOWN:])
        raise FormulaError(f"`{name}` has no version `{plain(version)}`; its versions are {known}")

    def define(self, definition: Definition) -> Formula:
        """Add a formula, or a further version of one that was added so; durable when this returns.

        What is the same as the latest version but for its number is that version, and nothing is added.

        Raises:
            FormulaError: it does not hold, its name is taken, or nothing can be kept.
        """
        if self._store is None:
            raise FormulaError(
                "this server keeps no formulas; give it a folder to keep them in by `store` in its config"
            )
        home = self._homes.get(definition.name, str(self._store))
        if home != str(self._store):
            raise FormulaError(f"the name `{definition.name}` is taken by {home}; choose another")
        self._usable(definition)
        for _ in range(FORMULAS):
            versions = self._versions.get(definition.name, {})
            last = max(versions, default=0)
            if missed := self._store.after(definition.name, last):  # another process keeps its own in this store
                for one in missed:
                    self._take(one, home)
                continue
            if last and replace(versions[last].definition, version=definition.version) == definition:
                return versions[last]
            if list(self._homes.values()).count(home) >= FORMULAS or last >= FORMULAS:
                raise FormulaError(f"{home} holds {FORMULAS:,} formulas or versions of one, and takes no more")
            new = Formula(replace(definition, version=last + 1))
            if self._store.keep(new.definition):
                self._add(new, home)
                return new
        raise FormulaError(f"{home} is being written by others all the time; try again")

    def _take(self, definition: Definition, home: str) -> None:
        try:
            self._add(self._usable(definition), home)
        except FormulaError as error:
            raise FormulaError(f"{home}: {error}") from None

    def _usable(self, definition: Definition) -> Formula:
        if definition.name in ARITY:
            raise FormulaError(f"the name `{definition.name}` is taken by a function; choose another")
        if definition.name in RESERVED:
            raise FormulaError(f"the name `{definition.name}` is taken by a tool of this server; choose another")
        return Formula(definition)

    def _add(self, formula: Formula, home: str) -> None:
        name, version = formula.definition.name, formula.definition.version
        if self._homes.setdefault(name, home) != home:
            raise FormulaError(f"the name `{name}` is taken by {self._homes[name]}; choose another")
        versions = self._versions.setdefault(name, {})
        if version in versions:
            raise FormulaError(f"there are two of `{name}@{version}`; give one another `version`")
        versions[version] = formula

    def _stranger(self, name: str) -> str:
        near = difflib.get_close_matches(name[:NAME].lower(), self._versions, n=1)
        there = ", ".join(f"`{one}`" for one in sorted(self._versions)[:_SHOWN])
        mend = f"did you mean `{near[0]}`?" if near else f"there are {there}"
        return f"there is no formula `{plain(name)}`; {mend}"


@cache
def _builtin() -> tuple[Formula, ...]:
    return tuple(Formula(definition) for definition in _written())


def _written() -> Iterable[Definition]:
    for file in sorted(files("mcp_servers.formula").joinpath("library").iterdir(), key=lambda one: one.name):
        path = Path(file.name)
        yield from definitions_of(tomllib.loads(file.read_text(encoding="utf-8")), file=path)
