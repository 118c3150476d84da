"""How `mdl top` looks: one look at a loop as a picture of 80 columns, or of fewer. Asks nothing."""

from collections.abc import Mapping

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.doors.show import plain
from orchestrator.figures import Figures

_ALL = 1_000_000
_ENOUGH = 72
_FIXED = 18  # lines beside those of goals and tools


class Rates(Struct, frozen=True, kw_only=True):
    """Events, turns, and actions by status, per second, over the last `seconds`; 0 of them for the first look."""

    seconds: float
    events: float
    turns: float
    actions: dict[str, float]


class View(Struct, frozen=True):
    """One look: how fast a loop is, and what it says of itself."""

    rates: Rates
    figures: Figures


def picture(view: View, *, width: int, rows: int = _ALL) -> RenderableType:
    """A look as tables, beside each other where `width` columns are enough, with so many goals and tools at most."""
    found, narrow = view.figures, width < _ENOUGH
    tables = _stages(found), _goals(found, rows), _tools(found, rows)
    below = Group(tables[0], "", tables[1], "", tables[2]) if narrow else _beside(*tables)
    return Group(_title(view), _counts_below(view) if narrow else _counts(view), "", _facts(found), "", below)


def lines(height: int) -> int:
    """How many goals, and as many tools, there is room for on a terminal of so many lines."""
    return max((height - _FIXED) // 2, 1)


def _beside(stages: Table, goals: Table, tools: Table) -> Table:
    shown = Table.grid(padding=(0, 3, 0, 0))
    shown.add_column(no_wrap=True)
    shown.add_column()
    shown.add_row(stages, Group(goals, "", tools))
    return shown


def _title(view: View) -> Text:
    totals, (minutes, seconds) = view.figures.totals, divmod(int(view.figures.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    title = Text("MDL", style="bold", no_wrap=True, overflow="ellipsis")
    title.append(f"  up {hours}:{minutes:02}:{seconds:02}, {totals.goals} goals, {totals.paused} paused", style="dim")
    if view.rates.seconds:
        title.append(f", rates over {view.rates.seconds:.0f} s", style="dim")
    return title


def _counts(view: View) -> Table:
    named = _counted(view)
    shown = _table("", *(name for name, _, _ in named))
    shown.add_row("per second", *(fast for _, fast, _ in named))
    shown.add_row("in all", *(count for _, _, count in named))
    return shown


def _counts_below(view: View) -> Table:
    shown = _table("", "per second", "in all")
    for name, fast, count in _counted(view):
        shown.add_row(name, fast, count)
    return shown


def _counted(view: View) -> list[tuple[str, str, str]]:
    """Name, how many a second, how many in all."""
    rates, totals = view.rates, view.figures.totals
    fast = {"events": rates.events, "turns": rates.turns, **rates.actions}
    counts = {"events": totals.events, "turns": totals.turns, **totals.actions}
    return [(name, f"{fast[name]:.1f}" if rates.seconds else "-", str(count)) for name, count in counts.items()]


def _facts(found: Figures) -> Table:
    totals, queues = found.totals, found.queues
    shown = Table.grid(padding=(0, 2, 0, 0))
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    oldest = f", the oldest {found.lag:.1f} s old" if found.backlog else ""
    turns = f"turns: {queues.lanes} wait, {queues.running} run"
    for name, text in {
        "backlog": f"{found.backlog} records{oldest}",
        "queues": f"{turns}; in the line: {queues.line} events; to commit: {found.writer} records",
        "waiting": f"for leave: {totals.waiting}; outcome unknown: {totals.held}; turns parked: {totals.parked}",
        "decided by": _listed(totals.decided_by),
        "refused by": _listed(totals.refusals) or "nobody",
        **_troubled(found),
        "sources": _sources(found.sources),
    }.items():
        shown.add_row(name, plain(text))
    return shown


def _troubled(found: Figures) -> dict[str, str]:
    """The tools and servers that are left alone, and those whose calls wait; no line where there are none."""
    broken = [f"{name} is {one.state}" for name, one in sorted(found.circuits.items()) if one.state != "closed"]
    full = [f"{name}: {one.waiting} wait for {one.running}" for name, one in found.busy.items() if one.waiting]
    return {name: "; ".join(said) for name, said in (("breakers", broken), ("at once", full)) if said}


def _sources(sources: Mapping[str, str | None]) -> str:
    troubles = [f"{source}: {trouble}" for source, trouble in sources.items() if trouble]
    well = len(sources) - len(troubles)
    return "; ".join([*troubles, f"{well} well"]) if sources else "none is pulled"


def _stages(found: Figures) -> Table:
    shown = _table("stage", "p50 ms", "p99 ms")
    for stage, latency in sorted(found.latency_ms.items()):
        shown.add_row(_name(stage), f"{latency.p50:.2f}", f"{latency.p99:.2f}")
    return shown


def _goals(found: Figures, rows: int) -> Table:
    shown = _table("goal", "fired", "near misses")
    ranked = sorted(found.progress.items(), key=lambda one: (-one[1].fired - one[1].near_misses, one[0]))
    for name, stats in ranked[:rows]:
        shown.add_row(_name(name), str(stats.fired), str(stats.near_misses))
    return _cut(shown, len(ranked) - rows)


def _tools(found: Figures, rows: int) -> Table:
    shown = _table("tool", "calls", "failures", "mean ms")
    ranked = sorted(found.tools.items(), key=lambda one: (-one[1].calls, one[0]))
    for name, stats in ranked[:rows]:
        shown.add_row(_name(name), str(stats.calls), str(stats.failures), f"{stats.seconds * 1000:.2f}")
    return _cut(shown, len(ranked) - rows)


def _cut(shown: Table, more: int) -> Table:
    if more > 0:
        shown.add_row(Text(f"and {more} more", style="dim"))
    return shown


def _table(first: str, *numbers: str) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column(Text(first, no_wrap=True))  # gives way first, where columns are scarce
    for name in numbers:
        shown.add_column(name, justify="right", no_wrap=True)
    return shown


def _name(text: str) -> Text:
    return Text(plain(text), no_wrap=True, overflow="ellipsis")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)
