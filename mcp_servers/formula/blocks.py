"""A graph as the source of a Python function that takes long arrays in blocks which stay in the cache.

Operations that work element by element go block by block, into arrays that are used again and again. Reductions and
functions of a whole list stand between such loops: what they take is stored whole. All names are positions, as in
`emit.py`; in a loop, x is a block of a whole array, o of a stored one, b and c are arrays for parts and for truths.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mcp_servers.formula.dag import Dag
from mcp_servers.formula.emit import ARRAY, CALLED, Body, compiled, constants, leaf, parameters
from mcp_servers.formula.functions import Operation
from mcp_servers.formula.scratch import ROW, borrowed, give_back

_NAMED = {"minimum", "maximum"}
"""What takes the array for its result by name only."""

LEAST = 2048
"""Numbers from which on blocks are worth their calls."""


def block_body(dag: Dag, is_array: Sequence[bool], *, is_short: bool) -> Body | None:
    """A function of the arrays' length and of the variables: arrays of that length and one dimension, or numbers.

    Arrays that are short fill one block. None where arrays of different lengths meet, which numpy's rules then decide.
    """
    levels = _levels(dag, is_array)
    if levels is None:
        return None
    names = {
        "f_borrowed": borrowed,
        "f_give_back": give_back,
        "f_empty": np.empty,
        "f_copy": np.copyto,
        "range": range,
        "bool": np.bool,
    }
    source = "\n".join(
        [
            f"def body(n, {parameters(dag)}):",
            *_lines(dag, levels, is_short=is_short),
            f" return {_name(dag, levels, dag.root)}",
        ]
    )
    return compiled(source, {**ARRAY, **constants(dag, np.float64), **names})


@dataclass(slots=True)
class _Levels:
    """Of each node: whether it is an array, how much shorter than the variables, and how many loops come before it."""

    is_array: list[bool] = field(default_factory=list[bool])
    fewer: list[int] = field(default_factory=list[int])
    level: list[int] = field(default_factory=list[int])
    is_looped: list[bool] = field(default_factory=list[bool])

    def add(self, *, is_array: bool, fewer: int = 0, level: int = 0, is_looped: bool = False) -> None:
        self.is_array.append(is_array)
        self.fewer.append(fewer)
        self.level.append(level)
        self.is_looped.append(is_looped)


def _levels(dag: Dag, is_array: Sequence[bool]) -> _Levels | None:
    found = _Levels()
    for place, operation in enumerate(dag.operations):
        kids = dag.kids[place]
        arrays = [kid for kid in kids if found.is_array[kid]]
        level = max((found.level[kid] for kid in kids), default=0)
        if operation is None:
            found.add(is_array=place in dag.variables and is_array[dag.variables[place]])
        elif not arrays:
            found.add(is_array=False, level=level)
        elif operation.kind == "each":
            if len({found.fewer[kid] for kid in arrays}) > 1:
                return None
            found.add(is_array=True, fewer=found.fewer[arrays[0]], level=level, is_looped=True)
        else:
            level = level + 1 if any(found.is_looped[kid] for kid in arrays) else level
            fewer = found.fewer[arrays[0]] + (operation.fewer or 0)
            found.add(is_array=operation.fewer is not None, fewer=fewer, level=level)
    return found


def _name(dag: Dag, levels: _Levels, place: int) -> str:
    """What a node is called outside loops."""
    if dag.operations[place] is None:
        return leaf(dag, place)
    return f"r{place}" if levels.is_array[place] else f"s{place}"


def _lines(dag: Dag, levels: _Levels, *, is_short: bool) -> Iterator[str]:
    uses = dag.uses()
    wanted = [place for place, operation in enumerate(dag.operations) if operation is not None and uses[place]]
    for level in range(max(levels.level) + 1):
        here = [place for place in wanted if levels.level[place] == level]
        for place in here:
            if not levels.is_looped[place]:
                texts = [_name(dag, levels, kid) for kid in dag.kids[place]]
                yield f" {_name(dag, levels, place)} = {CALLED[_operation(dag, place).name].format(*texts)}"
        looped = [place for place in here if levels.is_looped[place]]
        for fewer in sorted({levels.fewer[place] for place in looped}):
            places = [place for place in looped if levels.fewer[place] == fewer]
            outside = (kid for place in wanted if place not in places for kid in dag.kids[place])
            loop = _Loop(dag, levels, places, {dag.root, *outside}, is_short=is_short)
            yield from loop.lines(fewer)


def _operation(dag: Dag, place: int) -> Operation:
    operation = dag.operations[place]
    assert operation is not None  # noqa: S101  who asks knows that it is no leaf
    return operation


class _Loop:
    """One loop over blocks: the nodes of one level and one length, of which those `kept` are stored whole."""

    def __init__(
        self, dag: Dag, levels: _Levels, places: Sequence[int], kept: Collection[int], *, is_short: bool
    ) -> None:
        self._dag, self._levels, self._places, self._is_short = dag, levels, places, is_short
        self._stored = [place for place in places if place in kept]
        self._last = {kid: place for place in places for kid in dag.kids[place]}
        self._texts = {place: f"{'r' if is_short else 'o'}{place}" for place in self._stored}
        self._blocks: dict[str, str] = {}
        self._spare: dict[bool, list[str]] = {False: [], True: []}
        """Arrays for parts and, under True, for truths, that are free."""
        if dag.root in places and _operation(dag, dag.root).writes == "over":
            self._spare[False].append(self._texts[dag.root])  # the last to be written: until then it may hold parts
        self._made: list[str] = []

    def lines(self, fewer: int) -> Iterator[str]:
        """The loop's source."""
        steps = [self._step(place) for place in self._places]
        names = [f"b{number}" for number in range(max(1, len(self._made)))]
        yield f" m = n - {fewer}" if fewer else " m = n"
        yield " w = m" if self._is_short else f" w = -(-m // -(-m // {ROW}))"  # blocks of one length
        for place in self._stored:
            yield f" r{place} = f_empty(m{', bool' if _operation(self._dag, place).is_truth else ''})"
        yield f" b = {', '.join(names)}, = f_borrowed({len(names)}, w)"
        yield from (f" {name} = b{name[1:]}.view(bool)[:w]" for name in self._made if name.startswith("c"))
        if self._is_short:
            yield from (f" {step}" for step in steps)
        else:
            yield " for i in range(0, m, w):"
            yield "  j = i + w"
            yield "  if j > m:"
            yield from (f"   {name} = {name}[:m - i]" for name in {**dict.fromkeys(names), **dict.fromkeys(self._made)})
            yield from (f"  {block} = {whole}[i:j]" for whole, block in self._blocks.items())
            yield from (f"  o{place} = r{place}[i:j]" for place in self._stored)
            yield from (f"  {step}" for step in steps)
        yield " f_give_back(b)"

    def _step(self, place: int) -> str:
        operation = _operation(self._dag, place)
        texts = [self._text(kid) for kid in self._dag.kids[place]]
        done = {kid for kid in self._dag.kids[place] if self._last[kid] == place}
        ended = [kid for kid in done if kid in self._texts and kid not in self._stored]
        if operation.writes == "over":
            self._free(ended)
        into = self._texts.get(place) or self._array(is_truth=operation.is_truth)
        self._texts[place] = into
        if operation.writes != "over":
            self._free(ended)
        if operation.writes == "no":
            return f"f_copy({into}, {CALLED[operation.name].format(*texts)})"
        out = f"out={into}" if operation.name in _NAMED else into
        return f"f_{operation.name}({', '.join([*texts, out])})"

    def _text(self, place: int) -> str:
        if place in self._texts:
            return self._texts[place]
        whole = _name(self._dag, self._levels, place)
        if self._is_short or not self._levels.is_array[place]:
            return whole
        return self._blocks.setdefault(whole, f"x{len(self._blocks)}")

    def _free(self, places: Sequence[int]) -> None:
        for place in places:
            self._spare[_operation(self._dag, place).is_truth].append(self._texts[place])

    def _array(self, *, is_truth: bool) -> str:
        """An array for a part (b) or a truth (c): one that is no longer needed, or one more."""
        if self._spare[is_truth]:
            return self._spare[is_truth].pop()
        self._made.append(f"{'c' if is_truth else 'b'}{len(self._made)}")
        return self._made[-1]
