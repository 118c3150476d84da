"""`GET /metrics`: a loop's figures in the text that Prometheus reads. Names them and gives their units; counts nothing.

Counters are totals over the journal, so a start does not set them back. Times are in seconds. The quantiles of a stage
are over its last few thousand turns, without a sum or a count, which nobody keeps.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.doors.app import installed
from orchestrator.figures import Figures, Totals
from orchestrator.telemetry import Quantiles


def metrics(figures: Callable[[], Figures]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that tells what `figures` gives, and of the process its memory, processor time and open files."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(figures, installed() or "unknown"))
    ProcessCollector(registry=registry)

    async def endpoint(_: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    return endpoint


class _Told(Collector):
    def __init__(self, figures: Callable[[], Figures], version: str) -> None:
        self._figures, self._version = figures, version

    def collect(self) -> Iterator[Metric]:
        found = self._figures()
        yield _gauge("build_info", "The version that runs.", {self._version: 1}, label="version")
        yield from _totals(found.totals)
        yield from _now(found)
        yield _stages(found.latency_ms)
        yield from _goals(found)
        yield from _tools(found)
        yield from _breakers(found)


def _totals(found: Totals) -> Iterator[Metric]:
    yield _counter("events", "Events in the journal, the loop's own included.", found.events)
    yield _counter("turns", "Turns decided.", found.turns)
    yield _counter("actions", "Actions with an outcome.", found.actions, label="status")
    yield _counter("refusals", "Actions refused by policy.", found.refusals, label="policy")
    yield _counter("decisions", "Decisions by who made them.", found.decided_by, label="decided_by")
    yield _gauge("goals", "Goals there are, paused ones included.", found.goals)
    yield _gauge("goals_paused", "Goals that are paused.", found.paused)
    yield _gauge("approvals_pending", "Actions that wait for a person.", found.waiting)
    yield _gauge("actions_held", "Actions whose outcome nobody knows, and nobody has seen after.", found.held)
    yield _gauge("turns_parked", "Turns that were set aside.", found.parked)


def _now(found: Figures) -> Iterator[Metric]:
    yield _gauge("backlog_records", "Records that are not read, or whose events are not finished.", found.backlog)
    yield _gauge("lag_seconds", "Since the oldest unfinished event became durable; 0 where there is none.", found.lag)
    yield _gauge("line_events", "Events that wait for a `let`, or for one before them.", found.queues.line)
    yield _gauge("turns_waiting", "Turns that wait for one of their subject, or for a lane.", found.queues.lanes)
    yield _gauge("turns_running", "Turns that run.", found.queues.running)
    yield _gauge("journal_waiting_records", "Records that wait for their commit.", found.writer)
    up = {source: int(trouble is None) for source, trouble in found.sources.items()}
    yield _gauge("source_up", "Whether a source that is pulled can be read.", up, label="source")
    yield _gauge("uptime_seconds", "Since the loop was put together.", found.seconds)


def _stages(latency_ms: Mapping[str, Quantiles]) -> Metric:
    family = SummaryMetricFamily(
        "mdl_stage_seconds", "What a stage takes, over its last few thousand turns.", labels=("stage",)
    )
    for stage, found in latency_ms.items():
        for quantile, milliseconds in (("0.5", found.p50), ("0.99", found.p99)):
            family.add_sample(family.name, {"stage": stage, "quantile": quantile}, round(milliseconds / 1000, 6))
    return family


def _goals(found: Figures) -> Iterator[Metric]:
    for name, text in (
        ("fired", "Turns in which a goal fired."),
        ("near_misses", "Turns in which something stopped a goal that matched."),
        ("held", "Wants that held after acting."),
        ("missed", "Wants that did not hold after acting."),
    ):
        values = {goal: getattr(stats, name) for goal, stats in found.progress.items()}
        yield _counter(f"goal_{name}", text, values, label="goal")


def _tools(found: Figures) -> Iterator[Metric]:
    calls = {name: stats.calls for name, stats in found.tools.items()}
    failures = {name: stats.failures for name, stats in found.tools.items()}
    seconds = {name: stats.seconds for name, stats in found.tools.items()}
    yield _counter("tool_calls", "Calls of a tool.", calls, label="tool")
    yield _counter("tool_failures", "Calls of a tool that failed.", failures, label="tool")
    yield _gauge("tool_mean_seconds", "What a call takes, as a moving average.", seconds, label="tool")


def _breakers(found: Figures) -> Iterator[Metric]:
    states = GaugeMetricFamily("mdl_breaker_state", "1 for the state of a circuit.", labels=("circuit", "state"))
    for name, one in found.circuits.items():
        for state in ("closed", "open", "half-open"):
            states.add_metric((name, state), float(one.state == state))
    yield states
    failures = {name: one.failures for name, one in found.circuits.items()}
    yield _gauge("breaker_failures", "Failures of late, or those that opened it.", failures, label="circuit")
    yield _counter("breaker_opened", "How often a circuit has opened.", found.opened, label="circuit")
    running = {name: one.running for name, one in found.busy.items()}
    waiting = {name: one.waiting for name, one in found.busy.items()}
    yield _gauge("calls_running", "Calls that run, by tool or server.", running, label="name")
    yield _gauge("calls_waiting", "Calls that wait for others to end, by tool or server.", waiting, label="name")


def _counter(name: str, text: str, value: float | Mapping[str, float], *, label: str = "") -> Metric:
    family = CounterMetricFamily(f"mdl_{name}", text, labels=_labels(label))
    for labels, one in _each(value):
        family.add_metric(labels, one)
    return family


def _gauge(name: str, text: str, value: float | Mapping[str, float], *, label: str = "") -> Metric:
    family = GaugeMetricFamily(f"mdl_{name}", text, labels=_labels(label))
    for labels, one in _each(value):
        family.add_metric(labels, one)
    return family


def _labels(label: str) -> tuple[str, ...]:
    return (label,) if label else ()


def _each(value: float | Mapping[str, float]) -> Iterable[tuple[tuple[str, ...], float]]:
    return [((name,), one) for name, one in value.items()] if isinstance(value, Mapping) else [((), value)]
