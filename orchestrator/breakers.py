"""Circuit breakers as pure functions: closed until too much fails, open for a rest, then half-open for one trial.

Source: Nygard, "Release It!" (2nd ed., 2018), chapter 5. Knows no journal and no clock. What closes and opens a circuit
are outcomes; a call that was made before it opened and ends afterwards changes nothing.
"""

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.clock import seconds
from orchestrator.counted import Health
from orchestrator.limits import Breaker, Rules


class Trial(Struct, frozen=True):
    """The action that tries whether it works again, for which goal version, and for the event at which position."""

    action: str
    goal: str
    event: int


class Circuit(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One circuit. A new one is closed.

    failures: of late (epoch seconds, oldest first); once it is open, those that opened it. until: when its rest ends,
    None while it is closed. opened: how often it has opened.
    """

    failures: tuple[float, ...] = ()
    until: float | None = None
    trial: Trial | None = None
    opened: int = 0


CLOSED = Circuit()


def circuits_of(tool: str, rules: Rules) -> list[str]:
    """The names under which the breakers for a tool stand in the rules: its own and its server's."""
    return [name for name in (tool, tool.partition(".")[0]) if name in rules.breakers]


def health(name: str, circuit: Circuit, breaker: Breaker, *, now: float) -> Health:
    """How a circuit stands at a time (epoch seconds)."""
    if circuit.until is None:
        recent = sum(1 for at in circuit.failures if at > now - seconds(breaker.within))
        return Health(circuit=name, breaker=breaker, state="closed", failures=recent)
    # Where more than a whole rest is left, the clock was set back or the rest made shorter: it does not wait for that.
    rests = now < circuit.until <= now + seconds(breaker.rest)
    return Health(
        circuit=name,
        breaker=breaker,
        state="open" if rests else "half-open",
        failures=len(circuit.failures),
        until=circuit.until,
        trial=circuit.trial.action if circuit.trial else None,
    )


def failed(circuit: Circuit, breaker: Breaker, *, at: float) -> Circuit:
    """The circuit after a call that failed at a time, and that was no trial."""
    if circuit.until is not None:
        return circuit
    known = sorted((*circuit.failures, at))  # in order, also where the clock was set back
    recent = tuple([one for one in known if one > known[-1] - seconds(breaker.within)])[-breaker.failures :]
    if len(recent) < breaker.failures:
        return replace(circuit, failures=recent)
    return replace(circuit, failures=recent, until=at + seconds(breaker.rest), opened=circuit.opened + 1)


def tried(circuit: Circuit, breaker: Breaker, *, works: bool, at: float) -> Circuit:
    """The circuit after its trial: closed where it works again, or open for another rest."""
    if works:
        return Circuit(opened=circuit.opened)
    return replace(circuit, until=at + seconds(breaker.rest), trial=None, opened=circuit.opened + 1)
