"""How grants and outcomes move the circuits of breakers. Folding only: it decides and refuses nothing.

A trial is taken with its grant, so that there is one at a time, and given back where its call is never made.
"""

from collections.abc import Callable

from msgspec.structs import replace

from orchestrator.breakers import CLOSED, Circuit, Trial, circuits_of, failed, tried
from orchestrator.journal import own
from orchestrator.journal.state import State
from orchestrator.limits import Breaker
from orchestrator.types import Judgement


def try_again(state: State, judgement: Judgement, *, goal: str, event: int) -> None:
    """Fold the grant of an action: it is the trial of what is half-open."""
    for one in judgement.situation.health if judgement.kind == "grant" else ():
        circuit = state.circuits.get(one.circuit)
        if one.state == "half-open" and circuit is not None:
            state.circuits[one.circuit] = replace(circuit, trial=Trial(judgement.action, goal, event))


def conclude(state: State, data: own.ActionData, *, at: float) -> None:
    """Fold what became of an action, at a time (epoch seconds)."""
    for name in circuits_of(data.tool, state.rules):
        state.circuits[name] = concluded(state.circuits.get(name, CLOSED), state.rules.breakers[name], data, at=at)
    if not data.goes_on:
        give_back(state, lambda trial: (trial.event, trial.goal) == (data.event, data.goal))


def concluded(circuit: Circuit, breaker: Breaker, data: own.ActionData, *, at: float) -> Circuit:
    """A circuit after what became of one action of its tools. What was refused, or misfits, says nothing of them."""
    trial = circuit.trial is not None and circuit.trial.action == data.action
    if data.status == "refused" or data.misfit:
        return replace(circuit, trial=None) if trial else circuit
    if trial:
        return tried(circuit, breaker, works=data.status == "succeeded", at=at)
    return circuit if data.status == "succeeded" else failed(circuit, breaker, at=at)


def give_back(state: State, over: Callable[[Trial], bool]) -> None:
    """End the trials of plans that are over: their calls are not made any more."""
    for name, circuit in state.circuits.items():
        if circuit.trial is not None and over(circuit.trial):
            state.circuits[name] = replace(circuit, trial=None)


def rule(state: State) -> None:
    """Forget the circuits of breakers that the rules do not have any more."""
    state.circuits = {name: one for name, one in state.circuits.items() if name in state.rules.breakers}
