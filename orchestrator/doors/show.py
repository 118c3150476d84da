"""How values look in a terminal: tables, trees, one line an event; or all of it as JSON. Asks and changes nothing."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from orchestrator.clock import utc
from orchestrator.explain.explanation import Explanation, Node
from orchestrator.journal import own
from orchestrator.journal.drafts import event_of
from orchestrator.types import Json, Record

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)  # ids and texts come from anywhere
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_WIDE = 10_000
_COLOURS = {
    "acted": "green",
    "succeeded": "green",
    "active": "green",
    "up": "green",
    "stopped": "yellow",
    "refused": "yellow",
    "waiting": "yellow",
    "clarify": "yellow",
    "unknown": "magenta",
    "failed": "red",
    "down": "red",
    "not": "dim",
    "paused": "dim",
    "removed": "dim",
}


def as_json(value: Any) -> None:
    """Print a value as indented JSON, nothing else."""
    print(json.dumps(msgspec.to_builtins(value, enc_hook=str, str_keys=True), indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[Json]], *, empty: str) -> None:
    """Print rows under columns, or one sentence when there are none."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(value) for value in row))
    if shown.row_count:
        _tables().print(shown)
    else:
        console.print(empty)


def facts(values: Mapping[str, Json]) -> None:
    """Print names and values below each other."""
    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for name, value in values.items():
        shown.add_row(name, _cell(value))
    _tables().print(shown)


def explanation(found: Explanation) -> None:
    """Print an explanation as a tree; what was asked about stands out."""
    path = [*found.because, found.node]
    root = branch = Tree(_line(path[0], asked=len(path) == 1), guide_style="dim")
    for node in path[1:]:
        branch = branch.add(_line(node, asked=node is found.node))
    _grow(branch, found.node)
    _tables().print(root)


def plain(text: str) -> str:
    """A text without control characters: what others wrote must not speak to the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def record_line(record: Record) -> Text:
    """One record on one line: position, time, type, subject, id."""
    line = Text(f"{record.position:>7} ", style="dim")
    line.append(utc(record.at).strftime("%H:%M:%S.%f")[:-3], style="dim")
    line.append(f" {record.kind:<6} ", style="cyan" if record.kind == "event" else "blue")
    line.append(plain(record.type) or "-", style="bold")
    line.append(f" {plain(record.key)}" if not record.key.endswith(f"#{record.id}") else "")
    line.append(f" {_about(record)}", style="dim")
    return line


def _about(record: Record) -> str:
    if not record.body:
        return f"{plain(record.id[:40])} (its body is gone)"
    if record.type == own.TURN_PARKED:
        return plain(f"#{event_of(record).data['position']} {event_of(record).data['reason']}")
    if record.kind != "event" or not record.type.startswith((own.ACTION, own.APPROVAL_REQUESTED)):
        return plain(record.id[:40])
    data = msgspec.convert(event_of(record).data, own.ActionData)
    return plain(" ".join(part for part in (data.action[:12], data.goal, data.tool, data.error) if part))


def _tables() -> Console:
    shown = Console(highlight=False, markup=False, emoji=False)
    if not shown.is_terminal:
        shown.width = _WIDE  # nothing wraps what a program reads
    return shown


def _grow(branch: Tree, node: Node) -> None:
    for child in node.children:
        _grow(branch.add(_line(child)), child)


def _line(node: Node, *, asked: bool = False) -> Text:
    line = Text()
    if node.position:
        line.append(f"#{node.position} ", style="dim")
    line.append(plain(node.text), style=_COLOURS.get(node.state, ""))
    if node.kind == "action" and node.id:
        line.append(f"  {node.id[:12]}", style="dim")
    if asked:
        line.stylize("bold")
    for name, value in node.facts.items():
        if name in _SHOWN and value:
            line.append(f"\n{name}: {_cell(value)}", style="dim")
    return line


_SHOWN = ("let", "numbers", "candidates", "lineage")


def _cell(value: Json) -> Text | str:
    match value:
        case None:
            return "-"
        case str():
            return Text(plain(value), style=_COLOURS.get(value, ""))
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case int():
            return str(value)
        case Text():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)
