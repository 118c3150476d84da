"""Goals without `on`, found by what an event says. Knows no index and no vectors: its maker hands in a retrieval.

A goal is found by its text and each of its examples, the best of them counts. The retrieval is opened when there is a
goal to find, and called by one thread of its own, since it is slow and knows no other.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, cast

from orchestrator.errors import MDLError
from orchestrator.types import Event, GoalVersion, Json, Touch

_LONGEST, _DEEPEST = 1000, 6  # characters and steps of an event that are read
_NEAREST = 32
_REMEMBERED = 1024
_QUOTED = 80
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[._/:-]+")

_Value = TypeVar("_Value")


class Match(Protocol):
    """A text that was found, with its score from 0 to 1."""

    @property
    def id(self) -> str:
        """Under which it was given."""
        ...

    @property
    def text(self) -> str:
        """Itself."""
        ...

    @property
    def score(self) -> float:
        """How near it is."""
        ...


class Retrieval(Protocol):
    """Texts by id, searched by a text; `rag.retrieve.Retriever` is one. Synchronous."""

    def sync(self, texts: Mapping[str, str]) -> None:
        """Hold exactly these."""
        ...

    def find(self, text: str, *, aside: str, limit: int) -> Sequence[Match]:
        """The nearest, best first; what is said `aside` counts less."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class Meaning:
    """Finds goals by meaning. Below `unsure` an event touches nothing; from `threshold` on it touches the goal."""

    def __init__(self, opened: Callable[[], Retrieval], *, threshold: float, unsure: float) -> None:
        """Open the retrieval with `opened` once a goal needs it, in the thread that will use it."""
        self._opened, self._threshold, self._unsure = opened, threshold, min(unsure, threshold)
        self._retrieval: Retrieval | None = None
        self._goals: dict[str, str] = {}
        self._worker: ThreadPoolExecutor | None = None
        self._found: dict[tuple[str, str], list[Touch]] = {}

    async def index(self, goals: Sequence[GoalVersion]) -> None:
        """Hold these goals and no others; those with `on`, and paused ones, are left out.

        Raises:
            MDLError: the retrieval cannot hold them.
        """
        texts: dict[str, str] = {}
        self._found = {}
        self._goals = {}
        for version in goals:
            if not version.goal.on and not version.paused:
                for number, text in enumerate((version.goal.text, *version.goal.examples)):
                    texts[f"{version.name}#{number}"] = text
                    self._goals[f"{version.name}#{number}"] = version.name
        if texts or self._retrieval is not None:
            await self._call(lambda: self._ready().sync(texts))

    async def find(self, event: Event) -> list[Touch]:
        """The goals an event touches, best first; `stopped` where it is unsure, for a model or the goal to decide.

        Raises:
            MDLError: the retrieval cannot be asked.
        """
        if event.own or not self._goals:
            return []
        said, found = said_by(event), self._found
        if said not in found:
            text, aside = said
            matches = await self._call(lambda: self._ready().find(text, aside=aside, limit=_NEAREST))
            if len(found) >= _REMEMBERED:
                del found[next(iter(found))]
            found[said] = list(self._touches(matches))
        return found[said]

    async def close(self) -> None:
        """Close the retrieval."""
        if self._retrieval is not None:
            await self._call(self._retrieval.close)
        if self._worker is not None:
            self._worker.shutdown()
        self._retrieval = self._worker = None

    def _touches(self, matches: Sequence[Match]) -> Iterator[Touch]:
        best: dict[str, Match] = {}
        for match in matches:
            if match.score >= self._unsure and match.id in self._goals:
                best.setdefault(self._goals[match.id], match)
        for goal, match in best.items():
            sure = match.score >= self._threshold
            reason = f"{match.score:.2f} of at least {self._threshold:.2f}, by `{match.text[:_QUOTED]}`"
            stopped = None if sure else f"unsure {match.score:.2f}"
            yield Touch(goal=goal, fit=match.score, found_by="meaning", reason=reason, stopped=stopped, unsure=not sure)

    def _ready(self) -> Retrieval:
        if self._retrieval is None:
            self._retrieval = self._opened()
        return self._retrieval

    async def _call(self, ask: Callable[[], _Value]) -> _Value:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="meaning")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, ask)
        except Exception as error:
            raise MDLError(f"goals cannot be found by meaning: {error}") from error


def said_by(event: Event) -> tuple[str, str]:
    """What an event says, and what it says aside: the texts in its data; the words of its type and of its fields."""
    texts = _bounded(_texts(event.data, _DEEPEST))
    names = _bounded((event.type, *_names(event.data, _DEEPEST)))
    return texts, " ".join(_CAMEL.sub(" ", names).split())[:_LONGEST]


def _texts(value: Json, room: int) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict() | list() if room:
            inside = cast("dict[str, Json] | list[Json]", value)
            for inner in inside.values() if isinstance(inside, dict) else inside:
                yield from _texts(inner, room - 1)
        case _:
            pass


def _names(value: Json, room: int) -> Iterator[str]:
    match value:
        case dict() if room:
            for name, inner in cast("dict[str, Json]", value).items():
                yield name
                yield from _names(inner, room - 1)
        case list() if room:
            for inner in cast("list[Json]", value):
                yield from _names(inner, room - 1)
        case _:
            pass


def _bounded(texts: Iterable[str]) -> str:
    said: list[str] = []
    left = _LONGEST
    for text in texts:
        said.append(text[:left])
        left -= len(text) + 1
        if left <= 0:
            break
    return " ".join(said)
