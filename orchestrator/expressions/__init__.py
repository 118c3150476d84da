"""CEL as MDL speaks it: compile once, evaluate on plain JSON, errors as errors. Knows nothing of goals.

Expressions are bounded (10,000 characters; the library adds a nesting depth and a budget of steps), and so are the
values they see (100 levels): neither can hang or crash the process. Language: https://cel.dev
"""

from orchestrator.expressions.expression import (
    MAX_LENGTH,
    Expression,
    bind,
    bound,
    compile_condition,
    compile_expression,
    event_variables,
    expressions_in,
)
from orchestrator.expressions.reads import ELEMENT, Path
from orchestrator.expressions.sieve import Sieve

__all__ = [
    "ELEMENT",
    "MAX_LENGTH",
    "Expression",
    "Path",
    "Sieve",
    "bind",
    "bound",
    "compile_condition",
    "compile_expression",
    "event_variables",
    "expressions_in",
]
