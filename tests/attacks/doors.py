"""The doors through which a case's events come: HTTP, files, rows, programs. What they answer is kept, not judged."""

import asyncio
import base64
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime
from typing import Any

from orchestrator.clock import seconds
from tests.attacks import post
from tests.attacks.cases import World
from tests.attacks.life import Life
from tests.attacks.persons import Persons
from tests.attacks.place import BANK_KEY
from tests.attacks.plain import Json, Table, merged
from tests.attacks.shell import mdl
from tests.attacks.words import Words

WRONG_KEY = "whsec_" + base64.b64encode(b"a key of nobody").decode()
_HOOK = {"type": "shop.ticket.opened", "subject": "customer/7"}
_EVENT = {"specversion": "1.0", "source": "/shop", "type": "shop.ticket.opened", "subject": "customer/7"}


class Doors:
    """All doors of one world. `answers` holds what came back through them."""

    def __init__(self, world: World, life: Life, words: Words, tokens: dict[str, str]) -> None:
        """Nothing was given yet."""
        self._world, self._life, self._words, self._tokens = world, life, words, tokens
        self.persons = Persons(life, tokens)
        self._given = 0
        self.answers = list[str]()
        life.post = self._posted

    async def give(self, event: Table, number: int) -> None:
        """Give one event, once.

        Raises:
            MissingError: MDL does not have what this needs.
            TroubleError: the harness could not bring it about.
        """
        self._given += 1
        told = self._words.filled(event, number)
        doors: dict[str, Callable[[Table], Awaitable[str | None]]] = {
            "hook": self._hook,
            "events": self._events,
            "row": self._row,
            "line": self._line,
            "emit": self._emit,
            "chat": self._chat,
            "person": self.persons.does,
            "edit": self._edit,
            "until": self._until,
            "lists": self._lists,
            "clock": self._clock,
            "restart": self._restart,
        }
        answer = await doors[told["door"]]({**told, "number": number})
        if answer is not None:
            self.answers.append(answer)

    async def _hook(self, told: Table) -> str:
        name = told.get("to", "shop")
        body = _body(told, {**_HOOK, **told["body"]} if isinstance(told.get("body"), dict) else told.get("body"))
        source = self._world.settings["sources"].get(name, {})
        headers = {"content-type": "application/json", **self._leave(told)}
        if source.get("keys") and told.get("signed", True):
            key = WRONG_KEY if told.get("signed") == "wrong" else BANK_KEY
            headers |= post.signed(body, key=key, id_=f"msg-{self._given}", at=self._life.clock.now())
        return await self._send(f"/hooks/{name}", body, {**headers, **told.get("headers", {})})

    async def _events(self, told: Table) -> str:
        leave = self._leave(told)
        if "event" in told:
            body, kind = _event(told["event"], told["number"]), "application/cloudevents+json"
        elif "batch" in told:
            body = [_event(one, told["number"]) for one in told["batch"]]
            kind = "application/cloudevents-batch+json"
        else:
            return await self._send("/events", _body(told, told.get("body")), {**leave, **told["headers"]})
        return await self._send("/events", json.dumps(body).encode(), {"content-type": kind, **leave})

    async def _row(self, told: Table) -> None:
        def run() -> None:
            with closing(sqlite3.connect(self._life.place.shop, timeout=10)) as shop, shop:
                shop.execute(told["sql"], told.get("params", []))

        await asyncio.to_thread(run)

    async def _line(self, told: Table) -> None:
        text = told["raw"] if "raw" in told else json.dumps(told["body"])
        with self._life.place.feed.open("a", encoding="utf-8") as feed:
            feed.write(text + "\n")

    async def _emit(self, told: Table) -> str:
        said = await mdl(self._life.place.config, ["emit", *told["args"]], stdin=told.get("stdin", ""))
        return said.out + said.errors

    async def _chat(self, told: Table) -> str:
        arguments, leave = told["arguments"], self._leave(told)
        if arguments.get("confirm") == "$draft":
            draft = {name: one for name, one in arguments.items() if name != "confirm"}
            shown = await post.chat(self._life.live.url, told["tool"], draft, leave)
            self.answers.append(shown.body)
            arguments = {**draft, "confirm": _confirm(shown.body)}
        return (await post.chat(self._life.live.url, told["tool"], arguments, leave)).body

    async def _edit(self, told: Table) -> str | None:
        if "settings" not in told:
            return await self.persons.edit(told["goals"])
        self._life.place.write(told["goals"], told["settings"])
        await self._restart(told)
        return None

    async def _until(self, told: Table) -> None:
        async def begun() -> bool:
            return self._life.begun() >= told["calls"]

        await self._life.until(begun, f"{told['calls']} calls have begun")

    async def _lists(self, told: Table) -> None:
        self._life.place.lists(told["server"], told["tools"])
        wanted = {f"{told['server']}.{name}": one.get("description") for name, one in told["tools"].items()}

        async def listed() -> bool:
            known = self._life.live.toolbox.tools()
            return all(name in known and known[name].description == said for name, said in wanted.items())

        await self._life.until(listed, f"{told['server']} lists anew")

    async def _clock(self, told: Table) -> None:
        clock = self._life.clock
        by = seconds(told["advance"]) if "advance" in told else epoch(told["to"]) - clock.now()
        clock.advance(by)
        await self._life.until(self._life.wants_over, "what was wanted is over")

    async def _restart(self, told: Table) -> None:  # noqa: ARG002  every door takes what it is told
        await self._life.stop()
        await self._life.start()

    async def _posted(self, path: str, body: object) -> None:
        self.answers.append(await self._send(path, json.dumps(body).encode(), {"content-type": "application/json"}))

    async def _send(self, path: str, body: bytes, headers: dict[str, str]) -> str:
        return (await post.ask(self._life.live.url, path, body=body, headers=headers)).body

    def _leave(self, told: Table) -> dict[str, str]:
        if "token" not in told:
            return {}
        return {"authorization": f"Bearer {self._tokens.get(told['token'], told['token'])}"}


def epoch(time: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    return datetime.fromisoformat(time).timestamp()


def _body(told: Table, body: Json) -> bytes:
    if "raw_base64" in told:
        return base64.b64decode(told["raw_base64"])
    return str(told["raw"]).encode("utf-8", "surrogatepass") if "raw" in told else json.dumps(body).encode()


def _event(told: Table, number: int) -> Table:
    whole = merged({**_EVENT, "id": f"e-{number}"}, told)
    return {name: value for name, value in whole.items() if value is not None}


def _confirm(answer: str) -> Any:
    """The `confirm` of a draft in what the MCP door answered; the whole answer where there is none."""
    try:
        return json.loads(answer)["result"]["structuredContent"]["confirm"]
    except (ValueError, LookupError, TypeError):
        return answer
