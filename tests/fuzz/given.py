"""What a fuzzer gives, bytes, taken apart into what a target asks for. Where they end, the least of everything."""

from collections.abc import Sequence
from typing import TypeVar

from orchestrator.types import Json

T = TypeVar("T")
NAMES = ["id", "type", "data", "subject", "text", "on", "do", "a", "", "é", "data.a", "__proto__", "$ref", "0"]
TEXTS = ["", "a", "0", "-1", "1e999", "\u0000", "é", "\uff1d", "\u202e", "${A}", "=event.id", "[" * 70, "1h", "*"]
NUMBERS = [0, 1, -1, 2**31, 2**53, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, 5e-324]


class Given:
    """Bytes, consumed from their start."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first."""
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        """Bytes that are not taken yet."""
        return len(self._data) - self._at

    def some(self, most: int) -> bytes:
        """The next bytes, at most so many."""
        taken = self._data[self._at : self._at + most]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        """All that is left."""
        return self.some(self.left)

    def number(self, most: int) -> int:
        """From 0 to `most`."""
        width = (most.bit_length() + 7) // 8
        return int.from_bytes(self.some(width), "big") % (most + 1)

    def pick(self, among: Sequence[T]) -> T:
        """One of these."""
        return among[self.number(len(among) - 1)]

    def chance(self, of: int) -> bool:
        """Once in so many; never where nothing is left."""
        return self.left > 0 and self.number(of - 1) == 0

    def text(self, most: int = 40) -> str:
        """Any text; no lone surrogates, which no reader of JSON, TOML or HTTP lets in."""
        return self.some(self.number(most)).decode("utf-8", "replace")

    def pieces(self, among: Sequence[str], most: int = 30) -> str:
        """Pieces of a language, one after the other; now and then any text between them."""
        return "".join(self.text(6) if self.chance(12) else self.pick(among) for _ in range(self.number(most)))

    def json(self, *names: str, depth: int = 4) -> Json:
        """Any JSON value, as it is in Python; keys are mostly of `names`."""
        match self.number(7 if depth else 4):
            case 0:
                return self.pick([None, True, False])
            case 1:
                return self.pick(NUMBERS)
            case 2:
                return self.number(2**16)
            case 3:
                return self.pick(TEXTS)
            case 4:
                return self.text()
            case 5:
                return [self.json(*names, depth=depth - 1) for _ in range(self.number(4))]
            case _:
                keys = [*names, *NAMES] if self.chance(4) or not names else names
                return {self.pick(keys): self.json(*names, depth=depth - 1) for _ in range(self.number(8))}
