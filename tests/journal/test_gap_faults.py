"""What was done to a gap, or around it, is found; and of what is gone nothing is claimed."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orchestrator.errors import JournalBroken
from orchestrator.journal.against import Comparison, compare
from orchestrator.journal.archive import read, write
from orchestrator.journal.checkpoint import public_text, sign
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.testing import ManualClock
from tests.journal.gapped import alter, gaps, missing, table
from tests.journal.keeping import DAY, idle, kept
from tests.loops import START, emit, event

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


# ---------------------------------------------------------------- what verify says


def test_verify_says_from_where_on_the_chain_holds(aged: Path) -> None:
    verified = verify(aged)
    assert verified.gone == len(missing(aged))
    assert verified.unbroken == gaps(aged)[-1][1] + 1
    assert verified.records + verified.gone == verified.last


PLACES = """
    SELECT (SELECT min(first) FROM gaps), (SELECT max(position) FROM records),
    (SELECT min(position) FROM spared WHERE position > (SELECT min(first) FROM gaps))"""


def last_gap(path: Path) -> tuple[int, ...]:
    return gaps(path)[-1]


@pytest.mark.promise("never-lies:gaps")
@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["UPDATE gaps SET last = last + 1 WHERE last = {last}"], "a gap says that #{first} to .* the records go on"),
        (["UPDATE gaps SET last = last - 1 WHERE last = {last}"], "a gap says that #{first} to .* the records go on"),
        (["UPDATE gaps SET first = first - 1 WHERE last = {last}"], "a gap says that "),
        (["UPDATE gaps SET first = first + 1 WHERE last = {last}"], "a gap says that "),
        (["DELETE FROM gaps WHERE last = {last}"], "position {first} is missing; .* stands at {next}"),
        (["DELETE FROM records WHERE position = {next}"], "the records go on at #{after}"),
        (
            ["UPDATE gaps SET last = last + 1 WHERE last = {last}", "DELETE FROM records WHERE position = {next}"],
            "position {after} does not hold: it, or the hash of the gap before it, was altered",
        ),
        (["UPDATE gaps SET hash = zeroblob(32) WHERE last = {last}"], "position {next} does not hold: it, or the hash"),
        (["UPDATE gaps SET hash = 'text' WHERE last = {last}"], "position {next} does not hold: it, or the hash"),
        (["UPDATE records SET key = 'x' WHERE position = {next}"], "position {next} does not hold: it, or the hash"),
        (["UPDATE records SET key = 'x' WHERE position = {after}"], "position {after} does not hold: one of at, kind"),
        (["UPDATE records SET body = x'7b7d' WHERE position = {head} - 1"], "its body or salt was altered"),
        (["DELETE FROM records WHERE position = {after}"], "position {after} is missing"),
        (
            [
                "INSERT INTO gaps SELECT position, position, hash FROM records WHERE position = {late}",
                "DELETE FROM records WHERE position = {late}",
            ],
            r"a gap says that .* `\[journal\] keep` has not let go of #{late}$",
        ),
        (
            [
                "DELETE FROM gaps WHERE first = {begin} AND last = {needed} - 1",
                "UPDATE gaps SET first = {begin} WHERE first = {needed} + 1",
                "DELETE FROM records WHERE position = {needed}",
            ],
            r"a gap says that .* `\[journal\] keep` has not let go of #{needed}$",
        ),
        (["DELETE FROM trimmed"], r"a gap says that .* `\[journal\] keep` has not let go of #"),
        (
            [
                "UPDATE gaps SET first = 1 WHERE first = (SELECT min(first) FROM gaps)",
                "DELETE FROM records WHERE position < (SELECT min(last) FROM gaps)",
            ],
            "a gap says that #1 to .* has not let go of #1$",
        ),
        (
            ["DELETE FROM records WHERE position > {last}"],
            "a gap says that #{first} to #{last} are gone, but no record stands behind it; the tail was cut off",
        ),
        (["INSERT INTO gaps VALUES ({head} + 1, {head} + 9, zeroblob(32))"], "no record stands behind it"),
        (["INSERT INTO gaps VALUES ({last}, {last} + 2, zeroblob(32))"], "a gap says that #{last} to "),
    ],
)  # fmt: skip
def test_what_was_done_around_a_gap_is_found(gapped: Path, statements: list[str], said: str) -> None:
    first, last = last_gap(gapped)
    ((begin, head, needed),) = table(gapped, PLACES)
    places = {"first": first, "last": last, "next": last + 1, "after": last + 2, "head": head, "late": head - 3}
    places |= {"begin": begin, "needed": needed}
    alter(gapped, *(statement.format(**places) for statement in statements))
    with pytest.raises(JournalBroken, match=said.format(**places)):
        verify(gapped)


def test_a_gap_where_nothing_was_trimmed_is_found(path: Path) -> None:
    async def written() -> None:
        async with SqliteJournal.open(path, clock=ManualClock(START)) as journal:
            await emit(journal, *(event(str(n)) for n in range(5)))

    asyncio.run(written())
    alter(path, "INSERT INTO gaps SELECT 2, position, hash FROM records WHERE position = 3")
    alter(path, "DELETE FROM records WHERE position IN (2, 3)")
    with pytest.raises(JournalBroken, match=r"#2 to #3 are gone, but `\[journal\] keep` has not let go of #2"):
        verify(path)


# ---------------------------------------------------------------- what else reads it


async def test_checkpoints_are_compared_where_their_record_or_its_hash_is_left(path: Path) -> None:
    clock, signed = ManualClock(START), path.with_name("seen.jsonl")
    async with kept(path, clock) as (journal, life, keeping):
        for n in range(6):
            await emit(journal, event(str(n), type_="other"))
            await idle(life, journal)
            checkpoint = sign(journal, KEY, at=clock.now())
            assert checkpoint
            with signed.open("ab") as out:
                out.write(checkpoint.line)
            clock.advance(19 * DAY)
        await keeping.once()
        ends = journal.gone

    def compared() -> Comparison:
        with SqliteReader(path) as reader:
            return compare(reader, [signed], [public_text(KEY.public_key())])

    told = compared()
    assert (told.findings, told.fit + told.gone) == ([], 6)
    assert told.gone >= 3
    lines = signed.read_bytes().splitlines(keepends=True)
    signed.write_bytes(b"".join(line for line in lines if b'"position":%d,' % ends in line))
    assert compared() == Comparison(1, ends, [])  # the gap has the hash of its last
    alter(path, "UPDATE gaps SET hash = zeroblob(32)")
    assert [one.fault for one in compared().findings] == ["rewritten"]
    signed.write_bytes(lines[0] + lines[1])
    told = compared()
    assert [(one.fault, one.lines, one.line) for one in told.findings] == [("gone", 2, 1)]
    assert told.findings[0].text.startswith("#2 is gone, as `[journal] keep` says; what it was on 2027-01-15")


# ---------------------------------------------------------------- lines


Line = dict[str, Any]


def left_out(lines: list[Line], gap: int) -> None:
    del lines[gap]


def wider(lines: list[Line], gap: int) -> None:
    lines[gap]["last"] += 1


def in_two(lines: list[Line], gap: int) -> None:
    last = lines[gap]["last"]
    lines[gap]["last"] -= 1
    lines.insert(gap + 1, {**lines[gap], "first": last, "last": last})


def without_hash(lines: list[Line], gap: int) -> None:
    lines[gap]["hash"] = "none"


def with_another_hash(lines: list[Line], gap: int) -> None:
    lines[gap]["hash"] = "00" * 32


def at_the_end(lines: list[Line], gap: int) -> None:
    lines[-1] |= {"records": sum(line["line"] == "record" for line in lines[:gap]), "head": lines[gap]["hash"]}
    del lines[gap + 1 : -1]


def where_all_should_be(lines: list[Line], gap: int) -> None:
    lines[-1]["trimmed"][0] = lines[gap]["first"]


def over_what_is_needed(lines: list[Line], gap: int) -> None:
    lines[-1]["spared"].append(lines[gap]["last"])


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (left_out, "is not record"),
        (wider, "is not record"),
        (in_two, "is not record"),
        (without_hash, "is none of an exported journal"),
        (with_another_hash, "does not hold: it, or the one before it, was altered"),
        (at_the_end, "the last line tells of"),
        (over_what_is_needed, "is still needed, and is not there"),
        (where_all_should_be, r"are gone, which `\[journal\] keep` did not let go"),
    ],
)
def test_lines_with_a_gap_that_does_not_fit_make_no_journal(
    gapped: Path, tmp_path: Path, plant: Callable[[list[Line], int], None], said: str
) -> None:
    out = io.BytesIO()
    write(gapped, out)
    lines = [msgspec.json.decode(line) for line in out.getvalue().splitlines()]
    plant(lines, max(number for number, line in enumerate(lines) if line["line"] == "gap"))
    with pytest.raises(JournalBroken, match=said):
        read((msgspec.json.encode(line) for line in lines), tmp_path / "other.db")
    assert not (tmp_path / "other.db").exists()
