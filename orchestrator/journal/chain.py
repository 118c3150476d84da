"""The hash chain, pure: what a record's hash is made of. No I/O, no chance, no SQLite.

    hash   = SHA-256(previous hash ‖ header ‖ digest)
    digest = SHA-256(salt ‖ body)
    header = "MDL1" ‖ position ‖ at ‖ cause ‖ five lengths ‖ kind ‖ type ‖ key ‖ id ‖ source

The first record's previous hash is `GENESIS`. Numbers are big-endian: position and cause signed 64 bit, `at` IEEE 754
double, lengths unsigned 32 bit, counted in Unicode code points of the text, which follows as UTF-8. Every part has a
fixed width or a length before it, so two different records never give the same bytes. A body and its salt can be
deleted: with the digest kept, the chain still verifies.
"""

from collections.abc import Mapping
from hashlib import sha256
from struct import Struct, error as StructError  # noqa: N812  the library spells its error small
from typing import get_args

from orchestrator.errors import JournalError
from orchestrator.types import Draft, Kind

GENESIS = bytes(32)
"""What stands before the first record."""

SALT = 16
"""Bytes of chance before a body, so that a short body cannot be guessed from its digest."""

MAX_BODY = 64 * 1024 * 1024
"""Bytes a body may have."""

MAX_TEXTS = 1024 * 1024
"""Code points that kind, type, key, id and source may have together."""

_KINDS = frozenset(get_args(Kind))
_PLACE = Struct(">4sqd")
_LENGTHS = Struct(">q5I")
_MARK = b"MDL1"


def terms(draft: Draft) -> bytes:
    """The end of a draft's header, which is known before its position; also the check that it can be stored at all.

    Raises:
        JournalError: a column has the wrong type or size, or text that is no Unicode.
    """
    kind, body = draft.kind, draft.body
    try:
        if kind not in _KINDS:
            raise TypeError(f"a record's kind is one of {', '.join(sorted(_KINDS))}")  # noqa: TRY301  one text for all
        if type(body) is not bytes or len(body) > MAX_BODY:
            raise TypeError(f"a body is bytes, at most {MAX_BODY}")  # noqa: TRY301  one text for all
        return terms_of(kind, draft.type, draft.key, draft.id, draft.source, draft.cause)
    except (TypeError, StructError, UnicodeEncodeError) as error:
        name = f"{draft.kind!s:.40} `{draft.id!s:.80}` of `{draft.source!s:.80}`"
        raise JournalError(f"{name} cannot be stored: {error}; correct it where it is made") from error


def texts(positions: Mapping[str, str]) -> list[tuple[str, str]]:
    """The sources' positions, checked as drafts are.

    Raises:
        JournalError: one is no text, or no Unicode.
    """
    try:
        for uri, position in positions.items():
            (uri + position).encode()
    except (TypeError, UnicodeEncodeError) as error:
        raise JournalError(f"a source's position is text under a text: {error}; correct it at the source") from error
    return list(positions.items())


def terms_of(kind: str, type_: str, key: str, id_: str, source: str, cause: int) -> bytes:  # noqa: PLR0917
    """`terms` of a record's columns, without a look at the body."""
    texts = "".join((kind, type_, key, id_, source))  # noqa: FLY002  refuses what is no text
    if len(texts) > MAX_TEXTS:
        raise TypeError(f"type, key, id and source have {len(texts)} characters, more than {MAX_TEXTS}")
    return _LENGTHS.pack(cause, len(kind), len(type_), len(key), len(id_), len(source)) + texts.encode()


def digest_of(salt: bytes | bytearray, body: bytes) -> bytes:
    """The body's digest."""
    return sha256(salt + body).digest()


def link(previous: bytes, digest: bytes, *, position: int, at: float, terms: bytes) -> bytes:
    """The hash of the record at `position`, taken `at` (epoch seconds), behind the record whose hash is `previous`."""
    return sha256(previous + _PLACE.pack(_MARK, position, at) + terms + digest).digest()
