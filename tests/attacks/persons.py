"""What people do in a case: at the machine's own command line, or from elsewhere with a token."""

from collections.abc import Iterable

import msgspec

from orchestrator.control import Control
from orchestrator.doors.sessions import session
from orchestrator.errors import MDLError
from orchestrator.settings import load
from orchestrator.types import Goal, canonical
from orchestrator.written import goal
from tests.attacks.elsewhere import over_http
from tests.attacks.life import Life
from tests.attacks.plain import Table
from tests.attacks.shell import mdl
from tests.attacks.words import MissingError, unknown

_REFUSED = "the goals stay as they are"
"""How the running loop says that it does not take up an mdl.toml."""


class Persons:
    """Everybody who may do something in one world; `tokens` are theirs, by name."""

    def __init__(self, life: Life, tokens: dict[str, str]) -> None:
        self._life, self._tokens = life, tokens

    async def does(self, told: Table) -> str:
        """Do one thing; what MDL answers.

        Raises:
            MissingError: MDL has no way to do it.
        """
        if "token" in told:
            return await over_http(self._life.live.url, told, self._tokens.get(told["token"]) or told["token"])
        if told["do"] == "set_goal":
            return await self._set(told["goal"])
        return await self._command(_words(told))

    async def token(self, name: str, table: Table) -> str:
        """Make a token; gives it.

        Raises:
            MissingError: MDL has none.
        """
        options = {"--role": "roles", "--source": "sources", "--owner": "owners"}
        given = [word for option, key in options.items() for one in table.get(key, ()) for word in (option, one)]
        person = ["--person", table["person"]] if "person" in table else []
        said = await self._command(["token", "create", name, *given, *person])
        return said.split()[-1] if said.split() else ""

    async def edit(self, goals: list[Table]) -> str | None:
        """Write other goals into mdl.toml, and wait until the loop has taken them up or refused them."""
        before = self._refusals()
        self._life.place.write(goals)
        try:
            wanted = _forms(load(self._life.place.config).goals)
        except MDLError as error:
            if unknown(str(error)):
                raise MissingError(str(error)) from error
            wanted = None

        async def taken() -> bool:
            known = self._life.live.loop.state.goals.values()
            stands = _forms(version.goal for version in known if version.home == "settings")
            return stands == wanted or self._refusals() > before

        await self._life.until(taken, "the edited mdl.toml is taken up")
        return None

    def _refusals(self) -> int:
        return self._life.place.log.read_text(encoding="utf-8", errors="replace").count(_REFUSED)

    async def _set(self, table: Table) -> str:
        try:
            async with session(self._life.place.config, write=True) as here:
                acting: Control = here.control
                return (await acting.set_goal(goal(table))).name
        except MDLError as error:
            if unknown(str(error)):
                raise MissingError(str(error)) from error
            return str(error)

    async def _command(self, words: list[str]) -> str:
        said = await mdl(self._life.place.config, words)
        if said.unknown:
            raise MissingError(f"`mdl {' '.join(words[:2])}`")
        return said.out + said.errors


def _words(told: Table) -> list[str]:
    by = ["--by", told["by"]] if "by" in told else []
    match told["do"]:
        case "approve" | "deny" as verb:
            return [verb, told["action"], *by]
        case "stop" | "start" as verb:
            return [verb, told["goal"]]
        case "pause" | "resume" | "remove" as verb:
            return ["goal", verb, told["goal"]]
        case "reveal":
            return ["reveal", told["mask"]]
        case "emit":
            return ["emit", *told["args"]]
        case "token_revoke":
            return ["token", "revoke", told["name"]]
        case other:
            raise ValueError(f"nobody knows how to do `{other}`")


def _forms(goals: Iterable[Goal]) -> set[bytes]:
    return {canonical(msgspec.to_builtins(one)) for one in goals}
