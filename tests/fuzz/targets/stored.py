"""What lies in files and goes over sockets: calls to the loop, exported journals, copies, checkpoints, changed rows."""

import asyncio
import io
import json
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec

from orchestrator.clock import utc
from orchestrator.errors import CheckpointError, JournalError, MDLError
from orchestrator.journal import archive
from orchestrator.journal.backup import restore
from orchestrator.journal.checkpoint import Checkpoint, check, public_key, read as read_checkpoint
from orchestrator.journal.control_socket import ControlClient, serve
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.remote import calls_of
from orchestrator.journal.signing_key import signing_key
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.observe.rows import Change, Place
from orchestrator.observe.tail import Mark
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Event, Json
from tests.fuzz.given import Given
from tests.fuzz.target import told


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="mdl-fuzz-"))


CALL = [
    "call", "argument", "drafts", "positions", "reserved", "kind", "type", "key", "id", "source", "body", "cause",
    "append", "snapshot", "follow",
]  # fmt: skip


def calls(given: Given) -> None:
    """Bytes to the control socket: one line of JSON comes back, whatever was sent, and the next is served."""
    name = given.pick(["append", "snapshot", "status", "nothing"])
    question: Json = {"call": name, "argument": given.json(*CALL)} if not given.chance(3) else given.json(*CALL)
    line = given.rest() if given.chance(3) else json.dumps(question).encode()
    answered = asyncio.run(_called(line.replace(b"\n", b" ") + b"\n"))
    told_ = msgspec.json.decode(answered, type=dict[str, Json])
    assert told_.keys() <= {"result", "error", "item", "end"}, answered
    if "error" in told_:
        assert not str(told_["error"]["text"]).startswith("it failed inside"), told_


async def _called(line: bytes) -> bytes:
    async def status(_: Json) -> Json:
        return {"pid": 1}

    path = _folder() / "control.sock"
    journal = MemoryJournal(clock=ManualClock())
    async with serve(path, {**calls_of(journal), "status": status}):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(line)
        async with asyncio.timeout(5):
            answer = await reader.readline()
        writer.close()
        return answer


def replies(given: Given) -> None:
    """Bytes from whatever serves at the control socket: a value, or an error of ours."""
    keys = ["result", "error", "kind", "text", "retry_after", "status", "item", "end"]
    value = given.json(*keys)
    line = given.rest() if given.chance(3) else json.dumps(value).encode()
    asyncio.run(_replied(line + b"\n"))


async def _replied(line: bytes) -> None:
    path = _folder() / "reply.sock"

    async def serve_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readline()
            writer.write(line)
            await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve_bytes, path)
    try:
        with suppress(MDLError):
            await ControlClient(path, timeout=5).call("status")
    finally:
        server.close()
        await server.wait_closed()


@cache
def _journal() -> Path:
    """A journal with a few records, one of them without its body."""
    path = _folder() / "journal" / "journal.db"
    path.parent.mkdir()

    async def write() -> None:
        async with SqliteJournal.open(path, clock=ManualClock()) as journal:
            for number in range(4):
                event = Event(id=str(number), source="/s", type="t", time=utc(0), data={"n": number, "é": "\n"})
                await journal.append([event_draft(event)], positions={"/s": str(number)})
            await journal.store_snapshot(2, b"folded")

    asyncio.run(write())
    return path


@cache
def _lines() -> tuple[bytes, ...]:
    out = io.BytesIO()
    archive.write(_journal(), out)
    return tuple(out.getvalue().splitlines(keepends=True))


def exported_journals(given: Given) -> None:
    """Lines of an export, altered: refused, or a journal that verifies and is exported as those lines again."""
    lines = list(_lines())
    for _ in range(given.number(3)):
        at = given.number(len(lines) - 1)
        match given.number(4):
            case 0:
                lines.pop(at)
            case 1:
                lines.insert(at, given.pick(lines))
            case 2:
                lines[at] = given.text(200).encode("utf-8", "surrogateescape")
            case 3:
                value: dict[str, Json] = json.loads(given.pick(_lines()))
                value[given.pick([*value, "more"])] = given.json()
                lines[at] = json.dumps(value).encode() + b"\n"
            case _:
                text = bytearray(lines[at] or b" ")
                text[given.number(len(text) - 1)] = given.number(255)
                lines[at] = bytes(text)
        if len(lines) < 2:
            return
    made = _folder() / "imported" / "journal.db"
    shutil.rmtree(made.parent, ignore_errors=True)
    made.parent.mkdir()
    try:
        archive.read(lines, made)
    except JournalError as error:
        told(error)
        assert not made.exists()
        return
    verify(made)
    out = io.BytesIO()
    archive.write(made, out)
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        json.loads(line) for line in lines if line.strip()
    ]


def copied_journals(given: Given) -> None:
    """A copy of a journal with bytes of the file changed: refused as broken, or whole; never half taken."""
    content = bytearray(_journal().read_bytes())
    for _ in range(1 + given.number(6)):
        at = given.number(len(content) - 1)
        part = given.some(1 + given.number(7))
        content[at : at + len(part)] = part
    if given.chance(6):
        del content[given.number(len(content) - 1) :]
    copy, made = _folder() / "copy.db", _folder() / "restored" / "journal.db"
    copy.write_bytes(content)
    shutil.rmtree(made.parent, ignore_errors=True)
    made.parent.mkdir()
    try:
        restore(copy, made)
    except JournalError as error:
        told(error)
        assert not made.exists()
    else:
        verify(made)


FIELDS = ["journal", "position", "hash", "time", "key", "signature"]


def checkpoints(given: Given) -> None:
    """Lines that say they are checkpoints, and keys: nothing unsigned is believed."""
    whole: dict[str, Json] = dict.fromkeys(FIELDS, "AAAA") | {"position": 1}
    more = given.json(*FIELDS, depth=2)
    line = (
        given.rest() if given.chance(3) else json.dumps({**whole, **(more if isinstance(more, dict) else {})}).encode()
    )
    try:
        found = read_checkpoint(line)
    except CheckpointError as error:
        told(error)
        return
    assert msgspec.json.decode(found.line, type=Checkpoint) == found
    for text in (found.key, given.text(60)):
        with suppress(CheckpointError):
            public_key(text)
        with suppress(CheckpointError):
            signing_key(_folder() / "no.db", text)
    try:
        check(found, [found.key])
    except CheckpointError as error:
        told(error)
    else:
        raise AssertionError(f"believed without a signature: {found}")


def changed_rows(given: Given) -> None:
    """A row of the changelog, which anybody may write: an event within bounds that the journal keeps, or ValueError."""
    row = json.dumps(given.json("id", "a", "hex", "large")).encode("utf-8", "surrogateescape")
    old = given.pick(
        [
            None,
            row,
            b"{}",
            given.text().encode("utf-8", "surrogateescape"),
            b"[" * 3_000,
            b'{"a":' + b"9" * 5_000 + b"}",
        ]
    )
    at = given.pick(
        [b"2026-11-21T10:00:00.123Z", b"9999-12-31T23:59:59-23:59", given.text().encode("utf-8", "surrogateescape")]
    )
    op = given.pick([b"inserted", b"updated", b"deleted", b"dropped", b"\xff"])
    table = given.pick([b"orders", given.text().encode("utf-8", "surrogateescape")])
    change = Change(
        given.number(2**40), table, op, given.pick([None, 1, -1]), old, row, at, given.pick([None, b"", b"a" * 64])
    )
    with suppress(ValueError, RecursionError):  # as `sqlite.py` does: such a row is told and passed over
        event = change.event("shop", "abc", {"orders": ("id", "a")})
        event_draft(event)
        assert len(event.subject or "") <= 1024
    place = change.place("abc")
    assert Place.read(str(place)) == place
    text = given.pieces(["1", "-", "a", "\uff19", "0" * 5_000, "+", " "], 12)
    for kind in (Place, Mark):
        found = kind.read(text)
        assert found is None or kind.read(str(found)) == found
