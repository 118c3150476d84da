"""`make attacks` itself: a policy nobody needs is told, and so is an attack that proves nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from orchestrator.guard import verdict
from tests.attacks.cases import Case, cases
from tests.attacks.run import Run
from tests.attacks.stand_ins import POLICIES
from tests.attacks.test_world import WORLD
from tests.attacks.verdict import table

pytestmark = pytest.mark.timeout(120)  # a busy machine may take ten times as long as a free one

TWIN = replace(WORLD, side="twin", entries=[{"tool": "notes.add", "at_most": 1}])
STOPPED = Case(id="stopped", class_="budget.number", stopped_by=("budget",), attack=WORLD, twin=TWIN)
ANYWAY = replace(STOPPED, id="anyway", attack=replace(WORLD, entries=[{"tool": "notes.add"}]), stopped_by=("rate",))
NEVER = replace(STOPPED, id="never", attack=replace(WORLD, entries=[{"tool": "mail.send"}]))


def test_a_planted_attack_is_seen_to_get_through_and_its_policy_to_be_needed() -> None:
    said: list[str] = []
    with ThreadPoolExecutor(1) as one:
        run = Run(one, said.append)
        found = run.judged([STOPPED, ANYWAY])
        assert [(case.attack, case.twin) for case in found] == [("stopped", "acted"), ("through", "acted")]
        assert [case.attack for case in run.judged([STOPPED], without=["budget"])] == ["through"]
        needed = {policy: case for policy, case in run.mutations([STOPPED, ANYWAY]) if case}
        assert needed == {"budget": "stopped"}  # what gets through anyway shows nothing
    assert [line.split() for line in table(found)][1] == ["budget", "2", "1", "1", "0", "0", "2", "0", "0", "0"]


def test_every_policy_of_the_guard_is_left_out_in_turn_and_has_attacks_that_name_it() -> None:
    known = {getattr(policy, "__name__", "") for policy in verdict.POLICIES} | {"masks", "own"}
    assert known == set(POLICIES)
    named = {word for case in cases() for word in case.stopped_by}
    assert set(POLICIES) <= named


def test_an_attack_that_gets_through_nowhere_proves_nothing() -> None:
    with ThreadPoolExecutor(1) as one:
        found = {case.id: played.end for case, played in Run(one, print).emptied([STOPPED, NEVER])}
    assert found == {"stopped": "holds", "never": "not"}
