"""Holds a journal against checkpoints that were kept elsewhere: finds a cut tail, a whole rewrite, a forgery.

The chain itself is `verify`'s to check; only what both find well is well. Of a record that is gone with its hash, as
`[journal] keep` says, nothing can be said; if so of every checkpoint, that is a finding as well.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestrator.errors import CheckpointError
from orchestrator.journal.checkpoint import Checkpoint, check, read
from orchestrator.journal.reader import SqliteReader

_GONE = "gone"


class Finding(Struct, frozen=True, kw_only=True):
    """What does not fit: the kind of fault, the file and line that first shows it, how many lines do, in a sentence."""

    fault: str
    file: str
    line: int
    position: int
    lines: int = 1
    text: str


class Comparison(Struct, frozen=True):
    """How many checkpoints fit, the highest position one of them covers, and what does not fit.

    Of `gone` checkpoints nothing can be said: their records are gone.
    """

    fit: int
    through: int
    findings: list[Finding]
    gone: int = 0


def compare(reader: SqliteReader, files: Sequence[Path], keys: Sequence[str]) -> Comparison:
    """Hold a journal against the checkpoints in files, believing these public keys.

    Raises:
        CheckpointError: a file cannot be read, or holds nothing.
    """
    through, fit, found = 0, 0, dict[tuple[str, str], Finding]()
    gone: Finding | None = None
    for file in files:
        for number, line in _lines(file):
            position, fault, text = _look(reader, line, keys)
            if not fault:
                fit, through = fit + 1, max(through, position)
                continue
            one = Finding(fault=fault, file=str(file), line=number, position=position, text=text)
            if fault == _GONE:
                gone = _joined(gone, one) if gone else one
                continue
            known = found.get((str(file), fault))
            found[str(file), fault] = _joined(known, one) if known else one
    findings = [*found.values()] if fit or found or gone is None else [gone]
    return Comparison(fit, through, findings, gone.lines if gone else 0)


def _look(reader: SqliteReader, line: bytes, keys: Iterable[str]) -> tuple[int, str, str]:
    """Position, fault and sentence; no fault where the checkpoint fits."""
    try:
        checkpoint = read(line)
    except CheckpointError as error:
        return 0, "damaged", str(error)
    try:
        check(checkpoint, keys)
    except CheckpointError as error:
        return checkpoint.position, "forged", f"the checkpoint of #{checkpoint.position} is forged: {error}"
    return (checkpoint.position, *_fault(reader, checkpoint))


def _fault(reader: SqliteReader, checkpoint: Checkpoint) -> tuple[str, str]:
    place, when = checkpoint.position, f"{checkpoint.time:.19} UTC"
    first, hash_ = reader.at(1), reader.hash_at(place)
    if first is None or place > reader.head:
        return "cut", f"the journal ends at #{reader.head}, but on {when} it held #{place}: its tail was cut off"
    if first.hash.hex() != checkpoint.journal:
        return "rewritten", (
            f"the journal begins with another record than on {when}: it was rewritten from #1 on, or is another journal"
        )
    if hash_ is None:
        return _GONE, f"#{place} is gone, as `[journal] keep` says; what it was on {when} cannot be said any more"
    if hash_.hex() != checkpoint.hash:
        return "rewritten", f"#{place} has another hash than on {when}: it, or what stands before it, was rewritten"
    return "", ""


def _joined(one: Finding, other: Finding) -> Finding:
    """One finding for both: the one at the lower position, where the fault begins."""
    lower = min(one, other, key=lambda finding: finding.position)
    return msgspec.structs.replace(lower, lines=one.lines + other.lines)


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    found = False
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    found = True
                    yield number, line
    except OSError as error:
        raise CheckpointError(f"`{file}` cannot be read: {error}") from error
    if not found:
        raise CheckpointError(f"`{file}` holds no checkpoint; see `[journal.checkpoint]` in mdl.toml")
