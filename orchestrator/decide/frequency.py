"""How often: `three times within ten minutes`, `at most once an hour`, `per customer`, read into a window."""

from typing import TypedDict

from orchestrator.decide.sentence import Reading, duration, number
from orchestrator.decide.wish import Unclear

_ONCE = ("at most once", "no more than once", "not more than once", "only once")
_BY = ("per", "for each", "for every")


class Often(TypedDict, total=False):
    """Parts of a window as they are said; `by` is a field's name, not yet CEL."""

    count: int
    within: str
    once_within: str
    by: str


def often(reading: Reading) -> Often | None:
    """Take one part of a window; None, and nothing taken, where none comes.

    Raises:
        Unclear: it begins like one and does not end like one.
    """
    if reading.accept(_ONCE):
        reading.accept(("every", "each", "per", "in", "within"))
        if (once := duration(reading)) is None:
            raise Unclear(
                "value", f"At most once in what time? I cannot read `{reading.rest()}`; write `at most once an hour`."
            )
        return Often(once_within=once)
    if (count := _count(reading)) is not None:
        if not reading.accept(("within", "in")) or (within := duration(reading)) is None:
            raise Unclear("value", f"{count} times within what time? Write for example `{count} times within an hour`.")
        return Often(count=count, within=within)
    if reading.accept(_BY):
        if reading.next is None or reading.next.kind != "word":
            raise Unclear("field", "Counted apart for each of which field?")
        return Often(by=reading.take().value)
    return None


def _count(reading: Reading) -> int | None:
    if reading.accept(("twice",)):
        return 2
    first, second = reading.next, reading.ahead(1)
    if first is None or second is None or second.plain != "times":
        return None
    found = number(first.plain)
    if found is None or found < 1 or not found.is_integer():
        return None
    reading.at += 2
    return int(found)
