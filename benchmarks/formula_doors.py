"""The doors that `formula_service.py` measures: how each is asked for Black-Scholes, and how its answer reads.

A point is Black-Scholes' arguments by name. Measures only the call in this process; wrk measures the others.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import Any, TypeAlias

import httpx
import msgspec
import psutil
from load import LoadError, Request, Sample
from msgspec import Struct
from php_stack import API_KEY, VARIANTS, PhpStack
from processes import running

from orchestrator.act.servers import Servers
from orchestrator.doors.event_loop import new_event_loop
from orchestrator.doors.running import settle
from orchestrator.settings import ServerSettings
from orchestrator.types import Call

FORMULA = "black_scholes"
BATCH = 1000

Point: TypeAlias = dict[str, Any]

_ROOT = Path(__file__).resolve().parents[1]
_JSON = {"Content-Type": "application/json"}
_MCP = _JSON | {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
_NEAR = 1e-14
"""How far a price may be from ours, as a share of the asset's price."""


class Door(Struct, frozen=True):
    """One way to ask a server.

    Attributes:
        url, headers: of every request.
        body: what asks for so many points, to be sent as JSON.
        values: the prices in an answer.
        processes: who serve.
        evaluations: points in one request.
    """

    url: str
    headers: Mapping[str, str]
    body: Callable[[Sequence[Point]], object]
    values: Callable[[Any], Sequence[float]]
    processes: Sequence[psutil.Process]
    evaluations: int = 1

    def request(self, points: Sequence[Point]) -> Request:
        """For the first points, as many as one request takes."""
        return Request(self.url, self.headers, msgspec.json.encode(self.body(points[: self.evaluations])))


def points() -> list[Point]:
    """A batch of options, the same every time: calls and puts, in and out of the money."""
    chance = Random(7)  # noqa: S311  not for secrets
    return [
        {
            "spot": round(chance.uniform(50, 150), 2),
            "strike": round(chance.uniform(50, 150), 2),
            "rate": round(chance.uniform(0, 0.1), 4),
            "volatility": round(chance.uniform(0.05, 0.6), 3),
            "years": round(chance.uniform(0.05, 3), 3),
            "kind": chance.choice(("call", "put")),
            "dividend_yield": round(chance.uniform(0, 0.05), 4),
        }
        for _ in range(BATCH)
    ]


@contextmanager
def our_server(log: Path, *, core: int) -> Generator[tuple[str, psutil.Process]]:
    """Our service on a core: its URL and its process.

    Raises:
        NotRunningError: it did not start.
    """
    command = [sys.executable, "-m", "mcp_servers.formula", "--http", "127.0.0.1:0"]
    with running(command, log=log, core=core, ready=lambda: log.read_text(encoding="utf-8").endswith("\n")) as process:
        yield log.read_text(encoding="utf-8").strip(), process


def php_doors(stack: PhpStack) -> dict[str, Door]:
    """The variants of `peers_php/`, by name."""
    headers = _JSON | {"X-Api-Key": API_KEY}
    return {
        f"PHP {variant}": Door(f"{stack.url}/{variant}/v1/formulas/{FORMULA}", headers, _first, _value, stack.processes)
        for variant in VARIANTS
    }


def http_doors(url: str, process: psutil.Process) -> dict[str, Door]:
    """Plain HTTP: one evaluation, and a batch."""
    one = f"{url}/v1/formulas/{FORMULA}"
    return {
        "HTTP": Door(one, _JSON, _first, _value, [process]),
        "HTTP batch": Door(
            f"{one}/batch", _JSON, lambda asked: {"points": asked}, lambda answer: answer["values"], [process], BATCH
        ),
    }


def mcp_doors(url: str, process: psutil.Process) -> dict[str, Door]:
    """MCP's streamable HTTP, without a session: one call of a tool for an evaluation, and one for a batch."""

    def batch(asked: Sequence[Point]) -> object:
        return _tool("evaluate_batch", {"formula": FORMULA, "points": asked})

    return {
        "MCP": Door(f"{url}/mcp", _MCP, lambda asked: _tool(FORMULA, asked[0]), _mcp_value, [process]),
        "MCP batch": Door(f"{url}/mcp", _MCP, batch, lambda answer: _told(answer)["values"], [process], BATCH),
    }


def check(name: str, door: Door, asked: Sequence[Point], prices: Sequence[float]) -> None:
    """Hold the answers to ours.

    Raises:
        LoadError: an answer is none, or a price is not the same.
    """
    with httpx.Client(timeout=30, trust_env=False) as client:
        for at in range(0, len(asked), door.evaluations):
            found = _prices(client, door, asked[at:])
            alike(name, found, prices[at : at + door.evaluations], asked[at:])


def prices_of(door: Door, asked: Sequence[Point]) -> Sequence[float]:
    """The prices that a door gives for one request.

    Raises:
        LoadError: the answer is none.
    """
    with httpx.Client(timeout=30, trust_env=False) as client:
        return _prices(client, door, asked)


def alike(name: str, found: Sequence[float | None], prices: Sequence[float], asked: Sequence[Point]) -> None:
    """Hold prices to ours.

    Raises:
        LoadError: one is not the same, or there are not as many.
    """
    if len(found) != len(prices):
        raise LoadError(f"{name} gave {len(found)} prices, not {len(prices)}")
    for got, right, point in zip(found, prices, asked, strict=False):
        if not isinstance(got, float) or not abs(got - right) <= _NEAR * point["spot"]:
            raise LoadError(f"{name} gave {got!r}, not {right!r}, for {point}")


def formula_of(url: str) -> dict[str, Any]:
    """Black-Scholes as our service shows it: text, parts, parameters."""
    return httpx.get(f"{url}/v1/formulas/{FORMULA}", trust_env=False).raise_for_status().json()


def in_process(asked: Sequence[Point], prices: Sequence[float], *, seconds: float, core: int) -> Sample:
    """Call the formula as the loop does, through its tools and without a wire, one call after the other on a core.

    Raises:
        LoadError: a price is not the same.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:  # as `mdl run`
            return runner.run(_in_process(asked, prices, seconds))
    finally:
        os.sched_setaffinity(0, before)


async def _in_process(asked: Sequence[Point], prices: Sequence[float], seconds: float) -> Sample:
    settings = {"formula": ServerSettings(module="mcp_servers.formula")}
    async with Servers(settings, folder=_ROOT, random=Random(0)) as toolbox:  # noqa: S311  jitter of repetitions
        found = [await toolbox.read(Call(f"formula.{FORMULA}", point)) for point in asked]
        alike("in process", [_value(one)[0] for one in found], prices, asked)
        settle()  # as `mdl run` does once it is up
        call, latencies, now = Call(f"formula.{FORMULA}", asked[0]), list[float](), perf_counter()
        began, cpu = now, process_time()
        while now < began + seconds:
            await toolbox.read(call)
            last, now = now, perf_counter()
            latencies.append(now - last)
        cpu, calls, ranked = process_time() - cpu, len(latencies), sorted(latencies)
        p50, p99 = (ranked[int(calls * share)] * 1000 for share in (0.5, 0.99))
        return Sample(per_s=calls / (now - began), cpu_us=cpu / calls * 1e6, p50_ms=p50, p99_ms=p99)


def _prices(client: httpx.Client, door: Door, asked: Sequence[Point]) -> Sequence[float]:
    request = door.request(asked)
    answer = client.post(request.url, headers=dict(request.headers), content=request.body)
    if not answer.is_success:
        raise LoadError(f"{request.url} answered {answer.status_code}: {answer.text[:200]}")
    return door.values(answer.json())


def _first(asked: Sequence[Point]) -> object:
    return asked[0]


def _value(answer: Any) -> list[float]:
    return [answer["value"]]


def _mcp_value(answer: Any) -> list[float]:
    return _value(_told(answer))


def _tool(name: str, arguments: Point) -> object:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


def _told(answer: Any) -> dict[str, Any]:
    return answer["result"]["structuredContent"]
