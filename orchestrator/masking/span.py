"""A place in a text, and what stands there."""

from typing import NamedTuple

from orchestrator.masking.mask import Kind


class Span(NamedTuple):
    """From `start` up to `end` there is something of a kind."""

    start: int
    end: int
    kind: Kind
