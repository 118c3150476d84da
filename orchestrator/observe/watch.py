"""Wakes its owner when files may have changed. It opens no file and says nothing about what changed.

The system's notifications wake it: inotify on Linux, which costs nothing while nothing happens; elsewhere `watchfiles`,
whose thread looks every few milliseconds. Folders are watched, not files, so a file may be missing or replaced. Where
there are no notifications (network folders, exhausted limits) a slow safety check is what is left.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

ECHOES = tuple(0.001 * 2**n for n in range(10))
"""Seconds between looks after a notification: a file is written before its commit can be seen (fsync comes between)."""


class Notices(Protocol):
    """Starts notifications for files; what it returns stops them. `wake` is called in the running loop's thread."""

    def __call__(self, files: Sequence[Path], wake: Callable[[], object]) -> Callable[[], None]:
        """Start.

        Raises:
            OSError: a folder is missing, or the system has no notifications left to give.
        """
        ...


class Watch:
    """`with Watch(file) as watch:` then look, `await watch.changed()`, look again; a look has to be cheap.

    A change behind a look always wakes the next `changed()`. It also wakes at the echoes of a notification and after
    `safety` seconds without one, so a wake does not prove a change.
    """

    def __init__(
        self,
        *files: Path,
        safety: float = 1.0,
        echoes: Sequence[float] = ECHOES,
        notices: Notices | None = None,
    ) -> None:
        """Watch files; `notices` stands for the system's own way."""
        self._files, self._safety, self._echoes = files, safety, tuple(echoes)
        self._notices = notices or (inotify if sys.platform == "linux" else watchfiles)
        self._noticed, self._echo = asyncio.Event(), 0
        self._stop: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        """Start inside a running event loop."""
        with suppress(OSError):  # the safety check goes on without them
            self._stop = self._notices(self._files, self._noticed.set)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        if self._stop:
            self._stop()

    async def changed(self, *, found: bool = False) -> None:
        """Wait until a look may be worth it; `found` says that the last one was, so that echoes can be rare."""
        if found:
            self._echo = max(self._echo, len(self._echoes) // 2)
        pause = self._echoes[self._echo] if self._echo < len(self._echoes) else self._safety
        try:
            async with asyncio.timeout(min(pause, self._safety)):
                await self._noticed.wait()
        except TimeoutError:
            self._echo += 1
            return
        self._noticed.clear()
        self._echo = 0


def inotify(files: Sequence[Path], wake: Callable[[], object]) -> Callable[[], None]:
    """Notices on Linux, by `asyncinotify`."""
    from asyncinotify import Inotify, Mask  # noqa: PLC0415  warns where there is no inotify

    names = {file.name for file in files}
    loop, notify = asyncio.get_running_loop(), Inotify(sync_timeout=0)
    mask = Mask.MODIFY | Mask.CREATE | Mask.DELETE | Mask.MOVE | Mask.ATTRIB

    def drain() -> None:
        while event := notify.sync_get():
            if event.name is None or event.name.name in names:
                wake()

    def stop() -> None:
        loop.remove_reader(notify.fd)
        notify.close()

    try:
        for folder in {file.parent for file in files}:
            notify.add_watch(folder, mask)  # pyright: ignore[reportUnknownMemberType]  its `PathLike` says not of what
    except OSError:
        notify.close()
        raise
    loop.add_reader(notify.fd, drain)
    return stop


def watchfiles(files: Sequence[Path], wake: Callable[[], object]) -> Callable[[], None]:
    """Notices by `watchfiles`, in a thread of their own: the shared thread pools are for work that ends."""
    from watchfiles import Change, watch  # noqa: PLC0415  not needed where there is inotify

    for folder in (folders := {file.parent for file in files}):
        folder.stat()
    names, ended, loop = {file.name for file in files}, threading.Event(), asyncio.get_running_loop()

    def ours(_: Change, path: str) -> bool:
        return Path(path).name in names

    def follow() -> None:
        with suppress(OSError, RuntimeError):  # a folder that went, a loop that closed
            for _ in watch(*folders, watch_filter=ours, step=5, debounce=20, recursive=False, stop_event=ended):
                loop.call_soon_threadsafe(wake)

    threading.Thread(target=follow, name="mdl-watch", daemon=True).start()
    return ended.set
