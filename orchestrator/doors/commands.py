"""The commands of `mdl` that are one word. Each opens a session, makes one call, and shows what came back."""

import json as _json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.doors.app import DEFAULT, AsJson, Config, app, run, told
from orchestrator.errors import EventError

if TYPE_CHECKING:
    from orchestrator.journal.state import Held, Pending

_BATCH = 256
Id = Annotated[str, typer.Argument(help="An id, or its first characters.")]


@app.command()
def init(config: Config = DEFAULT) -> None:
    """Write a first mdl.toml, with one webhook and one goal to try."""
    from orchestrator.doors import show
    from orchestrator.doors.starter import write

    with told():
        write(config)
    show.console.print(f'Wrote {config}. Now: `mdl run`, and beside it `mdl emit hello --data \'{{"name": "you"}}\'`.')


@app.command("run")
def run_(
    config: Config = DEFAULT,
    *,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no turns, only warnings.")] = False,
) -> None:
    """Run the loop until it is stopped (Ctrl-C or SIGTERM)."""
    from orchestrator.doors.running import run_forever

    run(lambda: run_forever(config, quiet=quiet))


@app.command()
def demo(
    *,
    seed: Annotated[int, typer.Option(help="Changes values and timing.")] = 1,
    seconds: Annotated[float, typer.Option(help="How long the producers run.", min=0, max=600)] = 12.0,
    folder: Annotated[Path, typer.Option(help="Where the demo's files are put.")] = Path("mdl-demo"),
    json: AsJson = False,
) -> None:
    """Run a shop, a market and a machine against the loop, and watch it decide."""
    from orchestrator.doors.demo import run_demo

    run(lambda: run_demo(folder, seed=seed, seconds=seconds, as_json=json))


@app.command()
def emit(
    type_: Annotated[
        str, typer.Argument(metavar="TYPE", help="Event type; `-` reads CloudEvents as JSON lines from standard input.")
    ],
    config: Config = DEFAULT,
    *,
    data: Annotated[str, typer.Option(help="JSON.")] = "null",
    subject: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Its id; one seen before is not taken again.")] = None,
    source: Annotated[str, typer.Option(help="Where it comes from.")] = "mdl:emit",
    time: Annotated[datetime | None, typer.Option(help="When it happened, UTC; left out: now.")] = None,
    json: AsJson = False,
) -> None:
    """Give the loop an event; it is durable when this returns, whether a loop runs or not."""
    from datetime import UTC

    from orchestrator.clock import SystemClock
    from orchestrator.doors import show
    from orchestrator.doors.lines import events_from
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, write=True) as here:
            if type_ == "-":
                events = list(events_from(sys.stdin.buffer, at=SystemClock().now()))
            else:
                at = time.replace(tzinfo=UTC) if time else None
                events = [here.event(type_, data=_value(data), subject=subject, id_=id_, source=source, time=at)]
            batches = [events[start : start + _BATCH] for start in range(0, len(events), _BATCH)]
            stored = [record for batch in batches for record in await here.control.emit(batch)]
        for event, record in zip(events, stored, strict=True):
            if json:
                print(
                    _json.dumps({"id": event.id, "position": record and record.position, "duplicate": record is None})
                )
            else:
                show.console.print(f"#{record.position} {event.id}" if record else f"known already: {event.id}")

    run(work)


@app.command()
def tail(
    config: Config = DEFAULT,
    *,
    n: Annotated[int, typer.Option("-n", help="How many records to begin with.", min=0)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as records come.")] = False,
    json: AsJson = False,
) -> None:
    """Show the newest records of the journal."""
    from orchestrator.doors import show
    from orchestrator.doors.lines import record_json
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config) as here:
            after = max(here.reader.head - n, 0)
            async for records in here.records(after=after, follow=follow):
                for record in records:
                    print(record_json(record), flush=True) if json else show.console.print(show.record_line(record))

    run(work)


@app.command()
def why(
    id_: Annotated[str, typer.Argument(metavar="ID", help="An event's id or #position, an action's id, or a goal.")],
    config: Config = DEFAULT,
    *,
    json: AsJson = False,
) -> None:
    """Explain why something happened, or why a goal did not fire."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config) as here:
            found = await here.explain(id_)
        show.as_json(found) if json else show.explanation(found)

    run(work)


@app.command()
def tools(config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """List every tool of every configured server: cost, latency, how it has done, its breaker, calls and sinks."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session
    from orchestrator.doors.tool_views import COLUMNS

    async def work() -> None:
        async with session(config) as here:
            listed = await here.tools()
        if json:
            show.as_json(listed)
            return
        rows, empty = [one.row for one in listed.tools], "No tool can be called; see [mcpServers] in mdl.toml."
        show.table(COLUMNS, rows, empty=empty)
        for line in filter(None, [server.line for server in listed.servers]):
            show.console.print(line, markup=False)

    run(work)


@app.command()
def status(config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """Show how the loop is: does it run, its backlog, its counts, what waits."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, anyhow=True) as here:
            found, goals = await here.status(), await here.goals()
        if json:
            show.as_json(found)
            return
        live = found.live or {}
        show.facts(
            {
                "loop": f"runs (pid {live['pid']}) at {live['url'] or 'no HTTP'}"
                if live
                else "does not run; `mdl run` starts it",
                "journal": f"{found.journal['path']}, {found.journal['head']} records, {found.journal['bytes']:,} bytes"
                + f"; bodies up to #{found.journal['trimmed']} are gone" * bool(found.journal["trimmed"])
                + f", records up to #{found.journal['gone']}" * bool(found.journal["gone"]),
                "events": found.counts["events"],
                "turns": found.counts["turns"],
                "actions": ", ".join(
                    f"{found.counts[name]} {name}" for name in ("succeeded", "failed", "refused", "unknown")
                ),
                "decided by": ", ".join(f"{name} {count}" for name, count in found.decided_by.items()),
                "goals": f"{found.goals}, {found.paused} paused",
                **({"stopped": f"{', '.join(found.stopped)}; see `mdl start`"} if found.stopped else {}),
                "waiting for a person": found.waiting,
                **({"outcomes nobody knows": f"{found.held}, see `mdl pending`"} if found.held else {}),
                **({"parked": f"{len(found.parked)} turns, see `mdl parked list`"} if found.parked else {}),
                **_live_facts(live),
                **{f"goal {row.id}": "is set aside; see `mdl goal list`" for row in goals if row.state == "set aside"},
                **{f"goal {row.id}": f"unserved: {', '.join(row.unserved)}" for row in goals if row.unserved},
            }
        )

    run(work)


@app.command()
def top(
    config: Config = DEFAULT,
    *,
    once: Annotated[bool, typer.Option("--once", help="Show one look, over a second, and end.")] = False,
    json: AsJson = False,
) -> None:
    """Watch the running loop: rates, backlog, queues, latencies, goals and tools; Ctrl-C ends it."""
    from contextlib import suppress

    from orchestrator.doors.top import run_top

    with suppress(KeyboardInterrupt):
        run(lambda: run_top(config, once=once, as_json=json))


def _live_facts(live: dict[str, Any]) -> dict[str, Any]:
    troubles = {f"source {name}": text for name, text in live.get("sources", {}).items() if text}
    down = {
        f"server {s['name']}": f"{s['state']}: {s.get('reason')}" for s in live.get("servers", ()) if s["state"] != "up"
    }
    errors = {f"errors of {name}": text for name, text in live.get("errors", {}).items()}
    signed: dict[str, Any] = live.get("checkpoint") or {}
    troubles |= {f"checkpoints to {place}": text for place, text in signed.get("troubles", {}).items()}
    if signed.get("position"):
        errors["newest checkpoint"] = f"#{signed['position']}, {signed['time']}"
    backlog = {"backlog": live["backlog"]} if live else {}
    if live.get("parked_full"):
        backlog["no event is taken up"] = "as many turns are parked as may be; retry or drop some"
    if away := live.get("tokens", {}).get("turned_away"):
        errors["turned away"] = f"{away} requests without a good token"
    aside = {f"turn of #{one['position']}": f"set aside: {one['reason']}" for one in live.get("aside", ())}
    return {**backlog, **aside, **troubles, **down, **errors}


@app.command()
def pending(config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """List the actions that wait for a person, and those whose outcome nobody knows."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, anyhow=True) as here:
            waiting, held = here.control.waiting(), here.control.held()
        if json:
            show.as_json([*waiting, *held])
            return
        show.table(
            ("action", "tool", "arguments", "goal", "subject", "approved", "until (UTC)"),
            [_asked(one) for one in waiting],
            empty="Nothing waits for a person." if not held else "Nothing waits for leave.",
        )
        if held:
            show.console.print("\nNobody knows whether these took effect; see after each, then `mdl settle ACTION`:")
            columns = ("action", "tool", "arguments", "goal", "subject", "since (UTC)", "because")
            show.table(columns, [_doubtful(one) for one in held], empty="")

    run(work)


def _asked(one: "Pending") -> list[Any]:
    from orchestrator.clock import utc

    data, until = one.data, utc(one.data.expires).strftime("%H:%M:%S")
    approved = f"{len(one.approvers)} of {data.people}"
    return [data.action[:12], data.tool, data.arguments, data.goal, one.subject, approved, until]


def _doubtful(held: "Held") -> list[Any]:
    from orchestrator.clock import utc

    data, since = held.data, utc(held.at).strftime("%Y-%m-%d %H:%M:%S")
    return [data.action[:12], data.tool, data.arguments, data.goal, held.subject, since, data.error]


@app.command()
def settle(
    action: Id, config: Config = DEFAULT, *, by: Annotated[str | None, typer.Option(help="Who says so.")] = None
) -> None:
    """Say that you have seen after an action whose outcome nobody knew."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, write=True) as here:
            held = await here.control.settle(action, by=by)
        show.console.print(f"{held.data.tool} for {held.subject or held.data.goal} is settled.")

    run(work)


@app.command()
def approve(
    action: Id, config: Config = DEFAULT, *, by: Annotated[str | None, typer.Option(help="Who says so.")] = None
) -> None:
    """Let one waiting action go ahead; every policy is asked again."""
    _answer("approve", action, config, by)


@app.command()
def deny(
    action: Id, config: Config = DEFAULT, *, by: Annotated[str | None, typer.Option(help="Who says so.")] = None
) -> None:
    """Refuse one waiting action."""
    _answer("deny", action, config, by)


def _answer(verb: str, action: str, config: Path, by: str | None) -> None:
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, write=True, anyhow=True) as here:
            answered = await (
                here.control.approve(action, by=by) if verb == "approve" else here.control.deny(action, by=by)
            )
        done = "is denied" if verb == "deny" else "waits on, for another person" if answered.missing else "is approved"
        show.console.print(f"{answered.data.tool} for {answered.subject or answered.data.goal} {done}.")

    run(work)


@app.command()
def doctor(config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """Try everything the settings name once, and say what is wrong and how to mend it."""
    from orchestrator.doors import show
    from orchestrator.doors.doctor import examine

    async def work() -> bool:
        findings = await examine(config)
        if json:
            show.as_json(findings)
        else:
            show.table(
                ("", "what", "finding"), [["ok" if f.well else "!!", f.what, f.text] for f in findings], empty=""
            )
        return all(finding.well for finding in findings)

    if not run(work):
        raise typer.Exit(1)


@app.command()
def mcp(config: Config = DEFAULT) -> None:
    """Serve an MCP client over standard input and output."""
    from orchestrator.doors.mcp import server
    from orchestrator.doors.sessions import session

    run(lambda: server(lambda write: session(config, write=write)).run_stdio_async())


def _value(text: str) -> Any:
    from orchestrator.observe.strict_json import parse_json

    try:
        return parse_json(text.encode())
    except (EventError, UnicodeEncodeError) as error:
        raise EventError(
            f"--data is not JSON: {error}; a text needs its own quotes, as in --data '\"hello\"'"
        ) from error
