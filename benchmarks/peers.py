"""What `turns.py` measures beside MDL: the floor that SQLite sets, and LangGraph's SqliteSaver. Judges nothing.

The floor writes the bytes of a turn's three records and does nothing else: three commits a turn one at a time, or one
commit for all keys' turns together. LangGraph runs four nodes that do nothing, with the durability it comes with.
"""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TypedDict

from durable_turns import WARM, Sample, Stopwatch, closed_loop
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from orchestrator.doors.event_loop import new_event_loop

_NODES = ("orient", "decide", "guard", "act")


def floor(folder: Path, *, keys: int, turns: int, records: Sequence[int]) -> Sample:
    """Measure commits of records of these sizes, as SQLite takes them with WAL and `synchronous=FULL`."""
    path, bodies = folder / "floor.db", [os.urandom(size) for size in records]
    groups = [[(body,)] for body in bodies] if keys == 1 else [[(body,) for body in bodies] * keys]
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE records (position INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        with Stopwatch() as watch:
            while len(watch.latencies) < turns:
                began = perf_counter()
                for group in groups:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.executemany("INSERT INTO records (body) VALUES (?)", group)
                    connection.execute("COMMIT")
                watch.latencies += [perf_counter() - began] * keys
    finally:
        connection.close()
    return watch.sample(path)


def langgraph(folder: Path, *, keys: int, turns: int) -> Sample:
    """Measure LangGraph: SqliteSaver for one key, AsyncSqliteSaver for several at once. A thread is one turn."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_langgraph(folder, keys=keys, turns=turns))


async def _langgraph(folder: Path, *, keys: int, turns: int) -> Sample:
    path = folder / "langgraph.db"
    if keys == 1:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            graph = _graph(saver)

            async def turn(key: str, number: int) -> None:
                graph.invoke(_order(key, number), {"configurable": {"thread_id": f"{key}-{number}"}})

            watch = await closed_loop(turn, keys=keys, turns=turns)
    else:
        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            graph = _graph(saver)

            async def turn(key: str, number: int) -> None:
                await graph.ainvoke(_order(key, number), {"configurable": {"thread_id": f"{key}-{number}"}})

            watch = await closed_loop(turn, keys=keys, turns=turns)
    return watch.sample(path, more=WARM)


class _State(TypedDict):
    order: str
    customer: str
    amount: float
    currency: str
    items: int
    noted: str


def _graph(saver: BaseCheckpointSaver[str]) -> CompiledStateGraph[_State]:
    graph = StateGraph(_State)
    for name in _NODES:
        graph.add_node(name, _nothing)
    for one, following in zip((START, *_NODES), (*_NODES, END), strict=True):
        graph.add_edge(one, following)
    return graph.compile(checkpointer=saver)


def _nothing(state: _State) -> dict[str, str]:
    return {"noted": state["order"]}


def _order(key: str, number: int) -> _State:
    return _State(order=f"{key}-{number}", customer=key, amount=120.5, currency="EUR", items=3, noted="")
