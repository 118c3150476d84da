"""How much: a number that every reader takes for the same one."""

from orchestrator.expressions.values import EXACT
from orchestrator.types import Json


def amount(value: Json) -> str | None:
    """Why a value is no amount; None where it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "an amount is a number; no text, and neither true nor false"
    if not 0 <= value <= EXACT:  # which holds for neither NaN nor an integer that no double has
        return "an amount is from 0 up to 2^53, where numbers are still exact"
    return None
