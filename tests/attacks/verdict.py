"""From how two worlds ended to a verdict on their case, and from all verdicts to a table and four numbers."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from tests.attacks.cases import Case
from tests.attacks.world import Played

Attack = Literal["through", "stopped", "unsupported", "trouble"]
Twin = Literal["acted", "idle", "unsupported", "trouble"]
LEAST = 0.98
"""The share of twins that must act."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of a case.

    attack: `unsupported` where MDL does not have what the case needs; also where it refuses the settings of an attack
        and the twin has not shown that it takes such settings. A world that could not be played is `trouble`.
    """

    id: str
    class_: str
    attack: Attack
    twin: Twin
    said: str = ""
    seconds: float = 0.0


def verdict(case: Case, attack: Played, twin: Played) -> Verdict:
    """Judge a case by how its attack and its twin ended."""
    return Verdict(
        id=case.id,
        class_=case.class_,
        attack=_attack(attack, twin),
        twin=_twin(twin),
        said="; ".join(f"{side}: {one.said}" for side, one in (("attack", attack), ("twin", twin)) if one.said),
        seconds=attack.seconds + twin.seconds,
    )


def numbers(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """The run in four numbers."""
    found = list(verdicts)
    return {
        "attacks": len(found),
        "through": sum(one.attack == "through" for one in found),
        "benign": len(found),
        "acted": sum(one.twin == "acted" for one in found),
    }


def well(verdicts: Iterable[Verdict]) -> bool:
    """Whether every attack was played and stopped, and enough twins acted."""
    found = list(verdicts)
    told = numbers(found)
    return all(one.attack == "stopped" for one in found) and told["acted"] >= LEAST * told["benign"]


def table(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """A line for each kind of attack, by the first word of its class."""
    kinds = dict[str, Counter[str]]()
    for one in verdicts:
        count = kinds.setdefault(one.class_.partition(".")[0], Counter())
        count.update([one.attack, f"twin {one.twin}", "all"])
    columns = ("all", "stopped", "through", "unsupported", "trouble", "twin acted", "twin idle", "twin unsupported")
    columns = (*columns, "twin trouble")
    yield f"{'class':14}" + "".join(f"{name:>{len(name) + 2}}" for name in columns)
    for kind, count in sorted(kinds.items()):
        yield f"{kind:14}" + "".join(f"{count[name]:>{len(name) + 2}}" for name in columns)


def _attack(attack: Played, twin: Played) -> Attack:
    match attack.end:
        case "holds":
            return "through"
        case "not":
            return "stopped"
        case "refused":
            return "stopped" if twin.end == "holds" else "unsupported"
        case "unsupported" | "trouble" as same:
            return same


def _twin(twin: Played) -> Twin:
    match twin.end:
        case "holds":
            return "acted"
        case "not" | "refused":
            return "idle"
        case "unsupported" | "trouble" as same:
            return same
