"""How large a formula and its arrays may be, so that none takes more than part of a second or about 100 MB."""

TEXT = 2_000
"""Characters of an expression."""

NODES = 300
"""Names, numbers, operations and calls."""

DEPTH = 40
"""Levels of an expression, brackets not counted."""

LITERAL = 1e300
"""The largest number that may be written."""

VARIABLES = 64
NAME = 64
"""Characters of a variable's name."""

DIMENSIONS = 4
ELEMENTS = 100_000
"""Numbers in one array, given or intermediate."""

WORK = 5_000_000
"""Numbers that all steps of one evaluation compute together."""

RESULT = 10_000
"""Numbers in an answer."""

INLINE = 20_000
"""Work up to which an evaluation is done where it is asked for, not on a thread: well under a millisecond."""


class FormulaError(ValueError):
    """An expression or its variables are refused; the text says why, in one sentence."""
