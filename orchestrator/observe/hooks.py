"""Any JSON to an event, by a source's mapping: each field a plain text, or CEL over `body` and `headers` behind `=`.

Compiled once, when the source is set up. Knows neither HTTP nor signatures; `/hooks/NAME` and JSON Lines share it.
"""

import itertools
import os
from collections.abc import Callable, Mapping
from datetime import datetime

from orchestrator.clock import utc
from orchestrator.errors import EvaluationError, EventError, ExpressionError, SettingsError
from orchestrator.expressions import Expression, compile_expression
from orchestrator.masking.masking import Masking
from orchestrator.observe.attributes import event_type, instant, text
from orchestrator.settings import HookMapping
from orchestrator.types import Event, Json

_VARIABLES = ("body", "headers")

Field = Expression | str | None


class Hook:
    """One source's mapping, compiled. `uri` is the source of the events it makes.

    Where there is `masking`, the mapping sees masks alone, and so do its complaints.
    """

    def __init__(self, uri: str, mapping: HookMapping, *, masking: Masking | None = None) -> None:
        """Compile the mapping.

        Raises:
            ExpressionError: CEL that does not compile; names source and field.
            SettingsError: a plain type is empty or one of the loop's own, or a plain time is none.
        """
        self.uri, self._masking = uri, masking
        self._type = _compiled(uri, "type", mapping.type)
        self._subject = _compiled(uri, "subject", mapping.subject)
        self._id = _compiled(uri, "id", mapping.id)
        self._time = _compiled(uri, "time", mapping.time)
        _check_plain(uri, self._type, self._time)

    def event(self, body: Json, headers: Mapping[str, str], *, at: float, fresh: str) -> Event:
        """Make the event of one JSON value.

        Args:
            body: what came; it becomes `data`.
            headers: names in lower case; empty where there are none.
            at: when it came (epoch seconds), the time where none is mapped.
            fresh: the id where none is mapped.

        Raises:
            EventError: 400, an expression does not fit this body (names it and what is missing), or gives something
                the field cannot hold; 403, the type is one of the loop's own.
        """
        if (masking := self._masking) is None:
            return self._event(body, headers, at=at, fresh=fresh)
        seen: dict[str, str] = masking.value(dict(headers))
        return masking.attributes(self._event(masking.data(body), seen, at=at, fresh=masking.text(fresh)))

    def _event(self, body: Json, headers: Mapping[str, str], *, at: float, fresh: str) -> Event:
        variables = {"body": body, "headers": dict(headers)}
        return Event(
            source=self.uri,
            type=event_type(_text("type", self._type, variables)),
            id=text("id", fresh if self._id is None else _text("id", self._id, variables)),
            subject=text("subject", subject) if (subject := _text("subject", self._subject, variables)) else None,
            time=_instant(self._time, variables, at),
            data=body,
        )


class FreshIds:
    """Ids that are never a duplicate: time, a start's random 64 bits, and a counter; they sort by time."""

    def __init__(self, chance: Callable[[int], bytes] = os.urandom) -> None:
        """Take the random bits of this start from `chance`."""
        self._start, self._counter = chance(8).hex(), itertools.count()

    def __call__(self, at: float) -> str:
        """The next id, at a time in epoch seconds."""
        return f"{int(at * 1e6):014x}-{self._start}-{next(self._counter):x}"


def _compiled(uri: str, name: str, written: str | None) -> Field:
    if written is None or not written.startswith("="):
        return written
    if written.startswith("=="):
        return written[1:]
    try:
        return compile_expression(written[1:].strip(), _VARIABLES)
    except ExpressionError as error:
        raise ExpressionError(f"source `{uri}`, `{name}`: {error}") from error


def _check_plain(uri: str, kind: Field, time: Field) -> None:
    try:
        if isinstance(kind, str):
            event_type(kind)
        if isinstance(time, str):
            instant("time", time)
    except EventError as error:
        raise SettingsError(f"source `{uri}`: {error}") from error


def _value(field: Field, variables: Mapping[str, Json]) -> Json:
    if not isinstance(field, Expression):
        return field
    try:
        return field.value(variables)
    except EvaluationError as error:
        raise EventError(f"the body does not fit this source's mapping: {error!s:.300}") from error


def _text(name: str, field: Field, variables: Mapping[str, Json]) -> str | None:
    value = _value(field, variables)
    match value:
        case str() if "\ufffd" in value:  # what CEL is shown for U+0000; two ids would become one
            raise EventError(f"{_source(field)} gives a text with U+0000 or U+FFFD, which `{name}` may not hold")
        case None | str():
            return value
        case int() if not isinstance(value, bool):
            return str(value)
        case _:
            raise EventError(f"{_source(field)} gives {value!r:.60}; `{name}` must be a text or an integer")


def _instant(field: Field, variables: Mapping[str, Json], at: float) -> datetime:
    value = _value(field, variables)
    match value:
        case None:
            return utc(at)
        case int() | float() if not isinstance(value, bool):
            try:
                return utc(value)
            except (OverflowError, ValueError, OSError) as error:
                raise EventError(f"{_source(field)} gives {value}, no time in seconds since the epoch") from error
        case _:
            return instant("time", value)


def _source(field: Field) -> str:
    return f"`{field.text}`" if isinstance(field, Expression) else f"`{field}`"
