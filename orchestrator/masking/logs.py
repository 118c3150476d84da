"""Logs without what is masked: every record of Python's logging, whoever writes it, while this lasts."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_formatter = logging.Formatter()
_known: ContextVar[Callable[[str], str] | None] = ContextVar("known", default=None)


@contextmanager
def redacted_logs(redacted: Callable[[str], str]) -> Generator[None]:
    """Have each record's text, and the traceback that goes with it, redacted when it is made."""
    made = logging.getLogRecordFactory()

    def record(*given: Any, **more: Any) -> logging.LogRecord:
        one, known = made(*given, **more), _known.get()
        _redact(one, redacted if known is None else lambda text: redacted(known(text)))
        return one

    logging.setLogRecordFactory(record)
    try:
        yield
    finally:
        logging.setLogRecordFactory(made)


@contextmanager
def known(masked: Callable[[str], str]) -> Generator[None]:
    """Have what this task and those that it starts write into logs masked by this first."""
    token = _known.set(masked)
    try:
        yield
    finally:
        _known.reset(token)


def _redact(record: logging.LogRecord, redacted: Callable[[str], str]) -> None:
    try:
        text = record.getMessage()
    except (TypeError, ValueError):  # it does not fit its arguments; logging says so itself, and shows them
        text = str(record.msg)
        record.msg, record.args = redacted(text), None
    else:
        if (shown := redacted(text)) != text:
            record.msg, record.args = shown, None
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = redacted(_formatter.formatException(record.exc_info))
