"""Arrays for what is soon overwritten, kept by each thread: memory that is new each time costs more than arithmetic."""

import threading
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROW = 8192
"""Numbers in an array that is kept: a dozen of them stay in the second-level cache."""
KEPT = 48
"""Arrays that a thread keeps, 3 MiB."""


class _Shelf(threading.local):
    def __init__(self) -> None:
        self.rows: list[Array] = []


_SHELF = _Shelf()


@contextmanager
def rows(count: int, length: int = ROW) -> Generator[list[Array]]:
    """So many arrays of `length` numbers, of any value, for as long as the context lasts. None of them may leave it."""
    if length > ROW:
        yield [np.empty(length) for _ in range(count)]
        return
    shelf = _SHELF.rows
    taken = [shelf.pop() if shelf else np.empty(ROW) for _ in range(count)]
    try:
        yield [row[:length] for row in taken]
    finally:
        shelf.extend(taken[: KEPT - len(shelf)])
