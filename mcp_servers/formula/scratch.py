"""Arrays for what is soon overwritten, kept by each thread: memory that is new each time costs more than arithmetic."""

import threading
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROW = 16_384
"""Numbers in an array that is kept. Half a dozen of them stay in the second-level cache."""
KEPT = 24
"""Arrays that a thread keeps, 3 MiB."""


class _Shelf(threading.local):
    def __init__(self) -> None:
        self.rows: list[Array] = []


_SHELF = _Shelf()


def borrowed(count: int, length: int) -> list[Array]:
    """So many arrays of `length` numbers, of any value, until they are given back."""
    if length > ROW:
        return [np.empty(length) for _ in range(count)]
    rows = _SHELF.rows
    return [(rows.pop() if rows else np.empty(ROW))[:length] for _ in range(count)]


def give_back(arrays: Sequence[Array]) -> None:
    """End the use of borrowed arrays and of all that looks into them. Where an error comes first they are just lost."""
    rows = _SHELF.rows
    for array in arrays:
        if array.base is not None and len(rows) < KEPT:
            rows.append(cast("Array", array.base))
