"""A signed head kept elsewhere shows what a chain alone cannot: a cut tail, a whole rewrite; and a forger is known."""

import asyncio
import base64
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st

from orchestrator.errors import CheckpointError
from orchestrator.journal.against import Comparison, compare
from orchestrator.journal.checkpoint import Checkpoint, check, public_text, read, sign
from orchestrator.journal.places import CheckpointFile
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.signing_key import NAME, signing_key
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.testing import ManualClock, MemoryJournal
from tests.journal.drafts import event
from tests.journal.tampering import cut, rewrite

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_text(KEY.public_key())
RECORDS = 20


async def written(path: Path) -> None:
    clock = ManualClock()
    async with SqliteJournal.open(path, clock=clock) as journal:
        for n in range(1, RECORDS + 1):
            await journal.append([event(f"order-{n}")])
            clock.advance(60)
            if n % 5 == 0:
                signed = sign(journal, KEY, at=clock.now())
                assert signed
                await CheckpointFile(path.with_name("seen.jsonl")).keep(signed)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of twenty records, and a checkpoint of every fifth in `seen.jsonl` beside it."""
    asyncio.run(written(tmp_path / "journal.db"))
    return tmp_path / "journal.db"


def compared(path: Path, *keys: str) -> Comparison:
    with SqliteReader(path) as reader:
        return compare(reader, [path.with_name("seen.jsonl")], keys or [PUBLIC])


def told(path: Path, *keys: str) -> list[str]:
    return [f"{one.line}: {one.text} ({one.lines})" for one in compared(path, *keys).findings]


async def test_an_empty_journal_has_no_head_to_sign() -> None:
    journal = MemoryJournal()
    assert sign(journal, KEY, at=0) is None
    await journal.append([event("a")])
    signed = sign(journal, KEY, at=1_800_000_000)
    assert signed
    assert (signed.position, signed.hash, signed.time) == (
        1, journal.records[0].hash.hex(), "2027-01-15T08:00:00.000+00:00",
    )  # fmt: skip
    check(read(signed.line), ["other", PUBLIC])


@given(st.sampled_from([*Checkpoint.__struct_fields__]), st.text(min_size=1) | st.integers(0))
def test_nothing_in_a_checkpoint_can_be_altered(field: str, value: str | int) -> None:
    signed = Checkpoint(journal="00", position=3, hash="ab", time="2026", key=PUBLIC)
    signed = msgspec.structs.replace(signed, signature=base64.b64encode(KEY.sign(signed.signed)).decode())
    check(signed, [PUBLIC])
    if isinstance(value, str) is (field == "position") or value == getattr(signed, field):
        return
    with pytest.raises(CheckpointError):
        check(msgspec.structs.replace(signed, **{field: value}), [PUBLIC, str(value)])


def test_what_was_signed_fits_also_when_the_journal_has_grown(journal: Path) -> None:
    assert compared(journal) == Comparison(4, 20, [])


def test_a_cut_tail_is_found_though_the_chain_holds(journal: Path) -> None:
    cut(journal, 12)
    assert verify(journal).records == 12
    assert told(journal) == [
        "3: the journal ends at #12, but on 2027-01-15T08:15:00 UTC it held #15: its tail was cut off (2)"
    ]
    assert compared(journal).through == 10
    cut(journal, 0)
    assert told(journal) == [
        "1: the journal ends at #0, but on 2027-01-15T08:05:00 UTC it held #5: its tail was cut off (4)"
    ]


def test_a_chain_that_was_rewritten_and_hashed_anew_is_found(journal: Path) -> None:
    rewrite(journal, 8, b"{}")
    assert verify(journal).records == RECORDS
    assert told(journal) == [
        "2: #10 has another hash than on 2027-01-15T08:10:00 UTC: it, or what stands before it, was rewritten (3)"
    ]
    rewrite(journal, 1, b"{}")
    assert told(journal)[0].startswith("1: the journal begins with another record than on 2027-01-15T08:05:00 UTC")


def test_a_forged_checkpoint_is_found(journal: Path) -> None:
    seen = journal.with_name("seen.jsonl")
    lines = seen.read_bytes().splitlines(keepends=True)
    rewrite(journal, 8, b"{}")
    with SqliteReader(journal) as reader:  # the forger fits the checkpoints to the journal, without the key
        forged = sign(reader, Ed25519PrivateKey.generate(), at=0)
    assert forged
    claimed = msgspec.structs.replace(forged, key=PUBLIC)
    seen.write_bytes(lines[0] + forged.line + claimed.line + b"not a line of ours\n")
    found = told(journal)
    assert found[0].startswith("2: the checkpoint of #20 is forged: it is signed by a key that is not yours, ")
    assert found[0].endswith(" (2)")
    assert found[1].startswith("4: this is no checkpoint: ")
    assert compared(journal).fit == 1


def test_every_file_is_told_of_by_its_name_and_line(journal: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(b"\n" + journal.with_name("seen.jsonl").read_bytes())
    cut(journal, 17)
    with SqliteReader(journal) as reader:
        found = compare(reader, [journal.with_name("seen.jsonl"), other], [PUBLIC])
        assert [(Path(one.file).name, one.line) for one in found.findings] == [("seen.jsonl", 4), ("other.jsonl", 5)]
        other.write_bytes(b"\n")
        with pytest.raises(CheckpointError, match=r"other.jsonl` holds no checkpoint"):
            compare(reader, [other], [PUBLIC])
        with pytest.raises(CheckpointError, match=r"none.jsonl` cannot be read"):
            compare(reader, [tmp_path / "none.jsonl"], [PUBLIC])


# ---------------------------------------------------------------- the key


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "made" / "journal.db"
    first = signing_key(path)
    assert public_text(signing_key(path).public_key()) == public_text(first.public_key())
    assert [(file.name, file.stat().st_mode & 0o777) for file in path.parent.iterdir()] == [(NAME, 0o600)]


def test_a_key_may_be_handed_in(tmp_path: Path) -> None:
    given = base64.b64encode(bytes(range(32))).decode()
    pem = signing_key(tmp_path / "journal.db") and (tmp_path / NAME).read_text(encoding="ascii")
    assert public_text(signing_key(tmp_path / "none.db", given).public_key()) == PUBLIC
    assert signing_key(tmp_path / "none.db", pem).public_key() == signing_key(tmp_path / "journal.db").public_key()


@pytest.mark.parametrize("text", ["c2hvcnQ=", "no base64", "", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END"])
def test_what_is_no_key_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(CheckpointError, match="holds no key: give PEM") as caught:
        signing_key(tmp_path / "journal.db", text)
    assert not text or text not in str(caught.value)
    (tmp_path / NAME).write_text(text)
    with pytest.raises(CheckpointError, match=rf"{NAME}` holds no key"):
        signing_key(tmp_path / "journal.db")


def test_a_folder_that_takes_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be used: "):
        signing_key(tmp_path / "file" / "journal.db")
