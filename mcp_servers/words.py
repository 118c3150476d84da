"""Text of others inside our own lines: bounded, on one line, without characters that act on a terminal or hide."""


def plain(text: str, longest: int = 80, *, lines: bool = False) -> str:
    """The text with all escaped that is not printable, cut where it is too long; `lines` keeps its line ends."""
    if lines:
        return "\n".join(plain(line, longest) for line in text.splitlines())[:longest]
    cut = text if len(text) <= longest else f"{text[: longest - 1]}…"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(character if character.isprintable() else _escaped(character) for character in cut)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
