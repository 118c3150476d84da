"""Logs without what is masked: every record of Python's logging, whoever writes it, while this lasts."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

_formatter = logging.Formatter()


@contextmanager
def redacted_logs(redacted: Callable[[str], str]) -> Generator[None]:
    """Have each record's text, and the traceback that goes with it, redacted when it is made."""
    made = logging.getLogRecordFactory()

    def record(*given: Any, **more: Any) -> logging.LogRecord:
        one = made(*given, **more)
        _redact(one, redacted)
        return one

    logging.setLogRecordFactory(record)
    try:
        yield
    finally:
        logging.setLogRecordFactory(made)


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
