"""What comes from outside, masked: whole fields by their paths, and what detectors find in any text. And back, in Act.

Each value is masked once, at the door it comes through; a text that already looks like a mask is masked as well. So a
mask that somebody sends stands for the text that was sent, and never for the value of another.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from orchestrator.clock import Clock
from orchestrator.errors import JournalFull, MaskError
from orchestrator.masking.detect import Detector, detect
from orchestrator.masking.fields import Rules, below, rules_of
from orchestrator.masking.mask import MASK, Kind, decoded, encoded, kind_of, letters, meet, shaped
from orchestrator.masking.names import is_said, says_key
from orchestrator.types import Event, Json

if TYPE_CHECKING:
    from orchestrator.masking.vault import Vault  # loads cryptography, which most commands do without

_LONGEST = 1024
"""Characters of an attribute; a longer one is masked whole."""

_SHORT, _REMEMBERED = 64, 8_192
"""Characters of a text in which nothing was found and that is remembered for it, and how many are."""

_ATTRIBUTES = frozenset(Event.__struct_fields__) - {"data", "time", "extensions"}

_BIGGEST = 10**19
_DAY = 86_400


class Masking:
    """Masks with one key into one vault."""

    def __init__(
        self, vault: "Vault", key: bytes, *, fields: Iterable[str] = (), detect: Iterable[Detector] = (), clock: Clock
    ) -> None:
        """Mask these fields, and what these detectors find.

        Args:
            vault: keeps the values.
            key: masks are made with it.
            fields: paths below an event.
            detect: what is looked for in every text.
            clock: tells the day on which a value was met.

        Raises:
            SettingsError: a field is no path.
        """
        self._vault, self._key, self._clock = vault, key, clock
        self._rules, self._wanted = rules_of(fields), frozenset(detect)
        self._clean = set[str]()

    # ------------------------------------------------------------ from outside

    def text(self, text: str) -> str:
        """A text with all that is found in it masked, in place; as one mask, where half of one would become one."""
        if text in self._clean:
            return text
        found = detect(text, self._wanted)
        if not found:
            self._remember(text)
            return text
        parts, read = list[str](), 0
        for start, end, kind in found:
            parts += (text[read:start], self._mask(text[start:end], kind))
            read = end
        masked = "".join((*parts, text[read:]))
        return self._mask(text, "field") if meet((*parts, text[read:]), masked) else masked

    def data(self, value: Json) -> Json:
        """The data of an event."""
        return self.whole(value) if self._named("data") else self._below(value, below((self._rules,), "data")[0])

    def value(self, value: Json) -> Json:
        """Any value that no path leads to, such as what a tool gave; one too deep to look through is one mask."""
        try:
            return self._below(value, ())
        except RecursionError:
            return self._mask(value, "field")

    def whole(self, value: Json) -> Json:
        """The mask of a whole value; what is empty has nothing to hide."""
        if value is None or value in ("", [], {}):
            return value
        return self._mask(value, self._kind(value) or "field")

    def mask_of(self, value: Json) -> str:
        """The mask that `whole` gives for a value that is not empty, with nothing kept."""
        return shaped(self._kind(value) or "field", letters(value, self._key), value)

    def event(self, event: Event) -> Event:
        """An event, all of it but its time."""
        return self.attributes(
            replace(
                event,
                id=self._attribute(event.id),
                source=self._attribute(event.source),
                type=self._attribute(event.type),
                subject=None if event.subject is None else self._attribute(event.subject),
                data=self.data(event.data),
                dataschema=self._carried(event.dataschema),
                causationid=self._carried(event.causationid),
                correlationid=self._carried(event.correlationid),
                traceparent=self._carried(event.traceparent),
                sequence=self._carried(event.sequence),
                extensions={self.text(name): self._below(one, ()) for name, one in event.extensions.items()},
            )
        )

    def attributes(self, event: Event) -> Event:
        """An event whose parts are masked, with the attributes masked that a path leads to."""
        fields = _ATTRIBUTES & self._rules.keys()
        named = {name: value for name in fields if (value := getattr(event, name)) is not None}
        own = {name: self._once(value) for name, value in named.items() if isinstance(value, str)}
        extensions = {name: self._once(one) if self._named(name) else one for name, one in event.extensions.items()}
        return replace(event, **own, extensions=extensions) if own or extensions else event

    async def room(self) -> None:
        """Return when the vault has room for what a door is about to mask.

        Raises:
            JournalFull: the disk takes nothing, and too much waits for it already; come back later.
        """
        if not self._vault.full:
            return
        try:
            await self._vault.settled()
        except MaskError as error:
            raise JournalFull(f"{error}; nothing was stored", retry_after=5) from error

    async def settled(self) -> None:
        """Return when every value that was masked is on the disk; before a mask may be.

        Raises:
            MaskError: the disk does not take it.
        """
        await self._vault.settled()

    async def let_go(self, *, before: float, spared: Iterable[str] = ()) -> int:
        """Forget the values that no door met since a time (epoch seconds), but for those whose masks stand in `spared`.

        Raises:
            MaskError: the disk does not take it.
        """
        kept = {found[1] for text in spared for found in MASK.finditer(text)}
        return await self._vault.let_go(before=int(before) // _DAY, spared=kept)

    def redacted(self, text: str) -> str:
        """A text for people, such as a line of a log, in which masks stay and what is found is kept nowhere."""
        parts, read = list[str](), 0
        for known in [*MASK.finditer(text), None]:
            part = text[read : known.start() if known else len(text)]
            parts.append(self._redacted(part))
            if known:
                parts.append(known[0])
                read = known.end()
        return "".join(parts)

    def has_key(self, value: Json) -> bool:
        """Whether a key stands in a value, where keys are looked for."""
        return "key" in self._wanted and any(detect(text, ("key",), masks=False) for text in _texts(value))

    # ------------------------------------------------------------ in Act

    def unmasked(self, value: Json, told: dict[str, Json]) -> Json:
        """A value with every mask in its texts turned back; a text that is one mask becomes what it stands for.

        What each mask stood for is added to `told`.

        Raises:
            MaskError: a mask stands for nothing, any more.
        """
        match value:
            case str():
                for found in MASK.finditer(value):
                    told[found[0]] = self._behind(found[0], found[1])
                return told[value] if value in told else MASK.sub(lambda found: _written(told[found[0]]), value)
            case dict():
                return {name: self.unmasked(one, told) for name, one in cast("dict[str, Json]", value).items()}
            case list():
                return [self.unmasked(one, told) for one in cast("list[Json]", value)]
            case _:
                return value

    # ------------------------------------------------------------ inside

    def _below(self, value: Json, rules: Sequence[Rules]) -> Json:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {
                    self.text(name): self._named_key(name, one) or self._step(one, rules, name)
                    for name, one in cast("dict[str, Json]", value).items()
                }
            case list():
                return [self._step(one, rules, str(place)) for place, one in enumerate(cast("list[Json]", value))]
            case int() | float() if not isinstance(value, bool):
                return self._number(value)
            case _:
                return value

    def _step(self, value: Json, rules: Sequence[Rules], name: str) -> Json:
        if not rules:
            return self._below(value, ())
        inner, ends = below(rules, name)
        return self.whole(value) if ends else self._below(value, inner)

    def _named_key(self, name: str, value: Json) -> str | None:
        """The mask of a key that nothing but its field's name tells."""
        if "key" not in self._wanted or not says_key(name) or not is_said(value):
            return None
        return self._mask(value, "key")

    def _kind(self, value: Json) -> Kind | None:
        """What a value is as a whole, by the detectors."""
        found = detect(value, self._wanted) if isinstance(value, str) else []
        return found[0].kind if len(found) == 1 and found[0][:2] == (0, len(cast("str", value))) else None

    def _number(self, value: float) -> Json:
        if "card" not in self._wanted or not 10**12 <= value < _BIGGEST or value != int(value):
            return value
        return self._mask(value, "card") if detect(str(int(value)), ("card",)) else value

    def _remember(self, text: str) -> None:
        """Names, types and the like come with every event, and need no second look."""
        if len(text) <= _SHORT:
            if len(self._clean) >= _REMEMBERED:
                self._clean.clear()
            self._clean.add(text)

    def _attribute(self, value: str) -> str:
        masked = self.text(value)
        return masked if len(masked) <= _LONGEST else self._mask(value, "field")

    def _carried(self, value: str | None) -> str | None:
        return value and self._attribute(value)

    def _once(self, value: Json) -> Json:
        return value if isinstance(value, str) and MASK.fullmatch(value) else self._mask(value, "field")

    def _named(self, name: str) -> bool:
        return below((self._rules,), name)[1]

    def _mask(self, value: Json, kind: Kind) -> str:
        found = letters(value, self._key)
        self._vault.put(found, lambda: encoded(value), day=int(self._clock.now()) // _DAY)
        return shaped(kind, found, value)

    def _redacted(self, text: str) -> str:
        parts, read = list[str](), 0
        for start, end, kind in detect(text, self._wanted, masks=False):
            value = text[start:end]
            parts += (text[read:start], shaped(kind, letters(value, self._key), value))
            read = end
        return "".join((*parts, text[read:]))

    def _behind(self, text: str, found: str) -> Json:
        value = decoded(self._vault.find(found))
        if shaped(kind_of(text), found, value) != text:
            raise MaskError(f"`{text}` has not the shape of what it stands for; nobody but MDL makes masks")
        return value


def _written(value: Json) -> str:
    return value if isinstance(value, str) else encoded(value).decode()


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, one in cast("dict[str, Json]", value).items():
                yield name
                yield from _texts(one)
        case list() | tuple():
            for one in cast("Iterable[Json]", value):
                yield from _texts(one)
        case _:
            pass
