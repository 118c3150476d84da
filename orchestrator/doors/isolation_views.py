"""What isolates a server, in words for `mdl doctor`."""

import os
from collections.abc import Iterator

from orchestrator.act.toolbox import InForce

IN_PROCESS = "runs in MDL's own process: nothing isolates it, so it is trusted as MDL itself"


def in_words(found: InForce) -> str:
    """All that is in force for a server, and what is not."""
    return "; ".join((*_bounds(found), *_limits(found.limits), f"environment {' '.join(found.environment)}"))


def _bounds(found: InForce) -> Iterator[str]:
    if found.bubblewrap is None:
        yield f"no bubblewrap: {found.why_not}"
        yield "it has the network, and reads and writes what you can"
        yield f"its home is {found.home}"
        return
    yield f"bubblewrap {found.bubblewrap}"
    yield "the machine's network" if found.network else "no network"
    yield f"writes {', '.join((found.home, *found.write))}"


def _limits(limits: dict[str, int]) -> Iterator[str]:
    memory = limits.get("memory")
    yield f"memory {_size(memory)} a process" if memory else "memory is not limited on this system"
    yield f"files up to {_size(limits['file'])}, {limits['open']} open"
    if "processes" in limits:
        yield f"{limits['processes']} processes"
    else:
        yield "processes are not limited" + (", since MDL runs as root" if os.geteuid() == 0 else "")


def _size(number: int) -> str:
    for unit, size in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if number >= size:
            return f"{number / size:g} {unit}"
    return f"{number} B"
