"""What a crash left behind, on a real file: taken up exactly as the crash rule says, and nothing twice."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.errors import ToolMissing
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft, intent_draft, turn_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.testing import FakeToolbox, ManualClock, MemoryJournal
from orchestrator.types import Action, Decision, Judgement, Situation, Touch, Turn, Window
from tests.loops import (
    START,
    Held,
    Life,
    Tools,
    answer,
    call,
    change_goal,
    echo,
    emit,
    event,
    events,
    folded,
    goal,
    living,
    outcomes,
    plain,
    set_goals,
    turns,
    until,
    waiting,
)

ROOT = Path(__file__).parents[2]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PLAN = (call("t.first"), call("t.second"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[Journal]:
    async with SqliteJournal.open(path, clock=ManualClock()) as journal:
        yield journal


@asynccontextmanager
async def another(path: Path, tools: FakeToolbox) -> AsyncGenerator[tuple[Journal, Life]]:
    """The next life, once it has nothing left to do."""
    async with opened(path) as journal, living(journal, tools) as life:
        await life.idle()
        yield journal, life


async def test_an_announced_call_is_made_again_only_where_that_does_no_harm(path: Path) -> None:
    safe, unsafe = Held(), Held()
    async with opened(path) as journal:
        await set_goals(journal, goal("a", do=(call("t.safe"),)), goal("b", do=(call("t.unsafe"),)))
        async with living(journal, Tools(safe=safe, unsafe=unsafe)) as life:
            await emit(journal, event("1"))
            await asyncio.gather(safe.begun.wait(), unsafe.begun.wait())
            assert len(life.state.open) == 2

    safe, unsafe = Held(), Held()
    safe.open.set()
    async with another(path, Tools(("t.unsafe",), safe=safe, unsafe=unsafe)) as (journal, life):
        assert sorted(outcomes(journal)) == ["succeeded t.safe(1)", "unknown t.unsafe(1)"]
        assert (len(safe.calls), len(unsafe.calls)) == (1, 0)
        assert not life.state.open

    async with another(path, Tools()) as (journal, _):
        assert len(outcomes(journal)) == len(turns(journal)) + 1 == 2


async def test_a_plan_goes_on_at_the_step_that_was_cut_off(path: Path) -> None:
    second = Held()
    async with opened(path) as journal:
        await set_goals(journal, goal(do=(*PLAN, call("t.third"))))
        async with living(journal, Tools(first=echo, second=second, third=echo)):
            await emit(journal, replace(event("1"), traceparent=TRACE))
            await second.begun.wait()

    tools = Tools(first=echo, second=echo, third=echo)
    async with another(path, tools) as (journal, life):
        assert [grant.traceparent for grant in tools.calls] == [TRACE, TRACE]
        assert outcomes(journal) == ["succeeded t.first(1)", "succeeded t.second(1)", "succeeded t.third(1)"]
        assert plain(life.state) == plain(folded(journal))


class Unconfigured(FakeToolbox):
    """A toolbox whose server is not in the settings any more."""

    async def ready(self, names: Iterable[str] | None = None, *, timeout: float) -> bool:  # noqa: ASYNC109  Protocol
        raise ToolMissing(f"there is no server {names} within {timeout}")


@pytest.mark.promise("never-lies:unknown")
@pytest.mark.parametrize("offered", [Tools(), Unconfigured({})])
async def test_a_call_whose_tool_is_gone_has_an_unknown_outcome(path: Path, offered: FakeToolbox) -> None:
    held = Held()
    async with opened(path) as journal:
        await set_goals(journal, goal(do=(call("t.held"),)))
        async with living(journal, Tools(held=held)):
            await emit(journal, event("1"))
            await held.begun.wait()
    async with another(path, offered) as (journal, _):
        assert outcomes(journal) == ["unknown t.held(1)"]


async def test_an_approved_call_that_was_cut_off_is_made_for_the_event_it_was_planned_for(path: Path) -> None:
    held = Held()
    async with opened(path) as journal:
        await set_goals(journal, goal(do=(call("t.held"),), approve=("t.held",)))
        async with living(journal, Tools(held=held)) as life:
            await emit(journal, event("1"))
            await life.idle()
            await answer(journal, own.APPROVAL_GRANTED, waiting(journal)[0])
            await held.begun.wait()
    async with another(path, Tools(held=echo)) as (journal, life):
        assert outcomes(journal) == ["succeeded t.held(1)"]
        assert events(journal, own.SUCCEEDED)[0].correlationid == "1"
        assert len(turns(journal)) == 2
        assert not life.state.pending


async def test_a_refusal_that_was_decided_and_not_recorded_is_recorded() -> None:
    journal, one = MemoryJournal(), event("1")
    await set_goals(journal, goal())
    (stored,) = await journal.append([event_draft(one)])
    assert stored is not None
    action = Action.of(one, "g@1", step="0", tool="t.act", arguments={"id": "1"})
    judged = Judgement(action=action.id, situation=Situation(now=START), kind="deny", policy="rate", reason="too many")
    decision = Decision(goal="g@1", verdict="act", actions=(action,))
    turn = Turn(
        event=stored.position, at=START, touches=(Touch(goal="g@1"),), decisions=(decision,), judgements=(judged,)
    )
    await journal.append([turn_draft(turn, one)])
    async with living(journal, Tools(act=echo)) as life:
        await life.idle()
    assert outcomes(journal) == ["refused t.act(1)"]


async def test_events_above_the_cursor_have_their_turn_exactly_once(path: Path) -> None:
    held = Held()
    async with opened(path) as journal:
        await set_goals(journal, goal(do=(call("t.held"),)), goal("h", on="easy", do=(call("t.act"),)))
        async with living(journal, Tools(held=held, act=echo)) as life:
            easy = [event(f"e{n}", type_="easy", subject=f"customer/{n}") for n in range(20, 40)]
            await emit(journal, event("1"), event("2"), event("3"), event("nothing", type_="x"), *easy)
            await until(lambda: len(outcomes(journal)) == 20)
            assert life.state.cursor < 3
    async with another(path, Tools(held=echo, act=echo)) as (journal, life):
        assert len(outcomes(journal)) == len(set(outcomes(journal))) == 23
        assert len(turns(journal)) == len({turn.event for turn in turns(journal)}) == 23
        assert [outcome for outcome in outcomes(journal) if "held" in outcome] == [
            f"succeeded t.held({n})" for n in (1, 2, 3)
        ]


async def test_a_goal_set_later_does_not_hear_of_events_that_a_crash_left_unfinished(path: Path) -> None:
    held = Held()
    async with opened(path) as journal:
        old, gone = goal("old", do=(call("t.held"),)), goal("gone", do=(call("t.gone"),), on="late")
        await set_goals(journal, old, gone)
        async with living(journal, Tools(held=held, act=echo), snapshot_every=1) as life:
            await emit(journal, event("1"), event("2"))
            await held.begun.wait()
            await set_goals(journal, goal("new", do=(call("t.act"),)))
            await set_goals(journal, goal("old", do=(call("t.act"),)), version=2)
            await change_goal(journal, own.GOAL_REMOVED, gone)
            await emit(journal, event("3", subject="customer/6"))
            await until(lambda: len(outcomes(journal)) == 2)
            assert life.state.cursor < 4
    async with another(path, Tools(held=echo, act=echo)) as (journal, _):
        assert outcomes(journal) == [*["succeeded t.act(3)"] * 2, "succeeded t.held(1)", "succeeded t.held(2)"]


async def test_a_window_that_fired_for_a_turn_nobody_made_fires_again(path: Path) -> None:
    held = Held()
    async with opened(path) as journal:
        window = Window(count=2, within="1h", once_within="1m", by="'all'")
        await set_goals(journal, goal("busy", on="busy", do=(call("t.held"),)), goal(window=window))
        async with living(journal, Tools(held=held, act=echo), drain="10ms") as life:
            await emit(journal, event("0", type_="busy"), event("1"), event("2"), event("3"))
            await held.begun.wait()
            await until(lambda: life.loop.backlog == 4)
            await life.stop()  # with a snapshot, and three turns that wait behind the first
            assert journal.snapshot() is not None
    async with another(path, Tools(held=echo, act=echo)) as (journal, life):
        assert outcomes(journal) == ["succeeded t.held(0)", "succeeded t.act(2)"]
        assert plain(life.state) == plain(folded(journal))


async def test_an_intent_that_was_recorded_beside_its_outcome_is_announced_once() -> None:
    journal, one = MemoryJournal(), event("1")
    await set_goals(journal, goal(do=PLAN))
    first, second = Held(), Held()
    async with living(journal, Tools(first=first, second=second)):
        await emit(journal, one)
        await first.begun.wait()
        first.open.set()
        await second.begun.wait()
    intents = journal.read(kind="intent")
    assert [record.id for record in intents] == list(folded(journal).open)
    assert (
        intents[0].body
        == intent_draft(
            Action.of(one, "g@1", step="1", tool="t.second", arguments={"id": "1"}), key=one.key, cause=2
        ).body
    )


# ---------------------------------------------------------------- kill -9

CHILD = """
import asyncio, os, sys
from pathlib import Path
from orchestrator.clock import SystemClock
from orchestrator.journal import own
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.types import Rate
from tests.loops import Tools, call, emit, event, goal, living, set_goals

path, ledger = Path(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

async def write(arguments):
    os.write(ledger, f"{arguments['id']}\\n".encode())
    os.fsync(ledger)
    return None

async def main():
    async with SqliteJournal.open(path, clock=SystemClock()) as journal:
        if not journal.head:
            await set_goals(journal, goal(rate=Rate(actions=10**6)))
        async with living(journal, Tools(act=write), clock=SystemClock(), snapshot_every=50) as life:
            await emit(journal, own.loop_event(own.LOOP_STARTED, at=SystemClock().now(), data={}))
            for n in range(journal.head, 1_000_000_000):
                await emit(journal, event(f"{n}/{os.getpid()}", subject=f"customer/{n % 7}"))
                os.write(1, b"%d/%d\\n" % (n, os.getpid()))

asyncio.run(main())
"""


def acknowledged_until_killed(path: Path, ledger: Path, after: int) -> list[str]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(ledger)], stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    with child, child.stdout as lines:
        told = [lines.readline() for _ in range(after)]
        os.kill(child.pid, signal.SIGKILL)
        told += lines.readlines()
    return [line.decode().strip() for line in told if line.endswith(b"\n")]


@pytest.mark.promise("never-loses:kill")
@pytest.mark.timeout(60)
async def test_killed_at_any_moment_every_acknowledged_event_is_decided_once_and_acted_on(tmp_path: Path) -> None:
    path, ledger = tmp_path / "journal.db", tmp_path / "ledger"
    told = [id_ for after in (40, 150, 90) for id_ in acknowledged_until_killed(path, ledger, after)]

    async def write(arguments: dict[str, object]) -> None:
        with ledger.open("a", encoding="utf-8") as lines:
            lines.write(f"{arguments['id']}\n")

    async with SqliteJournal.open(path, clock=ManualClock()) as journal, living(journal, Tools(act=write)) as life:
        await life.idle()
        shops = [one.id for one in events(journal, "shop.")]
        assert set(told) <= set(shops)
        assert sorted(outcomes(journal)) == sorted(f"succeeded t.act({id_})" for id_ in shops)
        assert sorted(turn.event for turn in turns(journal)) == [
            record.position for record in journal.read(limit=100_000, kind="event") if record.type == "shop.order"
        ]
        assert plain(life.state) == plain(folded(journal))
        assert not life.state.parked
    written = ledger.read_text(encoding="utf-8").split()
    assert set(written) == set(shops)
    assert len(written) <= len(shops) + 3 * 7  # at most what ran at each of the three deaths was done once more
    with SqliteReader(path) as reader:
        assert verify(path).records == reader.head


DYING = """
import os, sqlite3, sys
from functools import partial
from pathlib import Path
from orchestrator.journal import schema

class Dying(sqlite3.Connection):
    def execute(self, statement, *more):
        if statement == "DIE":
            os.abort()
        return super().execute(statement, *more)

schema.sqlite3.connect = partial(sqlite3.connect, factory=Dying)
schema.STEPS = (*schema.STEPS, ("CREATE TABLE tomorrow (x)", "DELETE FROM records", "DIE"))
schema.FORMAT = len(schema.STEPS)
schema.open_to_write(Path(sys.argv[1]))
"""


def dies_while_it_migrates(path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", DYING, str(path)], cwd=ROOT, check=False, stderr=subprocess.DEVNULL)
    assert child.returncode == -signal.SIGABRT


async def test_killed_while_the_format_is_migrated_the_journal_is_as_it_was(path: Path) -> None:
    async with opened(path) as journal:
        await set_goals(journal, goal())
        await emit(journal, event("1"))
    dies_while_it_migrates(path)
    async with another(path, Tools(act=echo)) as (journal, _):
        assert outcomes(journal) == ["succeeded t.act(1)"]


async def test_a_damaged_snapshot_only_makes_the_start_longer(path: Path) -> None:
    async with opened(path) as journal:
        await set_goals(journal, goal())
        async with living(journal, Tools(act=echo)) as life:
            await emit(journal, event("1"))
            await life.idle()
            await life.stop()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE snapshots SET body = substr(body, 1, length(body) / 2)")
    other.close()
    async with another(path, Tools(act=echo)) as (journal, life):
        assert outcomes(journal) == ["succeeded t.act(1)"]
        assert plain(life.state) == plain(folded(journal))
