"""One process that evaluates formulas one after the other, within limits of memory and of processor time.

`workers.py` starts it and talks to it by its standard input and output: a JSON header with its length before it, then
the bytes of the arrays that the header tells. It ends when its input does.
"""

import json
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from math import prod
from typing import IO, Any

import numpy as np
import psutil
from numpy.typing import NDArray

from mcp_servers.formula.limits import CPU_S, MEMORY, PART, FormulaError
from mcp_servers.formula.program import compile_formula

Array = NDArray[np.float64]

_LENGTH = struct.Struct("<I")


def send(stream: IO[bytes], header: dict[str, Any], arrays: Sequence[Array]) -> None:
    """Write a header, to which the arrays' shapes are added, and the arrays."""
    text = json.dumps({**header, "shapes": [array.shape for array in arrays]}).encode()
    stream.write(_LENGTH.pack(len(text)))
    stream.write(text)
    for array in arrays:
        stream.write(np.ascontiguousarray(array).data)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[Array]] | None:
    """A header and its arrays; None where the stream has ended."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    header: dict[str, Any] = json.loads(stream.read(*_LENGTH.unpack(length)))
    arrays: list[Array] = []
    for shape in header["shapes"]:
        count = prod(shape)
        if count > PART:
            return None
        content = stream.read(count * 8)
        if len(content) < count * 8:
            return None
        arrays.append(np.frombuffer(content, dtype=np.float64).reshape(shape))
    return header, arrays


def main() -> None:
    """Evaluate until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this, and ends the input
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    compile_formula("sum(x * x)", ("x",))(np.ones(2))
    while (request := receive(sys.stdin.buffer)) is not None:
        send(sys.stdout.buffer, *_answer(*request))


def _answer(header: dict[str, Any], arrays: Sequence[Array]) -> tuple[dict[str, Any], list[Array]]:
    _limit()
    try:
        program = compile_formula(header["text"], tuple(header["names"]))
        values = [array if array.ndim else float(array) for array in arrays]
        return {}, [np.asarray(program(*values), dtype=np.float64)]
    except FormulaError as error:
        return {"refused": str(error)}, []
    except MemoryError:
        return {"refused": f"the expression needs more than {MEMORY / 2**30:g} GiB of memory; take shorter lists"}, []


def _limit() -> None:
    """Allow so much more of memory and of processor time than was taken so far."""
    process = psutil.Process()
    times = process.cpu_times()
    for kind, soft in (
        (resource.RLIMIT_AS, process.memory_info().vms + MEMORY),
        (resource.RLIMIT_CPU, int(times.user + times.system) + 1 + CPU_S),
    ):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    main()
