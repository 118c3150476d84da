"""Text to steps: Python's own parser reads it, a whitelist of node types walks it, equal parts become one step.

Nothing of the text is ever compiled or run: `steps.py` looks each step's name up in the whitelist of functions.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mcp_servers.formula.functions import ARITY
from mcp_servers.formula.limits import DEPTH, LITERAL, NODES, TEXT, FormulaError
from mcp_servers.words import plain

_FOREIGN = re.compile(r"[^A-Za-z0-9_+\-*/%<>=!(),. \t\r\n]")
_BINARY: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
}  # fmt: skip
_COMPARE: dict[type[ast.AST], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """A number, a variable, or a function of earlier steps (their places)."""

    what: float | str
    of: tuple[int, ...] = ()
    variable: bool = False


@lru_cache(maxsize=512)
def parse(text: str, names: frozenset[str]) -> tuple[Step, ...]:
    """The steps of an expression, the last one its value.

    Raises:
        FormulaError: the text is too large, or has something that is not on the whitelist.
    """
    if len(text) > TEXT:
        raise FormulaError(f"the expression has {len(text):,} characters; at most {TEXT:,} are read")
    foreign = _FOREIGN.search(text)
    if foreign:
        raise FormulaError(f"`{plain(foreign.group())}` at character {foreign.start() + 1} is not a part of formulas")
    if not text.strip():
        raise FormulaError("the expression is empty")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise FormulaError("the expression does not read as a formula; check brackets and operators") from None
    except (RecursionError, MemoryError):
        raise FormulaError("the expression is nested too deeply") from None
    walk = _Walk(names)
    walk.place(tree, 1)
    return tuple(walk.steps)


class _Walk:
    """One walk over a tree."""

    def __init__(self, names: frozenset[str]) -> None:
        self.steps: list[Step] = []
        self._names, self._places, self._nodes = names, dict[Step, int](), 0

    def place(self, node: ast.expr, depth: int) -> int:
        """Where the node's step is; the step is new unless an equal one exists."""
        self._nodes += 1
        if self._nodes > NODES:
            raise FormulaError(f"the expression has more than {NODES} names, numbers, operations and calls")
        if depth > DEPTH:
            raise FormulaError(f"the expression is more than {DEPTH} levels deep")
        step = self._leaf(node) or self._inner(node, depth + 1)
        if step not in self._places:
            self._places[step] = len(self.steps)
            self.steps.append(step)
        return self._places[step]

    def _leaf(self, node: ast.expr) -> Step | None:
        match node:
            case ast.Constant(value=value):
                return Step(_number(value))
            case ast.Name(id=name):
                if name not in self._names:
                    raise FormulaError(self._stranger(name))
                return Step(name, variable=True)
            case _:
                return None

    def _inner(self, node: ast.expr, depth: int) -> Step:
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self._step(_BINARY[type(op)], (left, right), depth)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._step("neg", (operand,), depth)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return self._step(_COMPARE[type(op)], (left, right), depth)
            case ast.Compare(ops=[_, _, *_]):
                raise FormulaError("comparisons are not chained; multiply them: `(1 < x) * (x < 3)`")
            case ast.IfExp(test=test, body=yes, orelse=no):
                return self._step("where", (test, yes, no), depth)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._step(_function(name, args), args, depth)
            case ast.Call():
                raise FormulaError("functions are called by name with values in order, such as `maximum(x, 0)`")
            case _:
                raise FormulaError(f"formulas have no {type(node).__name__.lower()}")

    def _step(self, what: str, kids: Sequence[ast.expr], depth: int) -> Step:
        return Step(what, tuple(self.place(kid, depth) for kid in kids))

    def _stranger(self, name: str) -> str:
        if name in ARITY:
            return f"`{name}` is a function; call it"
        given = ", ".join(f"`{known}`" for known in sorted(self._names))
        return f"there is no variable `{plain(name)}`; " + (f"given are {given}" if given else "none is given")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormulaError(f"`{plain(str(value))}` is no number")
    if abs(value) > LITERAL:
        raise FormulaError(f"numbers are written up to {LITERAL:g}")
    return float(value)


def _function(name: str, args: Sequence[ast.expr]) -> str:
    if name not in ARITY:
        raise FormulaError(f"there is no function `{plain(name)}`; there are {', '.join(sorted(ARITY))}")
    if len(args) != ARITY[name] or any(isinstance(arg, ast.Starred) for arg in args):
        raise FormulaError(f"`{name}` takes exactly {ARITY[name]} value{'s' if ARITY[name] > 1 else ''}")
    return name
