"""Whether an answer is what a frozen case says of it, in substance."""

from typing import Any, cast


def says(text: str, words: list[Any]) -> list[Any]:
    """Which of the words a text lacks; thousands separators and case are left out of account."""
    bare = text.lower().replace(",", "")
    return [word for word in words if not any(one.lower().replace(",", "") in bare for one in _any(word))]


def holds(got: Any, expected: Any, place: str = "") -> list[str]:
    """Where an answer is not what is expected of it; what it has besides is free."""
    match expected:
        case {"says": words} if isinstance(got, dict):
            entry = cast("dict[str, Any]", got)
            rest = {name: one for name, one in expected.items() if name != "says"}
            missing = says(str(entry.get("error")), words)
            return [f"{place} lacks {missing} in {entry}"] * bool(missing) + holds(entry, rest, place)
        case dict():
            if not isinstance(got, dict):
                return [f"{place}: {got!r} is no object"]
            entry, wanted = cast("dict[str, Any]", got), cast("dict[str, Any]", expected)
            return [fault for name, one in wanted.items() for fault in holds(entry.get(name), one, f"{place}.{name}")]
        case list():
            entries, all_wanted = cast("list[Any]", got), cast("list[Any]", expected)
            if not isinstance(got, list) or len(entries) != len(all_wanted):
                return [f"{place}: {got!r} is no list of {len(all_wanted)}"]
            return [
                fault
                for at, (one, wanted) in enumerate(zip(entries, all_wanted, strict=True))
                for fault in holds(one, wanted, f"{place}[{at}]")
            ]
        case float() | int() if isinstance(got, float | int) and not isinstance(expected, bool):
            return [] if abs(got - expected) <= 1e-9 * abs(expected) else [f"{place}: {got!r}, not {expected!r}"]
        case _:
            return [] if got == expected and type(got) is type(expected) else [f"{place}: {got!r}, not {expected!r}"]


def _any(word: Any) -> list[str]:
    return cast("list[str]", word) if isinstance(word, list) else [str(word)]
