"""The event loop that everything runs on: uvloop, which takes a sixth off a turn; asyncio's own where there is none."""

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A new one, to be closed by whoever runs it."""
    try:
        import uvloop
    except ModuleNotFoundError:  # there is none for interpreters other than CPython
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
