"""What is masked: what detectors find however it is written, masks and back again, and masks that people name."""

import asyncio
import atexit
import json
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import get_args
from urllib.parse import quote

from orchestrator.clock import utc
from orchestrator.doors.masks import letters as named
from orchestrator.errors import EventError, MaskError
from orchestrator.masking.detect import Detector, detect
from orchestrator.masking.echo import Echo
from orchestrator.masking.mask import LIKE, MASK, Kind, decoded, encoded, kind_of, letters, likened, mask, spelled
from orchestrator.masking.masking import Masking
from orchestrator.masking.vault import NAME, Vault
from orchestrator.masking.view import View
from orchestrator.observe.strict_json import parse_json
from orchestrator.testing import ManualClock
from orchestrator.types import Action, Event, Json, canonical
from tests.fuzz.given import Given
from tests.fuzz.planted import INVISIBLE, spelt, value

KEY = b"k" * 64
ALL: tuple[Detector, ...] = get_args(Detector)
MAILS = (f"{'a' * count}@shop.example" for count in range(1, 64))
VICTIM = next(one for mail in MAILS if (one := mask(mail, "email", key=KEY)).endswith("m"))
"""A mask that any other mask makes whole where it stands behind it without its last letter."""


PIECES = [
    "@", "a", ".", "-", "+49", "00", "4111 ", "1111", "DE02", "%40", "%2", "&#64;", "&amp;", "&", "\\u0040", "\\u00",
    "token=", "Bearer ", "password: ", "-----BEGIN PRIVATE " + "KEY-----", "https://a:", "eyJ", "mdl_", "AKIA", "\n",
    " ", "\u200b", "\uff14", "\ufb01", "mask", "mask.card.", VICTIM, VICTIM.upper(), VICTIM[:-1], "mask~", "a" * 28,
    "\u0660", "\u0130", "'", '"', "()", "/", ",", ";", "=",
]  # fmt: skip
APART = ["\n", " | ", "; ", "\t<"]
"""What none of the values may hold, so that what stands before and behind one does not belong to it."""


def found_values(given: Given) -> None:
    """Places in order and within the text; a value among other text is found whole, however it is spelt."""
    before, behind = given.pieces(PIECES, 10), given.pieces(PIECES, 10)
    secret, apart = spelt(given, value(given)), given.pick(APART)
    text = f"{before}{apart}{secret}{apart}{behind}"
    spans = detect(text, ALL, masks=given.chance(2))
    ends = [0, *(place for span in spans for place in span[:2]), len(text)]
    assert ends == sorted(ends), (text, spans)
    assert all(span.start < span.end for span in spans), (text, spans)
    end = len(before) + len(apart) + len(secret)
    start = end - len(secret.lstrip(INVISIBLE))
    assert any(span.start <= start and end <= span.end for span in spans), (text, spans)
    view = View(text)
    places = [view.place(at, at + 1) for at in range(len(view.text))]
    assert places == sorted(places)
    assert all(
        view.text[at] == text[one] for at, (one, past) in enumerate(places) if past - one == 1 and text[one].isascii()
    )


@cache
def _masking() -> Masking:
    vault = Vault(Path(tempfile.mkdtemp(prefix="mdl-fuzz-")) / NAME, KEY)
    atexit.register(vault.close)
    return Masking(vault, KEY, fields=("data.whole", "data.*.pin", "note"), detect=ALL, clock=ManualClock())


def masked_values(given: Given) -> None:
    """An event's parts are masked, the same each time, and come back as they were; nobody else's mask is let in."""
    secret, apart = value(given), given.pick(APART)
    text = f"{given.pieces(PIECES, 8)}{apart}{secret}{apart}{given.pieces(PIECES, 8)}"
    given_data = {"text": text, "whole": given.json("pin"), "a": given.json("pin", "token"), "password": given.text(20)}
    try:
        data = parse_json(json.dumps(given_data).encode())
    except EventError:
        return
    event = Event(
        id="1", source="/s", type="t", time=utc(0), subject=text, data=data, extensions={"note": "n", "more": secret}
    )
    masking = _masking()
    masked = masking.event(event)
    asyncio.run(masking.settled())
    assert masking.event(event) == masked
    written = canonical(masked).decode()
    assert secret not in written, written
    assert VICTIM not in written, written
    for one, before in ((masked.data, data), (masked.subject, text), (masked.extensions["more"], secret)):
        assert canonical(masking.unmasked(one, {})) == canonical(before), one
    line = masking.redacted(text)
    assert secret not in line, line
    assert _masks(text) <= _masks(line), line


def _masks(text: str) -> set[str]:
    return {known[0] for known in MASK.finditer(text)}


TOLD: list[Json] = ["Rosa Luchs", "hunter-7", "x9", "a b@", 12_345, True, {"pin": 4}, [1.5], "mask", "\U0001f600"]


def echoes(given: Given) -> None:
    """What a tool says of what it was told has the masks of that, and whatever else is found has its own."""
    masking, secret = _masking(), value(given)
    known = [mask(one, "field", key=KEY) for one in TOLD] + [masking.text(secret)]
    for one in TOLD:
        masking._mask(one, "field")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  as a path to it would
    asyncio.run(masking.settled())
    arguments: dict[str, Json] = {"a": given.pick(known), "b": [" ".join((given.pick(known), known[-1]))]}
    told_: dict[str, Json] = {}
    for argument in arguments.values():
        masking.unmasked(argument, told_)
    action = Action(id="1", goal="g", step="s", tool="a.b", arguments=arguments)
    echo = Echo(masking, action, told_)
    texts = [str(one) for one in told_.values()] + list(told_)
    halves = [VICTIM[:-1]] if given.chance(3) else []
    said = [given.pieces([*texts, *PIECES[:20], " ", *halves], 8), *told_.values(), given.json(*TELLING)]
    given_: Json = json.loads(json.dumps({"said": said, "n": [given.pick(said)]}))
    heard = echo.value(given_)
    asyncio.run(masking.settled())
    written = canonical(heard).decode()
    assert secret not in written, written
    assert [echo.value(one) for one in told_.values() if isinstance(one, str)] == [
        name for name, one in told_.items() if isinstance(one, str)
    ]
    assert VICTIM not in written, written
    if not halves:  # or a text may be one mask, in which others are turned back with the next call alone
        assert canonical(masking.unmasked(heard, {})) == canonical(masking.unmasked(given_, {})), written


TELLING = ["text", "pin", "x"]


NO_MASK = "this is no mask; give one in quotes, as `mdl tail` shows it, or its 28 letters"


def named_masks(given: Given) -> None:
    """A text that somebody calls a mask: its letters, or an error that does not repeat it."""
    made = mask(given.json(depth=2), given.pick(get_args(Kind)), key=KEY)
    text = given.pick([made, made[-28:], given.pieces([*PIECES, made, made[-28:]], 3), given.text()])
    try:
        found, refused = named(text), NO_MASK
    except MaskError as error:
        found, refused = "", str(error)
    assert refused == NO_MASK  # and nothing of the text, which may be what is to be masked
    if found:
        assert re.fullmatch("[a-z]{28}", found)
        assert text.endswith(found)
    else:
        assert not MASK.fullmatch(text)


def masks(given: Given) -> None:
    """A mask names its kind, has the letters of its value, which comes back, and is alike for other spellings."""
    kind, one = given.pick(get_args(Kind)), given.json()
    try:
        one = parse_json(json.dumps(one).encode())
    except EventError:
        return
    made = mask(one, kind, key=KEY)
    match = MASK.fullmatch(made)
    assert match is not None, made
    assert (match[1], kind_of(made)) == (letters(one, KEY), kind)
    assert LIKE.fullmatch(made.upper())
    assert canonical(decoded(encoded(one))) == canonical(one)
    around = given.pieces(PIECES, 6)
    for alike in (spelled, likened):
        assert made not in alike(f"{around} {made} {around}")
    plain = "".join(given.pick("aB1 @.-+\u200b") for _ in range(given.number(12)))
    wide = "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in plain)
    other = given.pick([quote(plain.replace("\u200b", ""), safe=""), wide, plain.upper(), f" {plain} "])
    assert spelled(mask(plain, kind, key=KEY)) == spelled(mask(other, kind, key=KEY)), (plain, other)
    assert letters(plain, KEY)[24:] == letters(re.sub("[0-9]", "7", plain), KEY)[24:]
