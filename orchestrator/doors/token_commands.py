"""`mdl token …`: who may do what over HTTP. At this command line nobody needs one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.doors.app import DEFAULT, AsJson, Config, run, tokens

if TYPE_CHECKING:
    from orchestrator.journal.access import Token

Name = Annotated[str, typer.Argument(help="The token's name.")]


@tokens.command()
def create(
    name: Name,
    config: Config = DEFAULT,
    *,
    role: Annotated[list[str] | None, typer.Option(help="observe, steer, approve or read; may be repeated.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="The only source events may carry, and the only hook.")
    ] = None,
    owner: Annotated[list[str] | None, typer.Option(help="Whose goals it may steer, approve and read.")] = None,
    person: Annotated[str | None, typer.Option(help="Who holds it; needed to steer and to approve.")] = None,
    expires: Annotated[str | None, typer.Option(help="How long it is good for, such as 30d.")] = None,
    json: AsJson = False,
) -> None:
    """Make a token and show it, this once. From the first one on, HTTP asks for a token."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session
    from orchestrator.tokens import Wanted

    wanted = Wanted(
        name=name, roles=role or (), sources=source or (), owners=owner or (), person=person, expires=expires
    )

    async def work() -> None:
        async with session(config, write=True) as here:
            token, text = await here.control.tokens.create(wanted)
        if json:
            show.as_json({"name": token.name, "token": text, "expires": token.expires})
            return
        show.console.print(f"Token {token.name} is made. Keep it: it is shown this once, and only its hash is stored.")
        print(text)

    run(work)


@tokens.command("list")
def list_(config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """List the tokens: what each may do, for whom, and until when."""
    from orchestrator.clock import SystemClock
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, anyhow=True) as here:
            found, live = here.control.tokens.known(), (await here.status()).live or {}
        if json:
            show.as_json(found)
            return
        now, used = SystemClock().now(), live.get("tokens", {}).get("used", {})
        columns = ("token", "may", "sources", "owners", "person", "good until (UTC)", "last used (UTC)")
        lines = [_line(one, now=now, used=used.get(one.name)) for one in found]
        show.table(columns, lines, empty="There are no tokens, so HTTP asks for none.")

    run(work)


def _line(token: "Token", *, now: float, used: float | None) -> list[Any]:
    from orchestrator.clock import utc

    def at(time: float) -> str:
        return f"{utc(time):%Y-%m-%d %H:%M:%S}"

    until = "no end" if token.expires is None else at(token.expires)
    good = until if token.holds(now) else f"revoked {at(token.revoked)}" if token.revoked else f"expired {until}"
    bounds = [" ".join(names) for names in (token.roles, token.sources, token.owners)]
    return [token.name, *bounds, token.person, good, "" if used is None else at(used)]


@tokens.command()
def revoke(name: Name, config: Config = DEFAULT) -> None:
    """Take a token back, at once and for good."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, write=True, anyhow=True) as here:
            token = await here.control.tokens.revoke(name)
        show.console.print(f"Token {token.name} is revoked.")

    run(work)
