"""A server's process, by itself."""

import asyncio
import os
import sys
import threading
from pathlib import Path

import psutil

from orchestrator.act.child import Child

HERE = Path(__file__).parent


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def waiting() -> bool:
    """Whether asyncio (before 3.12) still waits for a process in a thread, and so has not seen its end."""
    return any(thread.name.startswith("asyncio-waitpid") for thread in threading.enumerate())


async def test_a_stop_that_is_cancelled_leaves_no_process_behind(tmp_path: Path) -> None:
    ledger = tmp_path / "pids"
    command = (sys.executable, str(HERE / "servers" / "raw.py"), "deaf")
    child = Child(command, env={**os.environ, "LEDGER": str(ledger)}, cwd=tmp_path, ended=lambda: None)

    async def hold() -> None:
        async with child.connect():
            await asyncio.get_running_loop().create_future()

    holding = asyncio.create_task(hold())
    async with asyncio.timeout(10):
        while not ledger.exists() or " " not in ledger.read_text(encoding="utf-8"):  # noqa: ASYNC110  processes tell no event
            await asyncio.sleep(0.01)
    pids = [int(pid) for pid in ledger.read_text(encoding="utf-8").split()]
    for _ in range(2):  # the first begins the stop, the second interrupts it
        holding.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.wait([holding])
    assert holding.cancelled()
    async with asyncio.timeout(5):
        while any(alive(pid) for pid in pids) or waiting():  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.01)
