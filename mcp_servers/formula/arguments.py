"""What a function wants of an argument that is one number, such as a window: checked where the value is known."""

from mcp_servers.formula.limits import FormulaError


def whole(function: str, value: float, least: int, most: int) -> int:
    """The number as an integer.

    Raises:
        FormulaError: it is not whole, or not from `least` to `most`.
    """
    if least <= value <= most and float(value).is_integer():
        return int(value)
    raise FormulaError(f"`{function}` wants a whole number from {least} to {most:,} after its list, not {value:g}")


def weight(function: str, value: float) -> float:
    """The number, where it is above 0 and at most 1.

    Raises:
        FormulaError: it is not.
    """
    if 0.0 < value <= 1.0:
        return float(value)
    raise FormulaError(f"`{function}` wants a weight above 0 and at most 1, not {value:g}")


def share(function: str, value: float) -> float:
    """The number, where it is from 0 to 1.

    Raises:
        FormulaError: it is not.
    """
    if 0.0 <= value <= 1.0:
        return float(value)
    raise FormulaError(f"`{function}` wants a share from 0 to 1, not {value:g}")
