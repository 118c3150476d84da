"""Where in a journal a time lies."""

from orchestrator.journal.journal import Reader


def position_at(reader: Reader, at: float) -> int:
    """The last position whose record was taken before a time (epoch seconds); 0 when there is none."""
    low, high = 0, reader.head
    while low < high:
        middle = (low + high + 1) // 2
        record = reader.at(middle)
        low, high = (middle, high) if record is None or record.at < at else (low, middle - 1)
    return low
