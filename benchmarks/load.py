"""The load of one request on one server: wrk on a core of its own, and what the server's processes took for it."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec
import psutil
from msgspec import Struct
from processes import cpu_seconds, family, pinned, rss_mb

_SCRIPT = Path(__file__).with_name("post.lua")


class LoadError(Exception):
    """A request was not answered as it must be, so there is nothing to measure."""


class Sample(Struct, frozen=True):
    """What one round gave.

    Attributes:
        per_s: evaluations in a second.
        cpu_us: CPU time of the server's processes for an evaluation, in µs.
        p50_ms, p99_ms: until a request was answered, in ms.
        rss_mb: what the server's processes hold after the load, as `processes.rss_mb` counts; None where none serves.
    """

    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    rss_mb: float | None = None


class Request(Struct, frozen=True):
    """One POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Counted(Struct, frozen=True):
    """What wrk counted; `failed` are broken connections, timeouts, and answers with status 400 and above."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float


def sample(
    request: Request,
    processes: Sequence[psutil.Process],
    *,
    connections: int,
    seconds: int,
    core: int,
    evaluations: int = 1,
) -> Sample:
    """Send the request again and again over so many connections.

    Args:
        request: what is sent.
        processes: who serve it, themselves or by processes they have started.
        connections: at once, each with one request at a time.
        seconds: how long.
        core: wrk's.
        evaluations: in one request.

    Raises:
        LoadError: a request failed.
    """
    serving = family(processes)
    before = cpu_seconds(serving)
    counted = counted_in(_wrk(request, connections=connections, seconds=seconds, core=core))
    cpu, done = cpu_seconds(serving) - before, counted.requests * evaluations
    return Sample(
        per_s=done / counted.seconds,
        cpu_us=cpu / done * 1e6,
        p50_ms=counted.p50_ms,
        p99_ms=counted.p99_ms,
        rss_mb=rss_mb(serving),
    )


def counted_in(output: str) -> Counted:
    """What wrk wrote with `post.lua`.

    Raises:
        LoadError: it wrote something else, a request failed, or none was answered.
    """
    last = output.strip().rpartition("\n")[2]
    try:
        counted = msgspec.json.decode(last, type=Counted)
    except msgspec.DecodeError:
        raise LoadError(f"wrk did not count: {last or 'it wrote nothing'}") from None
    if counted.failed or not counted.requests:
        raise LoadError(f"{counted.failed:,} requests failed and {counted.requests:,} were answered")
    return counted


def _wrk(request: Request, *, connections: int, seconds: int, core: int) -> str:
    with NamedTemporaryFile() as body:
        body.write(request.body)
        body.flush()
        headers = [f"{name}={value}" for name, value in request.headers.items()]
        size = ("--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "10s")
        command = ["wrk", *size, "--script", str(_SCRIPT), request.url, "--", body.name, *headers]
        ended = subprocess.run(pinned(command, core), capture_output=True, text=True, check=False)  # noqa: S603  the benchmark's own
    return ended.stdout if ended.returncode == 0 else ended.stderr
