"""How much one request, one definition and one stream may hold. What an evaluation may take is in `limits.py`."""

POINTS = 10_000
"""Rows of one batch."""

ERRORS = 100
"""Errors of a batch that are told; the others are counted."""

FORMULAS = 1_000
"""Definitions that a store keeps, all versions counted."""

WORDS = 1_000
"""Characters of what a definition says in words."""

UNIT = 40
"""Characters of a unit."""

EXAMPLES = 100
"""Examples of one definition."""

KEY = 200
"""Characters of a stream's key."""

WINDOW = 10_000
"""Values in the window of a stream."""

BODY = 4_194_304
"""Bytes of a request over HTTP, other than rows that come one by one."""

LINE = 65_536
"""Bytes of one such row."""
