import pytest

from orchestrator.clock import utc
from orchestrator.guard.masks import masks
from orchestrator.guard.policy import Case
from orchestrator.guard.repeat import likeness
from orchestrator.guard.verdict import POLICIES
from orchestrator.journal.state import account
from orchestrator.limits import Repeat, Rules
from orchestrator.masking.mask import mask
from orchestrator.types import Action, Decision, Event, GoalVersion, Grant, Json, Refusal, Situation
from tests.guard.desk import Desk, a_goal

KEY = b"k" * 64
BOB, ANN = (mask(f"{name}@shop.example", "email", key=KEY) for name in ("bob", "ann"))


def test_an_action_holds_only_masks_that_its_event_or_its_goal_holds() -> None:
    desk = Desk(a_goal(text=f"Tell {ANN} all."), policies=(masks, *POLICIES))
    data = {"who": [BOB], "head": BOB[:20], "tail": BOB[20:]}
    for argument, seen, verdict in (
        (BOB, data, Grant),
        ([{"to": f"for {BOB}"}], data, Grant),
        (ANN, None, Grant),
        ("no mask", None, Grant),
        (BOB[:-1], None, Grant),
        (BOB, {"who": [BOB[:-1], BOB.upper()]}, Refusal),
        (BOB, {"head": BOB[:20], "tail": BOB[20:]}, Refusal),
        ({"deep": [BOB]}, None, Refusal),
    ):
        (found,) = desk.judge(("t.act", {"to": argument}), data=seen)
        assert isinstance(found, verdict), (argument, seen, found)
        if isinstance(found, Refusal):
            assert (found.policy, found.numbers) == ("masks", {"masks": 1, "strange": 1})


@pytest.mark.parametrize(
    ("type_", "status", "verdict"),
    [
        ("dev.mdl.action.refused", "refused", "masks"),
        ("dev.mdl.goal.clarify", None, "masks"),
        ("dev.mdl.action.succeeded", "succeeded", None),
        ("dev.mdl.approval.requested", "waiting", None),
        ("shop.refused", "refused", None),
    ],
)
def test_what_the_loop_reports_of_a_refusal_makes_no_mask_whole(
    type_: str, status: str | None, verdict: str | None
) -> None:
    data: Json = {"status": status, "arguments": {"to": BOB}, "error": BOB}
    event = Event(id="e", source="s", type=type_, time=utc(0), subject=ANN, data=data)
    goal = GoalVersion(goal=a_goal(), version=1, home="journal")
    said = [masks(_asked(mask_, event, goal)) for mask_ in (BOB, ANN)]
    assert [one and one.policy for one in said] == [verdict, None]


def _asked(argument: Json, event: Event, goal: GoalVersion) -> Case:
    action = Action.of(event, goal.name, step="0", tool="t.act", arguments={"to": argument})
    return Case(action, Decision(goal=goal.name, verdict="act", actions=(action,)), goal, event, Situation(now=0.0))


def test_two_spellings_of_a_subject_share_a_rate_behind_masks_too() -> None:
    one, other, far = (
        f"to {mask(value, 'email', key=KEY)}"
        for value in ("bob@shop.example", "BOB@shop.example ", "bob2@shop.example")
    )
    assert account("g", one) == account("g", other) != account("g", far)
    assert account("g", "customer/5") == "g\ncustomer/5"


def test_calls_that_differ_in_digits_behind_masks_are_near_duplicates() -> None:
    def like(value: Json) -> str:
        made = mask(value, "phone", key=KEY)
        return likeness("g", Action(id="a", goal="g@1", step="0", tool="t", arguments={"to": made}))

    assert like("+49 30 901820") == like("+49 30 901821") != like("+49 (30) 901820")
    desk = Desk(rules=Rules(repeat=Repeat(most=2, within="10m")))
    numbers = (mask(f"+49 30 90182{n}", "phone", key=KEY) for n in range(3))
    assert [desk.one(to=number) for number in numbers] == ["grant", "grant", "repeat"]
