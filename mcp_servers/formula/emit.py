"""A graph as the source of a Python function of its variables: one expression, with names for what is used again.

The source is made of fixed templates and of names that are positions: v for variables, k for constants, t for parts and
f for our own functions. Nothing that a user wrote is in it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mcp_servers.formula.dag import Dag
from mcp_servers.formula.functions import OPERATIONS, Operation

Body = Callable[..., Any]

CALLED: Mapping[str, str] = {
    name: f"f_{name}({', '.join(f'{{{number}}}' for number in range(one.arity))})" for name, one in OPERATIONS.items()
}
ARRAY: Mapping[str, Callable[..., Any]] = {f"f_{name}": one.array for name, one in OPERATIONS.items()}
_SCALAR: Mapping[str, Callable[..., Any]] = {
    f"f_{name}": one.scalar for name, one in OPERATIONS.items() if callable(one.scalar)
}


def scalar_body(dag: Dag) -> Body | None:
    """A function of floats. None where an operation has no way but by arrays.

    It raises ArithmeticError or ValueError where a part has no finite value.
    """
    uses = dag.uses()
    wanted = [one for one, used in zip(dag.operations, uses, strict=True) if one is not None and used]
    if any(one.scalar is None for one in wanted):
        return None
    source = _source(dag, uses, lambda one: one.scalar if isinstance(one.scalar, str) else CALLED[one.name])
    return compiled(source, {**_SCALAR, **constants(dag, float)})


def array_body(dag: Dag) -> Body:
    """A function of arrays and numbers of numpy."""
    source = _source(dag, dag.uses(), lambda one: CALLED[one.name])
    return compiled(source, {**ARRAY, **constants(dag, np.float64)})


def compiled(source: str, names: Mapping[str, Any]) -> Body:
    """The function `body` that the source defines; it sees these names and nothing else, no builtins either."""
    space: dict[str, Any] = {**names, "__builtins__": {}}
    exec(compile(source, "<formula>", "exec"), space)  # noqa: S102  templates and positions, nothing of a user's
    return space["body"]


def constants(dag: Dag, number: Callable[[float], Any]) -> dict[str, Any]:
    """The constants by their names in the source."""
    return {f"k{place}": number(value) for place, value in dag.constants.items()}


def leaf(dag: Dag, place: int) -> str:
    """The name of a constant or a variable."""
    return f"k{place}" if place in dag.constants else f"v{dag.variables[place]}"


def _source(dag: Dag, uses: Sequence[int], template: Callable[[Operation], str]) -> str:
    texts, lines = list[str](), list[str]()
    for place, operation in enumerate(dag.operations):
        if operation is None or not uses[place]:
            texts.append(leaf(dag, place) if operation is None else "")
            continue
        text = template(operation).format(*(texts[kid] for kid in dag.kids[place]))
        if uses[place] > 1:
            lines.append(f" t{place} = {text}")
            text = f"t{place}"
        texts.append(text)
    return "\n".join([f"def body({parameters(dag)}):", *lines, f" return {texts[dag.root]}"])


def parameters(dag: Dag) -> str:
    """The names of all variables."""
    return ", ".join(f"v{number}" for number in range(dag.arity))
