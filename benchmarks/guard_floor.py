"""What `guard.py` holds ours against: the same checks written by hand for this one goal, in straight Python.

It has no goals, no CEL and no reasons, and nothing it looks at is kept: what is left is what the checks cost.
"""

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import takewhile
from typing import Any, NamedTuple, TypeAlias
from unicodedata import normalize
from zoneinfo import ZoneInfo

from guard_scenes import (
    ALIKE,
    ALIKE_WITHIN,
    DAY,
    FAILED_WITHIN,
    FAILURES,
    FRESH,
    GOAL,
    MOST_REACHED,
    OWN,
    OWNERS,
    PAUSE,
    RATE,
    REFUNDS,
    REST,
    SHARED,
    TOOL,
    Asked,
    Scene,
    arguments,
)

_BERLIN = ZoneInfo("Europe/Berlin")
_COST = 0.02
_RECIPIENT = re.compile(r"""[!#-+\--:=?@-~]+""")
_URL = re.compile(r"https://[^/?#@\\\s]+/[!-\[\]-~]*")
_DIVIDING = re.compile(r"[/?#%@:&;\\]")
_DIGITS = re.compile(r"\d+")
_MOST_DEEP, _EXACT = 8, 2**53

Globs: TypeAlias = Sequence[re.Pattern[str]]


class Facts(NamedTuple):
    """One action, and what has been counted for it: what engines are told that cannot count."""

    goal: str
    tool: str
    owner: str
    arguments: dict[str, Any]
    data: dict[str, Any]
    planned: bool
    stopped: bool
    age: float
    at: str
    depth: int
    circle: bool
    repeated: int
    rate: int
    cooling: float
    known: bool
    reached: int
    most: int
    actions: int
    usd: float
    amount: float
    resting: bool


class ByHand:
    """The checks, and the lists they count in."""

    def __init__(self, scene: Scene) -> None:
        """Judge in a scene."""
        self._scene = scene
        self._owners = {owner: tuple(map(_glob, globs)) for owner, globs in OWNERS.items()}
        self._approve = tuple(map(_glob, scene.approve))
        self._times: list[float] = []
        self._paid: list[tuple[float, float]] = []
        self._sums: list[tuple[float, float]] = []
        self._rates: dict[str, list[float]] = {}
        self._repeats: dict[bytes, list[float]] = {}
        self._cooled: dict[str, float] = {}
        self._reached: dict[str, float] = {}
        self._failed, self._rests_until = list[float](), 0.0
        for ago in scene.failed:
            self._fail(scene.now - ago)
        for past in sorted(scene.past, key=lambda past: -past.ago):
            self._charge(scene.now - past.ago, past.subject, past.arguments)

    def prepared(self, asked: Sequence[Asked]) -> Iterator[Callable[[], str]]:
        """The judging of each, ready to be done."""
        for one in asked:
            yield partial(self.judge, one, one.arguments)

    def said(self) -> str:
        """What becomes of the scene's action."""
        return self.judge(self._scene.asked, self._scene.asked.arguments)

    def judge(self, asked: Asked, given: dict[str, Any]) -> str:
        """`grant`, or the check that refuses."""
        return _refused(self.facts(asked, given), self._owners, self._scene.dry, self._approve) or "grant"

    def facts(self, asked: Asked, given: dict[str, Any]) -> Facts:
        """Count what an action has to be held against."""
        scene, now = self._scene, self._scene.now
        chain = (*scene.lineage, f"{GOAL}/{TOOL}")
        day, to = now - DAY, given["to"]
        gone = sum(1 for _ in takewhile(lambda at: at <= day, self._reached.values()))
        return Facts(
            goal=GOAL,
            tool=TOOL,
            owner=scene.owner,
            arguments=given,
            data=asked.data,
            planned=asked.planned is not None,
            stopped=GOAL in scene.stopped or "all" in scene.stopped,
            age=scene.age,
            at=_time_of_day(int(now // 60)),
            depth=len(chain),
            circle=any(chain[-steps:] == chain[-2 * steps : -steps] for steps in range(2, 6)),
            repeated=_after(self._repeats.get(_likeness(given), ()), now - ALIKE_WITHIN),
            rate=_after(self._rates.get(asked.subject, ()), now - 60),
            cooling=self._cooled.get(given["order"], 0.0) + PAUSE - now,
            known=self._reached.get(to, 0.0) > day,
            reached=len(self._reached) - gone,
            most=int(scene.customers * MOST_REACHED),
            actions=_after(self._times, day),
            usd=_sum(self._paid, day),
            amount=_sum(self._sums, day),
            resting=now < self._rests_until,
        )

    def _fail(self, at: float) -> None:
        self._failed.append(at)
        if _after(self._failed, at - FAILED_WITHIN) >= FAILURES:
            self._rests_until = at + REST

    def _charge(self, at: float, subject: str, given: dict[str, Any]) -> None:
        self._times.append(at)
        self._paid.append((at, _COST))
        self._sums.append((at, given["amount"]))
        self._rates.setdefault(subject, []).append(at)
        self._repeats.setdefault(_likeness(given), []).append(at)
        self._cooled[given["order"]] = at
        self._reached.pop(given["to"], None)
        self._reached[given["to"]] = at


def bound(facts: Facts) -> bool:
    """Whether every value in a sink is what the goal's owner wrote."""
    return not facts.planned and facts.arguments == arguments(facts.data)


def shaped(facts: Facts) -> bool:
    """Whether every value in a sink has its shape."""
    given, data = facts.arguments, facts.data
    to, amount, url = given["to"], given["amount"], given["callback"]
    parts = (data["branch"], data["order"], data["clerk"])
    return (
        _RECIPIENT.fullmatch(to) is not None
        and to.count("@") <= 1
        and amount.__class__ in {int, float}
        and 0 <= amount <= _EXACT
        and url.startswith(REFUNDS)
        and ".." not in url
        and _URL.fullmatch(url) is not None
        and all(part.strip(" .") and not _DIVIDING.search(part) for part in parts)
    )


def _refused(facts: Facts, owners: Mapping[str, Globs], dry: Sequence[str], approve: Globs) -> str | None:
    tool, amount, data = facts.tool, facts.arguments["amount"], facts.data
    if facts.stopped:
        return "stop"
    if tool != TOOL or amount > data["paid"] or data["currency"] not in {"EUR", "CHF"}:
        return "grants"
    if not bound(facts) or not shaped(facts):
        return "taint"
    if not any(glob.fullmatch(tool) for glob in owners[facts.owner]):
        return "owners"
    if (name := _time(facts) or _count(facts, amount)) is not None:
        return name
    if any(glob.fullmatch(tool) for glob in approve):
        return "approval"
    if tool in dry:
        return "dry_run"
    return "own" if data["channel"] == "phone" else None


def _time(facts: Facts) -> str | None:
    if facts.age > FRESH:
        return "freshness"
    return "quiet" if facts.at >= "22:00" or facts.at < "06:00" else None


def _count(facts: Facts, amount: float) -> str | None:
    if facts.depth > _MOST_DEEP or facts.circle:
        return "depth"
    if facts.resting:
        return "breaker"
    if facts.repeated >= ALIKE:
        return "repeat"
    if facts.rate >= RATE:
        return "rate"
    if facts.cooling > 0:
        return "cooldown"
    if not facts.known and facts.reached >= facts.most:
        return "blast"
    for most in (OWN, SHARED):  # both count in the same lists, since there is one goal here
        if facts.actions >= most.actions or facts.usd + _COST > most.usd or facts.amount + amount > most.amount:
            return "budget"
    return None


def _glob(glob: str) -> re.Pattern[str]:
    return re.compile(re.escape(glob).replace(r"\*", ".*"))


def _likeness(given: dict[str, Any]) -> bytes:
    text = json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(_DIGITS.sub("0", normalize("NFKC", text).casefold()).encode()).digest()


@lru_cache(maxsize=64)
def _time_of_day(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC).astimezone(_BERLIN):%H:%M}"


def _after(times: Sequence[float], start: float) -> int:
    return len(times) - bisect_right(times, start)


def _sum(amounts: list[tuple[float, float]], start: float) -> float:
    return sum(amount for _, amount in amounts[bisect_right(amounts, (start, float("inf"))) :])
