"""Text of others inside our own lines: bounded, on one line, without characters that act on a terminal."""

import unicodedata

_ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, direction marks, half surrogates, line separators


def plain(text: str, longest: int = 80, *, lines: bool = False) -> str:
    """The text with every acting character escaped, cut where it is too long; `lines` keeps its line ends."""
    if lines:
        return "\n".join(plain(line, longest) for line in text.splitlines())[:longest]
    cut = text if len(text) <= longest else f"{text[: longest - 1]}…"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(
        _escaped(character) if unicodedata.category(character) in _ACTING else character for character in cut
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
