r"""A text as its readers may come to see it: compatible signs made plain, invisible ones left out, escapes resolved.

What is looked for is looked for in this view; `places` says where each part of it stands in the text. Escapes are those
of URLs (`%40`), HTML (`&#64;`) and JSON (`\u0040`), one level deep, as far as they give ASCII.
"""

import html
import re
import unicodedata
from bisect import bisect_right

_ODD = re.compile(
    r"%[2-7][0-9A-Fa-f]|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-z]{2,8});|\\u00[0-9a-fA-F]{2}|[^\x00-\x7f]"
)


class View:
    """A text made plain. `text` is what it looks like."""

    def __init__(self, text: str) -> None:
        """Make it plain."""
        self._pieces: list[tuple[int, int, int]] | None = None  # where in the view, where in the text, and until where
        self.text = text
        if not (text.isascii() and "%" not in text and "&" not in text and "\\u" not in text):
            self.text = self._plain(text)

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where in the text a part of the view stands."""
        if self._pieces is None:
            return start, end
        return self._text(start)[0], self._text(end - 1)[1]

    def _text(self, at: int) -> tuple[int, int]:
        """Where in the text one sign of the view stands."""
        pieces = self._pieces or []
        view, text, until = pieces[bisect_right(pieces, at, key=lambda piece: piece[0]) - 1]
        return (text + at - view, text + at - view + 1) if until < 0 else (text, until)

    def _plain(self, text: str) -> str:
        parts: list[str] = []
        pieces: list[tuple[int, int, int]] = []
        read = written = 0
        for found in _ODD.finditer(text):
            plain = _read(found[0])
            if plain == found[0]:
                continue
            start, end = found.span()
            if start > read:
                pieces.append((written, read, -1))
                parts.append(text[read:start])
                written += start - read
            if plain:
                pieces.append((written, start, end))
                parts.append(plain)
                written += len(plain)
            read = end
        if not parts and not read:
            return text
        if read < len(text):
            pieces.append((written, read, -1))
            parts.append(text[read:])
        self._pieces = pieces
        return "".join(parts)


def _read(sign: str) -> str:
    """What one sign or escape looks like; nothing where it is invisible."""
    match sign[0]:
        case "%":
            return chr(int(sign[1:], 16))
        case "\\":
            return chr(int(sign.removeprefix("\\u"), base=16))
        case "&":
            plain = html.unescape(sign)
            return plain if plain.isascii() or plain == "\xa0" else sign
        case _:
            if unicodedata.category(sign) == "Cf":
                return ""
            return unicodedata.normalize("NFKC", sign)
