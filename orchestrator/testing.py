"""Public fakes that behave: a clock you move, a source you list, a model you script or serve, a toolbox that records.

For tests of MDL and of what is built on it. Nothing here mocks; everything keeps the promises of its Protocol.
"""

import asyncio
import json
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from orchestrator.act.places import Places
from orchestrator.act.toolbox import Again, Halted, ServerStatus
from orchestrator.clock import Clock
from orchestrator.errors import JournalError, JournalFull, ModelError, ToolError, ToolMissing, ToolUncertain
from orchestrator.journal import chain
from orchestrator.models.model import Reply
from orchestrator.observe.source import Observation
from orchestrator.types import Call, Draft, Event, Grant, Json, Outcome, Record, Tool

if TYPE_CHECKING:
    from http.server import HTTPServer


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        """Start at a time (epoch seconds)."""
        self.at = at

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.at

    def advance(self, seconds: float) -> None:
        """Move forward, or back with a negative number."""
        self.at += seconds


class ListSource:
    """A source that gives a list of events, one observation each, resumable by index; exhausted at the end."""

    def __init__(self, events: Sequence[Event], *, uri: str = "test:list") -> None:
        """Give these events, in order."""
        self.uri, self._events = uri, tuple(events)

    async def observe(self, after: str | None) -> AsyncIterator[Observation]:
        """Observations behind `after`."""
        for index in range(int(after or 0), len(self._events)):
            yield Observation((self._events[index],), str(index + 1))


class MemoryJournal:
    """A journal in memory, with every promise of `Journal` but to outlive the process.

    `records` is what it holds; `full` makes it refuse, as a full disk does.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        """Empty; `clock` gives the records' `at`, left out: one that stands still."""
        self.records: list[Record] = []
        self.full = False
        self._clock: Clock = clock or ManualClock()
        self._known: set[tuple[str, str]] = set()
        self._sources: dict[str, str] = {}
        self._snapshot: tuple[int, bytes] | None = None
        self._moved = asyncio.Event()
        self._closed = False

    @property
    def events(self) -> list[Event]:
        """The events it holds, decoded, in order."""
        return [msgspec.json.decode(record.body, type=Event) for record in self.records if record.kind == "event"]

    @property
    def head(self) -> int:
        """Position of the last record; 0 when there is none."""
        return len(self.records)

    @property
    def trimmed(self) -> int:
        """Bodies up to here may be gone: none are, since memory ends with the process."""
        return 0

    @property
    def gone(self) -> int:
        """Records up to here may be gone: none are."""
        return 0

    def close(self) -> None:
        """Refuse what comes, end the followers."""
        self._closed = True
        self._wake()

    def read(self, *, after: int = 0, limit: int = 256, kind: str | None = None) -> list[Record]:
        """Records with a position above `after`, in order, at most `limit`."""
        return [record for record in self.records[after:] if kind in {None, record.kind}][:limit]

    def at(self, position: int) -> Record | None:
        """The record at a position."""
        return self.records[position - 1] if 0 < position <= self.head else None

    def find(self, id: str) -> list[Record]:  # noqa: A002  the record's own word
        """Every record whose `id` is this text, or (from 4 characters on) begins with it, oldest first, at most 20."""
        whole = [record for record in self.records if record.id == id]
        begun = [record for record in self.records if len(id) >= 4 and record.id.startswith(id)]  # noqa: PLR2004
        return sorted([*whole, *(one for one in begun if one.id != id)][:20], key=lambda record: record.position)

    def caused_by(self, position: int) -> list[Record]:
        """Every turn and intent whose `cause` is this event position, in order."""
        kinds = {"turn", "intent"}
        return [record for record in self.records if record.kind in kinds and 0 < position == record.cause]

    def source_position(self, uri: str) -> str | None:
        """Where a source has to go on from."""
        return self._sources.get(uri)

    def snapshot(self) -> tuple[int, bytes] | None:
        """The stored projection."""
        return self._snapshot if self._snapshot and self._snapshot[0] <= self.head else None

    async def append(
        self,
        drafts: Sequence[Draft],
        *,
        positions: Mapping[str, str] | None = None,
        reserved: bool = False,  # noqa: ARG002  there is no queue here
    ) -> list[Record | None]:
        """Store drafts in order, all or none, with the sources' new positions; None in a duplicate's place."""
        sealed = [(draft, chain.terms(draft)) for draft in drafts]
        chain.texts(positions or {})
        self._refuse()
        stored = [self._store(draft, terms) for draft, terms in sealed]
        self._sources.update(positions or {})
        self._wake()
        await asyncio.sleep(0)
        return stored

    async def store_snapshot(self, position: int, body: bytes) -> None:
        """Keep a projection folded up to `position`, in place of the one before."""
        self._refuse()
        self._snapshot = position, body

    async def subscribe(self, *, after: int) -> AsyncGenerator[list[Record]]:
        """Batches of records above `after`, in order, until it is closed."""
        while not self._closed:
            if batch := self.read(after=after):
                after = batch[-1].position
                yield batch
            else:
                await self._moved.wait()
        raise JournalError("the journal was closed; nothing more will come")

    def _refuse(self) -> None:
        if self._closed:
            raise JournalError("the journal is closed; nothing was stored")
        if self.full:
            raise JournalFull("the journal takes no more; nothing was stored", retry_after=5)

    def _store(self, draft: Draft, terms: bytes) -> Record | None:
        if draft.kind == "event" and not draft.cause:
            if (draft.id, draft.source) in self._known:
                return None
            self._known.add((draft.id, draft.source))
        position, at = self.head + 1, self._clock.now()
        digest = chain.digest_of(position.to_bytes(chain.SALT, "big"), draft.body)
        previous = self.records[-1].hash if self.records else chain.GENESIS
        hash_ = chain.link(previous, digest, position=position, at=at, terms=terms)
        columns = {name: getattr(draft, name) for name in draft.__struct_fields__}
        self.records.append(Record(**columns, position=position, at=at, hash=hash_))
        return self.records[-1]

    def _wake(self) -> None:
        self._moved.set()
        self._moved.clear()


class ScriptedModel:
    """A model that answers from a script: texts, JSON values, errors to raise, or a function of the prompt."""

    def __init__(
        self, *answers: str | dict[str, Json] | Exception | Callable[[str], str], name: str = "scripted/test"
    ) -> None:
        """Answer in this order; the last answer repeats."""
        self.name, self._answers = name, list(answers)
        self.prompts: list[str] = []

    async def ask(self, *, system: str, user: str, schema: dict[str, Json]) -> Reply:  # noqa: ARG002  the Protocol's word
        """Give the next answer."""
        self.prompts.append(f"{system}\n{user}")
        if not self._answers:
            raise ModelError("the script is empty")
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        match answer:
            case Exception():
                raise answer
            case str():
                return Reply(answer)
            case dict():
                return Reply(json.dumps(answer))
            case _:
                return Reply(answer(self.prompts[-1]))


class FakeToolbox:
    """A toolbox of plain async functions. `calls` records every granted action in the order it began."""

    def __init__(
        self,
        tools: Mapping[str, Callable[[dict[str, Json]], Awaitable[Json]]],
        *,
        described: Sequence[Tool] = (),
        at_once: Mapping[str, int] | None = None,
    ) -> None:
        """Offer functions under their tool names; `described` says more of some, `at_once` how many calls may run."""
        known = {tool.name: tool for tool in described}
        self._functions = dict(tools)
        self._tools = {
            name: known.get(name, Tool(name=name, trusted=True, idempotent=True, read_only=True)) for name in tools
        }
        self.calls: list[Grant] = []
        self.places = Places(at_once)

    def tools(self) -> Mapping[str, Tool]:
        """What it offers."""
        return self._tools

    def servers(self) -> tuple[ServerStatus, ...]:
        """One server that is always up."""
        return (ServerStatus("fake", "up", len(self._tools)),)

    async def ready(self, names: Iterable[str] | None = None, *, timeout: float) -> bool:  # noqa: ARG002, ASYNC109  Protocol
        """Its one server always is."""
        return True

    async def act(self, grant: Grant, *, again: Again | None = None, halted: Halted | None = None) -> Outcome:  # noqa: ARG002  it calls once, at once
        """Call the function; ToolUncertain is an unknown outcome, ToolError a failed one."""
        self.calls.append(grant)
        action = grant.action
        if action.tool not in self._functions:
            return Outcome(action=action, status="failed", error=f"no tool `{action.tool}`")
        try:
            return Outcome(
                action=action, status="succeeded", result=await self._functions[action.tool](action.arguments)
            )
        except ToolUncertain as error:
            return Outcome(action=action, status="unknown", error=str(error))
        except ToolError as error:
            return Outcome(action=action, status="failed", error=str(error))

    async def read(self, call: Call) -> Json:
        """Call a harmless function."""
        if call.tool not in self._functions:
            raise ToolMissing(f"no tool `{call.tool}`")
        if not self._tools[call.tool].harmless:
            raise ToolError(f"`{call.tool}` is not read-only")
        async with self.places.reading(call.tool):
            return await self._functions[call.tool](call.args)


Fault = Literal["bad json", "invalid", "cut", "unfinished", "no model", "busy", "broken", "silent", "no ollama"]
"""How a FakeOllama may misbehave once: not JSON, outside the schema, a prompt cut short, an answer cut short, 404, 503,
500, no answer until it is closed, another server's JSON."""


class FakeOllama:
    """A real HTTP server on loopback that speaks Ollama's API and answers only from the prompt it is sent.

    Of every list in the schema it chooses the entry whose words (for a tool: with its description in the prompt) the
    goal or sentence in the prompt shares most, and never one that does not stand in the prompt. Use it as a context
    manager; `requests` holds the bodies it was sent, and `asked` is set with the first.
    """

    def __init__(self, *models: str, faults: Sequence[Fault] = ()) -> None:
        """Have these models (`test` if none is named); misbehave in this order, then behave."""
        self.models = models or ("test",)
        self.faults: list[Fault] = list(faults)
        self.requests: list[dict[str, Json]] = []
        self.most_at_once = self._at_once = 0
        self.asked, self._closed, self._counting = threading.Event(), threading.Event(), threading.Lock()
        self._server = _serving(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and let the port go."""
        self.close()

    def close(self) -> None:
        """Die: from now on nobody answers at `url`."""
        if not self._closed.is_set():
            self._closed.set()
            self._server.shutdown()
            self._server.server_close()

    def reply(self, path: str, body: dict[str, Json]) -> tuple[int, dict[str, Json]] | None:
        """Status and JSON for one request; None to hang up."""
        match path:
            case "/api/version":
                return 200, {"version": "0.0.0-fake"}
            case "/api/tags":
                return 200, {"models": [{"name": name} for name in self.models]}
            case "/api/show" if body.get("model") in self.models:
                return 200, {"capabilities": ["completion"], "model_info": {"fake.context_length": 8192}}
            case "/api/chat":
                self.requests.append(body)
                self.asked.set()
                fault = self.faults.pop(0) if self.faults else None
                with self._counted():
                    return self._chat(body, fault) if fault != "silent" or not self._closed.wait() else None
            case _:
                return 404, {"error": "not found"}

    @contextmanager
    def _counted(self) -> Generator[None]:
        with self._counting:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        yield
        with self._counting:
            self._at_once -= 1

    def _chat(self, body: dict[str, Json], fault: Fault | None) -> tuple[int, dict[str, Json]]:
        if body["model"] not in self.models or fault == "no model":
            return 404, {"error": f"model '{body['model']}' not found"}
        if fault == "no ollama":
            return 200, {"hello": "world"}
        if fault in {"busy", "broken"}:
            return (503 if fault == "busy" else 500), {"error": f"the server is {fault}"}
        prompt = "\n".join(str(part["content"]) for part in body["messages"])
        chosen = json.dumps(_chosen(prompt, body["format"]["properties"]))
        text = {"bad json": chosen[:-3], "invalid": '{"tool": "host.destroy", "reason": "because"}'}.get(
            fault or "", chosen
        )
        tokens = len(prompt.encode()) // (40 if fault == "cut" else 4)
        reason = "length" if fault == "unfinished" else "stop"
        reply = {"message": {"role": "assistant", "content": text}, "done": True, "done_reason": reason}
        return 200, {**reply, "prompt_eval_count": tokens, "eval_count": len(text) // 4}


def _serving(ollama: FakeOllama) -> "HTTPServer":
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer  # noqa: PLC0415  0.05 s, for this fake only

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(ollama.reply(self.path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(ollama.reply(self.path, json.loads(body)))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's word
            """Say nothing."""

        def _send(self, reply: tuple[int, dict[str, Json]] | None) -> None:
            if reply is None:
                self.close_connection = True
                return
            data = json.dumps(reply[1]).encode()
            self.send_response(reply[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    return server


def _chosen(prompt: str, properties: Mapping[str, dict[str, Json]]) -> dict[str, Json]:
    listed = re.sub(r"^Schema: .*$", "", prompt, flags=re.MULTILINE)
    wish = re.search(r"^Goal: (?P<goal>.*)$|<sentence>\n(?P<sentence>.*)\n</sentence>", prompt, re.MULTILINE)
    wanted = _words("".join(wish.groups(default="")) if wish else prompt)
    described = dict(re.findall(r"^- (\S+?): (.*)$", listed, re.MULTILINE))
    answer: dict[str, Json] = {}
    for name, schema in properties.items():
        entries = [entry for entry in schema["enum"] if entry not in {None, "none"} and _spelled(entry) in listed]
        fits = {
            index: len(wanted & _words(f"{entry} {described.get(str(entry), '')}"))
            for index, entry in enumerate(entries)
        }
        best = max(fits, key=lambda index: fits[index], default=None)
        unsure = best is None or (fits[best] == 0 and "none" in schema["enum"])
        answer[name] = ("none" if "none" in schema["enum"] else None) if unsure else entries[best or 0]
    return answer


def _spelled(entry: Json) -> str:
    return json.dumps(entry, ensure_ascii=False).strip('"')


def _words(text: str) -> set[str]:
    return {word.removesuffix("s") for word in re.findall(r"[^\W_]+", text.casefold())}
