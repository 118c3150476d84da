"""Text to a graph: Python's own parser reads the text, a whitelist of node types walks its tree.

Nothing of the text is ever compiled or run: of it remain operations of our own table, numbers, and places of variables.
"""

import ast
import re
from collections.abc import Callable, Sequence

from mcp_servers.formula.dag import Dag
from mcp_servers.formula.dates import DAY
from mcp_servers.formula.functions import ARITY, COMPOSED
from mcp_servers.formula.limits import DEPTH, LITERAL, NODES, TEXT, FormulaError
from mcp_servers.words import plain

_FOREIGN = re.compile(r"[^A-Za-z0-9_+\-*/%<>=!(),. \t\r\n]")
_SPACES = re.compile(r"[ \t]+")
_GLUED = re.compile(r"(?<![\w.])(?:\d[\d_]*+\.?+[\d_]*+|\.\d[\d_]*+)(?:[eE][+-]?\d[\d_]*+)?+[A-Za-z]")
"""A number and a letter without a space, as in `1if`, for which Python has a warning or another base."""
_BINARY: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder", ast.Pow: "power",
}  # fmt: skip
_COMPARE: dict[type[ast.AST], str] = {
    ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater", ast.GtE: "greater_equal", ast.Eq: "equal",
    ast.NotEq: "not_equal",
}  # fmt: skip
_DENSITY = 0.3989422804014327
"""One by the root of two pi."""
_TOLD = 20
"""Variables that an error tells by name."""


def normalised(text: str) -> str:
    """The text with one space for each stretch of spaces and tabs, and none about it.

    Raises:
        FormulaError: the text is empty or too large, or has a character that is no part of formulas.
    """
    if len(text) > TEXT:
        raise FormulaError(f"the expression has {len(text):,} characters; at most {TEXT:,} are read")
    foreign = _FOREIGN.search(text)
    if foreign:
        raise FormulaError(f"`{plain(foreign.group())}` at character {foreign.start() + 1} is not a part of formulas")
    bare = _SPACES.sub(" ", text.strip())
    if not bare:
        raise FormulaError("the expression is empty")
    return bare


def read(text: str, names: Sequence[str]) -> Dag:
    """The graph of a normalised expression over variables of these names.

    Raises:
        FormulaError: the text has something that is not on the whitelist, or too much of it.
    """
    glued = _GLUED.search(text)
    if glued:
        raise FormulaError(f"`{plain(glued.group())}` at character {glued.start() + 1} is neither a number nor a name")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise FormulaError("the expression does not read as a formula; check brackets and operators") from None
    except (RecursionError, MemoryError):
        raise FormulaError("the expression is nested too deeply") from None
    reader = _Reader(names)
    reader.dag.root = reader.place(tree, 1)
    return reader.dag


class _Reader:
    """One walk over a tree."""

    def __init__(self, names: Sequence[str]) -> None:
        self.dag = Dag(len(names))
        self._names = {name: number for number, name in enumerate(names)}
        self._nodes = 0

    def place(self, node: ast.expr, depth: int) -> int:
        """Where the node is in the graph."""
        self._nodes += 1
        if self._nodes > NODES:
            raise FormulaError(f"the expression has more than {NODES} names, numbers, operations and calls")
        if depth > DEPTH:
            raise FormulaError(f"the expression is more than {DEPTH} levels deep")
        read_one = _READ.get(type(node))
        if read_one is None:
            raise FormulaError(f"formulas have no {type(node).__name__.lower()}")
        return read_one(self, node, depth + 1)

    def constant(self, node: ast.Constant, _depth: int) -> int:
        """A number."""
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FormulaError(f"`{plain(str(value))}` is no number")
        if abs(value) > LITERAL:
            raise FormulaError(f"numbers are written up to {LITERAL:g}")
        return self.dag.constant(float(value))

    def name(self, node: ast.Name, _depth: int) -> int:
        """A variable."""
        number = self._names.get(node.id)
        if number is None:
            raise FormulaError(self._stranger(node.id))
        return self.dag.variable(number)

    def binary(self, node: ast.BinOp, depth: int) -> int:
        """Arithmetic on two parts."""
        operator = _BINARY.get(type(node.op))
        if operator is None:
            raise FormulaError(f"formulas have no {type(node.op).__name__.lower()}")
        return self.dag.apply(operator, self.place(node.left, depth), self.place(node.right, depth))

    def unary(self, node: ast.UnaryOp, depth: int) -> int:
        """A part with a minus."""
        if type(node.op) is not ast.USub:
            raise FormulaError(f"formulas have no {type(node.op).__name__.lower()}")
        return self.dag.apply("negative", self.place(node.operand, depth))

    def compare(self, node: ast.Compare, depth: int) -> int:
        """One comparison, as a number."""
        if len(node.ops) > 1:
            raise FormulaError("comparisons are not chained; multiply them: `(1 < x) * (x < 3)`")
        operator = _COMPARE.get(type(node.ops[0]))
        if operator is None:
            raise FormulaError(f"formulas have no {type(node.ops[0]).__name__.lower()}")
        left, right = self.place(node.left, depth), self.place(node.comparators[0], depth)
        return self.dag.apply("number", self.dag.apply(operator, left, right))

    def choice(self, node: ast.IfExp, depth: int) -> int:
        """One part or another."""
        return self._choose(*(self.place(part, depth) for part in (node.test, node.body, node.orelse)))

    def call(self, node: ast.Call, depth: int) -> int:
        """A function of parts."""
        if type(node.func) is not ast.Name or node.keywords:
            raise FormulaError("functions are called by name with values in order, such as `maximum(x, 0)`")
        name, args = node.func.id, node.args
        wanted = ARITY.get(name)
        if wanted is None:
            raise FormulaError(f"there is no function `{plain(name)}`; there are {', '.join(ARITY)}")
        if len(args) != wanted or any(type(arg) is ast.Starred for arg in args):
            raise FormulaError(f"`{name}` takes exactly {wanted} value{'s' if wanted > 1 else ''}")
        kids = [self.place(arg, depth) for arg in args]
        return self._composed(name, kids) if name in COMPOSED else self.dag.apply(name, *kids)

    def _composed(self, name: str, kids: Sequence[int]) -> int:
        apply, constant = self.dag.apply, self.dag.constant
        match name, kids:
            case "where", [condition, yes, no]:
                return self._choose(condition, yes, no)
            case "clip", [x, low, high]:
                return apply("minimum", apply("maximum", x, low), high)
            case "is_finite", [x]:
                return apply("number", apply("finite", x))
            case "norm_pdf", [x]:
                exponent = apply("multiply", apply("multiply", x, x), constant(-0.5))
                return apply("multiply", apply("exp", exponent), constant(_DENSITY))
            case "days_between", [begin, end]:
                return apply("divide", apply("subtract", end, begin), constant(DAY))
            case _:
                return apply("divide", self._composed("days_between", kids), constant(365.0))

    def _choose(self, condition: int, yes: int, no: int) -> int:
        """The condition as a truth: a comparison's own, or whether it is not 0."""
        operation = self.dag.operations[condition]
        is_compared = operation is not None and operation.name == "number"
        truth = self.dag.kids[condition][0] if is_compared else self.dag.apply("truth", condition)
        return self.dag.apply("choose", truth, yes, no)

    def _stranger(self, name: str) -> str:
        if name in ARITY:
            return f"`{name}` is a function; call it"
        given = ", ".join(f"`{known}`" for known in sorted(self._names)[:_TOLD])
        more = f" and {len(self._names) - _TOLD} more" if len(self._names) > _TOLD else ""
        return f"there is no variable `{plain(name)}`; " + (f"given are {given}{more}" if given else "none is given")


_READ: dict[type[ast.expr], Callable[..., int]] = {
    ast.Constant: _Reader.constant, ast.Name: _Reader.name, ast.BinOp: _Reader.binary, ast.UnaryOp: _Reader.unary,
    ast.Compare: _Reader.compare, ast.IfExp: _Reader.choice, ast.Call: _Reader.call,
}  # fmt: skip
