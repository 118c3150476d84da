"""How busy the machine is. Nothing here waits: the processor's share is measured since the last look."""

import os
from pathlib import Path
from typing import TypedDict

import psutil

from mcp_servers.clock import Now


class Metrics(TypedDict):
    """Shares in percent, sizes in bytes."""

    cpu_percent: float
    memory_percent: float
    memory_available: int
    disk_percent: float
    load1: float
    processes: int
    uptime_seconds: float


def begin() -> None:
    """Look at the processor once, so that the next look has something to compare with."""
    psutil.cpu_percent(interval=None)


def metrics(folder: Path, now: Now) -> Metrics:
    """A look at the machine, and at the disk that holds the folder.

    Raises:
        OSError: the folder is not there.
    """
    memory = psutil.virtual_memory()
    return Metrics(
        cpu_percent=psutil.cpu_percent(interval=None),
        memory_percent=memory.percent,
        memory_available=memory.available,
        disk_percent=psutil.disk_usage(str(folder)).percent,
        load1=round(os.getloadavg()[0], 2),
        processes=len(psutil.pids()),
        uptime_seconds=round(now().timestamp() - psutil.boot_time(), 1),
    )
