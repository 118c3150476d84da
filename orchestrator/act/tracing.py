"""What travels with a call: W3C trace context, and the action's id and goal as OpenTelemetry baggage.

Baggage is the neutral carrier, neither side imports the other: a tool in this process reads
`opentelemetry.baggage.get_baggage("mdl.action")`; behind a wire the server takes it from `_meta`
(`opentelemetry.propagate.extract`), which the SDK does for the trace but not for baggage. Spans are not made here.
"""

from urllib.parse import quote

from opentelemetry import baggage, trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orchestrator.types import Grant

ACTION, GOAL = "mdl.action", "mdl.goal"
KEY = "dev.mdl/action"
"""The `_meta` entry that holds the idempotency key."""

_propagator = TraceContextTextMapPropagator()
_BAGGAGE = next(iter(baggage.set_baggage(GOAL, "", Context())))  # where a context holds it


def carried(grant: Grant) -> Context:
    """The current context with the action's baggage, inside the grant's trace."""
    action, around = grant.action, get_current()
    # Set one by one, each entry would copy the context and all entries before it.
    entries: dict[str, object] = {GOAL: action.goal, ACTION: action.id}
    context = Context({**around, _BAGGAGE: {**baggage.get_all(around), **entries} if around else entries})
    if grant.traceparent is None or _within(grant.traceparent):
        return context
    return _propagator.extract({"traceparent": grant.traceparent}, context)


def meta(grant: Grant) -> dict[str, str]:
    """The same for a call's `_meta`, with the idempotency key (SEP-414; baggage after W3C)."""
    entries = {ACTION: grant.action.id, GOAL: grant.action.goal}
    trace_context = {} if grant.traceparent is None else {"traceparent": grant.traceparent}
    return {
        **trace_context,
        "baggage": ",".join(f"{name}={quote(value)}" for name, value in entries.items()),
        KEY: grant.action.id,
    }


def _within(parent: str) -> bool:
    """Whether the current span is already a part of the parent's trace, and so the better parent."""
    current = trace.get_current_span().get_span_context()
    return current.is_valid and parent[3:35] == trace.format_trace_id(current.trace_id)
