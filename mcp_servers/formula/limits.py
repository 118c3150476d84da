"""How large a formula, its arrays and its work may be, and what is raised where they are larger."""

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
"""Numbers in one array, given from outside or intermediate."""

PART = 20_000_000
"""Numbers in one array, given by our own callers or intermediate: 160 MB."""

RESULT = 10_000
"""Numbers in an answer."""

INLINE = 200_000
"""Nanoseconds of estimated work up to which an evaluation is done where it is asked for."""

THREAD = 20_000_000
"""Nanoseconds of estimated work up to which an evaluation is done on a thread; beyond, in a process of its own."""

WORK = 4_000_000_000
"""Nanoseconds of estimated work beyond which an evaluation is refused."""

WALL_S = 10.0
"""Seconds after which a process that evaluates is killed, however little of the processor it got."""

CPU_S = 8
"""Seconds of processor time for one evaluation in a process of its own."""

MEMORY = 1 << 30
"""Bytes of address space for one evaluation, beyond what its process has at the start."""


class FormulaError(ValueError):
    """A formula or its values are refused; the text says why, in one sentence."""
