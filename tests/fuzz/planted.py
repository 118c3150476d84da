"""Values as people and services have them, made by their own rules, and the ways in which they may be written."""

from collections.abc import Callable

from orchestrator.credential import mint
from tests.fuzz.given import Given

_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SIGNS = _CAPITALS + _CAPITALS.lower() + "0123456789"
INVISIBLE = "\u200b\u00ad\u2060\ufeff\u200e"


def value(given: Given) -> str:
    """A mail address, card number, IBAN, phone number or key that holds by all its rules."""
    match given.number(5):
        case 0:
            return f"{_some(given, _SIGNS, 1 + given.number(20))}@{_some(given, _SIGNS, 8)}.example"
        case 1:
            digits = "4" + _some(given, "0123456789", 14)
            digits += str(-_luhn(digits + "0") % 10)
            gap = given.pick(["", " ", "-", "."])
            return gap.join(digits[at : at + 4] for at in range(0, 16, 4))
        case 2:
            account = _some(given, "0123456789", 18)
            whole = f"DE{98 - int(account + '131400') % 97:02}{account}"
            gap = given.pick(["", " "])
            return gap.join(whole[at : at + 4] for at in range(0, 22, 4))
        case 3:
            return given.pick(["+49 30 ", "+4930", "0049 30 "]) + "9" + _some(given, "0123456789", 5)
        case 4:
            return "AKIA" + _some(given, _CAPITALS + "234567", 16)
        case _:
            return mint(lambda size: given.some(size).ljust(size, b"k"))


def spelt(given: Given, text: str) -> str:
    """The text as a reader of URLs, HTML, JSON or East Asian signs would see it again."""
    ways: tuple[Callable[[str], str], ...] = (
        lambda sign: sign,
        lambda sign: f"%{ord(sign):02x}",
        lambda sign: f"&#{ord(sign)};",
        lambda sign: f"&#X{ord(sign):X};",
        lambda sign: f"\\u{ord(sign):04x}",
        lambda sign: chr(ord(sign) + 0xFEE0) if sign > " " else "\u3000",
        lambda sign: given.pick(INVISIBLE) + sign,
    )
    few = given.chance(2)
    return "".join(given.pick(ways)(sign) if not few or given.chance(6) else sign for sign in text)


def _some(given: Given, among: str, size: int) -> str:
    return "".join(given.pick(among) for _ in range(size))


def _luhn(digits: str) -> int:
    doubled = [int(sign) * (1 + odd % 2) for odd, sign in enumerate(reversed(digits))]
    return sum(sum(divmod(one, 10)) for one in doubled)
