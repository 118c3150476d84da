"""Each limit of a goal and of [policy]: what it holds back, what it lets through, and that nothing makes it forget."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.errors import SettingsError
from orchestrator.guard.own import guarded, own_policy
from orchestrator.guard.policy import Case
from orchestrator.guard.quiet import within
from orchestrator.guard.verdict import POLICIES
from orchestrator.journal.state import Past, Stop
from orchestrator.limits import Budget, Cooldown, Quiet, Rate, Repeat, Rules, SharedBudget
from orchestrator.situations import counted
from orchestrator.types import Blast, Call, Grant, Json, May, Refusal, SinkKind
from tests.guard.desk import NOW, Desk, a_goal, said
from tests.loops import event

# ---------------------------------------------------------------- the kill switch


def test_what_is_stopped_may_do_nothing_and_says_who_stopped_it() -> None:
    desk = Desk()
    desk.state.stopped = {"g": Stop("ann", 0.0)}
    (refusal,) = desk.judge(("t.act", {}))
    assert isinstance(refusal, Refusal)
    assert (refusal.policy, refusal.reason) == ("stop", "ann stopped `g`; `mdl start g` ends that")
    desk.state.stopped = {"all": Stop("ann", 0.0)}
    assert desk.one() == "stop"
    desk.state.stopped = {"another": Stop("ann", 0.0)}
    assert desk.one() == "grant"


# ---------------------------------------------------------------- budgets


def test_goals_of_one_owner_share_a_budget_also_within_one_turn() -> None:
    shared = SharedBudget(owner="support", actions=3)
    desk = Desk(*(a_goal(id_, owner="support") for id_ in ("a", "b")), a_goal("c"), rules=Rules(budgets=(shared,)))
    first = desk.judge(("t.act", {}), goals=("a", "b", "c"))
    then = desk.judge(("t.act", {}), goals=("a", "b", "c"), at=60)
    assert [said(one) for one in (*first, *then)] == ["grant", "grant", "grant", "grant", "budget", "grant"]
    assert said(desk.judge(("t.act", {}), goals=("b",), at=86_401)[0]) == "grant"


def test_a_shared_budget_counts_only_the_tools_it_names() -> None:
    desk = Desk(rules=Rules(budgets=(SharedBudget(tool="pay.*", usd=0.1),)))
    assert [desk.one("pay.a"), desk.one("pay.b"), desk.one("mail.send")] == ["grant", "budget", "grant"]


def test_a_sum_adds_up_what_an_argument_says_on_both_sides_of_zero() -> None:
    desk = Desk(a_goal(budget=Budget(sum={"amount": 100.0})))
    assert [desk.one(amount=60), desk.one(amount=-30), desk.one(amount=20)] == ["grant", "grant", "budget"]
    assert desk.one(amount=10) == "grant"
    assert desk.one(amount=0.01) == "budget"


@pytest.mark.parametrize("amount", ["5", True, None, [5], {"n": 5}])
def test_a_sum_of_what_is_no_number_is_refused(amount: Json) -> None:
    assert Desk(a_goal(budget=Budget(sum={"amount": 100.0}))).one(amount=amount) == "budget"


def test_an_action_without_the_argument_adds_nothing_to_a_sum() -> None:
    assert Desk(a_goal(budget=Budget(sum={"amount": 0.0}))).one(text="hi") == "grant"


def test_one_plan_adds_up_all_its_actions() -> None:
    desk = Desk(a_goal(budget=Budget(sum={"amount": 100.0})))
    verdicts = desk.judge(*(("pay.transfer", {"amount": 40.0}) for _ in range(3)))
    assert [said(verdict) for verdict in verdicts] == ["grant", "grant", "budget"]


def test_a_new_version_and_a_removal_give_no_budget_back() -> None:
    desk = Desk(a_goal(budget=Budget(actions=1)))
    assert desk.one() == "grant"
    desk.set(a_goal(text="other words", budget=Budget(actions=1, per="12h")), version=2)
    assert desk.one(at=60) == "budget"
    removed = desk.state.goals.pop("g")
    desk.state.counts.turns = 4095
    desk.set(a_goal("h"))
    desk.judge(("t.act", {}), goals=("h",), at=3600)  # this one sweeps
    desk.state.goals["g"] = removed
    assert desk.one(at=7200) == "budget"


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("from_", "until", "at", "quiet"),
    [
        ("22:00", "06:00", "22:00", True),
        ("22:00", "06:00", "23:59", True),
        ("22:00", "06:00", "00:00", True),
        ("22:00", "06:00", "05:59", True),
        ("22:00", "06:00", "06:00", False),
        ("22:00", "06:00", "21:59", False),
        ("12:00", "13:00", "12:30", True),
        ("12:00", "13:00", "13:00", False),
        ("12:00", "13:00", "11:59", False),
    ],
)
def test_quiet_hours_begin_and_end_with_the_minute_and_run_over_midnight(
    from_: str, until: str, at: str, *, quiet: bool
) -> None:
    assert within(Quiet(from_=from_, until=until), at) is quiet


def test_quiet_hours_are_those_of_their_zone_and_let_through_what_they_name() -> None:
    desk = Desk(rules=Rules(quiet=Quiet(from_="09:00", until="10:00", tz="Europe/Berlin", but=("mail.*",))))
    assert (desk.one("t.act"), desk.one("mail.send")) == ("quiet", "grant")  # 08:00 UTC
    assert desk.one("t.act", at=3600) == "grant"


def test_a_goals_own_quiet_hours_add_to_those_of_all() -> None:
    rules = Rules(quiet=Quiet(from_="08:00", until="08:01"))
    desk = Desk(a_goal(quiet=Quiet(from_="03:00", until="03:01")), rules=rules)
    assert (desk.one(), desk.one(at=60), desk.one(at=19 * 3600)) == ("quiet", "grant", "quiet")


def test_a_key_is_left_alone_until_its_pause_is_over_whatever_the_subject() -> None:
    desk = Desk(a_goal(cooldown=Cooldown(key="args.id", pause="10m")))
    assert [desk.one(id="7"), desk.one(id="7", subject="other"), desk.one(id="8")] == ["grant", "cooldown", "grant"]
    assert [desk.one(id="7", at=599), desk.one(id="7", at=600)] == ["cooldown", "grant"]


def test_an_action_without_a_key_never_cools_down_and_is_refused() -> None:
    assert Desk(a_goal(cooldown=Cooldown(key="args.id", pause="10m"))).one() == "cooldown"


def test_one_plan_acts_on_a_key_once() -> None:
    desk = Desk(a_goal(cooldown=Cooldown(key="args.id", pause="10m")))
    assert [said(one) for one in desk.judge(("t.a", {"id": 1}), ("t.b", {"id": 1}))] == ["grant", "cooldown"]


# ---------------------------------------------------------------- repetition and spelling


def test_calls_that_differ_in_numbers_and_case_alone_are_repetitions() -> None:
    desk = Desk(rules=Rules(repeat=Repeat(most=2, within="10m")))
    given = [
        desk.one(text=text, subject=text) for text in ("Reply no. 1", "reply NO. 27", "\uff52eply no. \uff13", "thanks")
    ]
    assert given == ["grant", "grant", "repeat", "grant"]
    assert desk.one("t.other", text="reply no. 4") == "grant"
    assert desk.one(text="reply no. 5", at=600) == "grant"


@pytest.mark.parametrize(
    "spelled",
    [
        "CUSTOMER/7",
        " customer/7 ",
        "customer\uff0f7",
        "customer/7\u200b",
        "\ufeffcustomer/7",
        "customer%2F7",
        "customer%252f7",
    ],
)
def test_two_spellings_of_a_subject_share_a_rate(spelled: str) -> None:
    desk = Desk(a_goal(rate=Rate(1, "1h")))
    assert (desk.one(subject="customer/7"), desk.one(subject=spelled)) == ("grant", "rate")
    assert desk.one(subject="customer/8") == "grant"


# ---------------------------------------------------------------- reach

NONE = ["blast"] * 3


def radius(most: int | str) -> Blast:
    return Blast(tool="acc.*", each="args.id", most=most, of=Call("crm.count") if isinstance(most, str) else None)


def test_only_so_many_different_things_are_reached_and_the_same_again_counts_once() -> None:
    desk = Desk(a_goal(blast=(radius(2),)))
    given = [desk.one("acc.freeze", id=id_) for id_ in ("a", "a", "b", "c", "a")]
    assert given == ["grant", "grant", "grant", "blast", "grant"]
    assert desk.one("mail.send", id="c") == "grant"
    assert desk.one("acc.freeze", id="c", at=86_400) == "grant"


@pytest.mark.parametrize(
    ("counted", "given"),
    [
        ((40.0,), ["grant", "grant", "blast"]),
        ((19.0,), NONE),
        (("crm is down",), NONE),
        ((), NONE),
    ],
)
def test_a_share_is_of_what_there_is_and_nothing_where_nobody_can_tell(
    counted: tuple[float | str, ...], given: list[str]
) -> None:
    desk = Desk(a_goal(blast=(radius("5%"),)))
    calls = [desk.judge(("acc.freeze", {"id": id_}), counted=counted) for id_ in "abc"]
    assert [said(verdicts[0]) for verdicts in calls] == given


def test_one_plan_reaches_no_further_than_many() -> None:
    desk = Desk(a_goal(blast=(radius(1),)))
    assert [said(one) for one in desk.judge(("acc.a", {"id": 1}), ("acc.b", {"id": 2}))] == ["grant", "blast"]


# ---------------------------------------------------------------- owners, dry-run, history


def test_a_goal_may_call_no_more_than_its_owner() -> None:
    rules = Rules(owners={"support": ("mail.*",)})
    desk = Desk(a_goal(owner="support"), a_goal("h", owner="sales"), rules=rules)
    assert (desk.one("mail.send"), desk.one("pay.transfer")) == ("grant", "owners")
    assert said(desk.judge(("pay.transfer", {}), goals=("h",))[0]) == "grant"


@pytest.mark.parametrize(
    ("goal", "rules"),
    [({"dry_run": True}, Rules()), ({}, Rules(dry_run=True)), ({}, Rules(dry=("t.act",)))],
)
def test_in_dry_run_nothing_is_called_nobody_asked_and_nothing_spent(goal: dict[str, Json], rules: Rules) -> None:
    desk = Desk(a_goal(approve=("t.act",), **goal), rules=rules)
    assert desk.one() == "dry_run"
    assert not desk.state.spent


def test_may_reads_what_the_goal_did_before_also_in_the_same_plan() -> None:
    once = May("pay.transfer", "!history.exists(h, h.args.to == args.to) && goal.id == 'g'")
    desk = Desk(a_goal(may=(once,)))
    assert [desk.one("pay.transfer", to="a"), desk.one("pay.transfer", to="a")] == ["grant", "grants"]
    plan = desk.judge(("pay.transfer", {"to": "b"}), ("pay.transfer", {"to": "b"}))
    assert [said(one) for one in plan] == ["grant", "grants"]
    assert desk.one("pay.transfer", to="a", at=86_400) == "grant"


def test_history_holds_at_most_a_thousand() -> None:
    desk = Desk(a_goal(may=(May("t.act", "size(history) <= 1000"),), rate=Rate(10_000)))
    past = [Past(action=str(n), tool="t.act", args={"n": n}, subject=None, at=NOW) for n in range(1000)]
    desk.state.histories["g"] = past
    assert [desk.one(n=1000), desk.one(n=1001)] == ["grant", "grant"]
    assert [one.args["n"] for one in desk.state.histories["g"]] == list(range(2, 1002))


# ---------------------------------------------------------------- policies of one's own


def raising(case: Case) -> Refusal | None:
    raise ZeroDivisionError(case.action.tool)


def widening(case: Case) -> Refusal | None:
    return Grant(action=case.action)  # pyright: ignore[reportReturnType]  what a wrong function may give


def refusing(case: Case) -> Refusal | None:
    another = replace(case.action, id="another", tool="x.y")
    return Refusal(action=another, kind="deny", policy="mine", reason="not today", numbers={"n": 1})


def smuggling(case: Case) -> Refusal | None:
    case.action.arguments["to"] = "attacker"
    case.decision.actions[0].arguments["to"] = "attacker"
    case.event.data["to"] = "attacker"


@pytest.mark.parametrize("function", [raising, widening, refusing])
def test_what_a_policy_of_ones_own_gives_but_none_refuses(function: Callable[[Case], Refusal | None]) -> None:
    desk = Desk(policies=(*POLICIES, guarded("p.py:f", function)))
    (refusal,) = desk.judge(("t.act", {}))
    assert isinstance(refusal, Refusal)
    assert (refusal.policy, refusal.action.tool) == ("own", "t.act")


def test_a_policy_of_ones_own_changes_nothing_of_what_it_is_shown() -> None:
    desk = Desk(policies=(*POLICIES, guarded("p.py:f", smuggling)))
    (grant,) = desk.judge(("t.act", {"to": "me"}), data={"to": "me"})
    assert isinstance(grant, Grant)
    assert grant.action.arguments == {"to": "me"}


def test_a_policy_is_read_from_its_file(tmp_path: Path) -> None:
    tmp_path.joinpath("mine.py").write_text("def never(case):\n    return 1 / 0\n", encoding="utf-8")
    assert Desk(policies=(own_policy("mine.py:never", tmp_path),)).one() == "own"


@pytest.mark.parametrize(
    ("text", "name", "said_"),
    [
        ("", "mine.py:never", "has no function `never`"),
        ("1 / 0", "mine.py:never", "cannot be loaded: ZeroDivisionError"),
        ("", "other.py:never", "there is no Python file"),
    ],
)
def test_a_policy_that_cannot_be_read_is_said_before_anything_starts(
    tmp_path: Path, text: str, name: str, said_: str
) -> None:
    tmp_path.joinpath("mine.py").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said_):
        own_policy(name, tmp_path)


async def test_the_call_of_a_blast_radius_is_held_to_its_sinks_as_a_let_is() -> None:
    asked: list[Call] = []

    async def read(call: Call) -> Json:
        asked.append(call)
        return {"value": 40}

    of = Call("db.count", {"q": "='select count(*) as value from t where shop = ' + event.data.id"})
    sinks: dict[str, Mapping[str, SinkKind]] = {"db.count": {"q": "sql"}}
    goal = a_goal(blast=(Blast(tool="t.act", each="args.id", most="5%", of=of),))
    happened = event("1", data={"id": "1; drop table t"})
    (told,) = await counted(goal, happened, read, sinks=sinks.get)
    assert "`q` is a sink (sql)" in str(told)
    assert asked == []
    assert await counted(goal, happened, read) == (40.0,)


async def test_the_call_of_a_blast_radius_is_one_that_the_goals_owner_may_make() -> None:
    asked: list[Call] = []

    async def read(call: Call) -> Json:
        asked.append(call)
        return {"value": 40}

    goal = a_goal(owner="o", blast=(Blast(tool="t.act", each="args.id", most="5%", of=Call("db.count")),))
    (told,) = await counted(goal, event("1"), read, rules=Rules(owners={"o": ("t.*",)}))
    assert told == "goals of `o` may call `t.*`, not `db.count`; see [owners.o]"
    assert asked == []
    assert await counted(goal, event("1"), read, rules=Rules(owners={"o": ("db.*",)})) == (40.0,)
