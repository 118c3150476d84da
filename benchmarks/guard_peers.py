"""What `guard.py` measures beside ours: Cedar (cedarpy) and Casbin, asked the same as far as each can say it.

Neither counts, so both are told what `guard_floor.py` has counted, and telling it is not measured. `CANNOT` says what
else had to be done for them. Nothing of what they give is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import casbin
import cedarpy
from guard_floor import ByHand, Facts, bound, shaped
from guard_scenes import OWNERS, REFUNDS, TOOL, Asked, Scene

CANNOT = {
    "Cedar": "told, not asked: all counts, the time of day in Berlin, circles, whether a value is the owner's, and its "
    "shape (no `+` for texts, no regular expressions); says which policy, without numbers; approval is a plain no",
    "Casbin": "told, not asked: all counts, the time of day in Berlin, circles, and what is the owner's if a planner "
    "wrote it; says which policy, without numbers; approval is a plain no",
}

_CEDAR = """
@id("permit") permit (principal, action == Action::"pay.refund", resource);
@id("stop") forbid (principal, action, resource) when { context.stopped };
@id("grants") forbid (principal, action, resource)
    unless { context.cents <= context.paid && ["EUR", "CHF"].contains(context.currency) };
@id("taint") forbid (principal, action, resource) unless { context.bound && context.shaped };
@id("owners") forbid (principal, action, resource) unless { OWNERS };
@id("freshness") forbid (principal, action, resource) when { context.age > 600000 };
@id("quiet") forbid (principal, action, resource)
    when { !(context.tool like "mail.*") && (context.minute >= 1320 || context.minute < 360) };
@id("depth") forbid (principal, action, resource) when { context.depth > 8 || context.circle };
@id("breaker") forbid (principal, action, resource) when { context.resting };
@id("repeat") forbid (principal, action, resource) when { context.repeated >= 5 };
@id("rate") forbid (principal, action, resource) when { context.rate >= 30 };
@id("cooldown") forbid (principal, action, resource) when { context.cooling > 0 };
@id("blast") forbid (principal, action, resource) when { !context.known && context.reached >= context.most };
@id("budget") forbid (principal, action, resource)
    when { context.actions >= 500 || context.usd + 2 > 5000 || context.spent + context.cents > 10000000 };
@id("shared") forbid (principal, action, resource) when { context.tool like "pay.*" &&
    (context.actions >= 5000 || context.usd + 2 > 50000 || context.spent + context.cents > 100000000) };
@id("approval") forbid (principal, action, resource) when { APPROVE };
@id("dry_run") forbid (principal, action, resource) when { DRY };
@id("own") forbid (principal, action, resource) when { context.channel == "phone" };
"""
_MODEL = """
[request_definition]
r = ask
[policy_definition]
p = name, rule, eft
[policy_effect]
e = !some(where (p.eft == deny))
[matchers]
m = eval(p.rule)
"""
_CASBIN = {
    "stop": "r.ask.stopped",
    "grants": "r.ask.tool != 'pay.refund' or r.ask.amount > r.ask.paid or r.ask.currency not in ('EUR', 'CHF')",
    "taint": f"r.ask.planned or r.ask.to != r.ask.account or r.ask.amount != r.ask.refund or r.ask.callback != "
    f"'{REFUNDS}' + r.ask.branch + '/' + r.ask.order + '?by=' + r.ask.clerk or r.ask.amount < 0 "
    "or not regexMatch(r.ask.to, '^[!#-+.-:=?@-~-]+$') or not regexMatch(r.ask.callback, '^https://[^/?#@]+/[!-~]+$') "
    "or regexMatch(r.ask.branch, '[/?#%@:&;]|[.][.]') or regexMatch(r.ask.order, '[/?#%@:&;]|[.][.]') "
    "or regexMatch(r.ask.clerk, '[/?#%@:&;]|[.][.]')",
    "owners": "OWNERS",
    "freshness": "r.ask.age > 600",
    "quiet": "not keyMatch(r.ask.tool, 'mail.*') and (r.ask.at >= '22:00' or r.ask.at < '06:00')",
    "depth": "r.ask.depth > 8 or r.ask.circle",
    "breaker": "r.ask.resting",
    "repeat": "r.ask.repeated >= 5",
    "rate": "r.ask.rate >= 30",
    "cooldown": "r.ask.cooling > 0",
    "blast": "not r.ask.known and r.ask.reached >= r.ask.most",
    "budget": "r.ask.actions >= 500 or r.ask.usd + 0.02 > 50 or r.ask.spent + r.ask.amount > 100000",
    "shared": "keyMatch(r.ask.tool, 'pay.*') and (r.ask.actions >= 5000 or r.ask.usd + 0.02 > 500 "
    "or r.ask.spent + r.ask.amount > 1000000)",
    "approval": "APPROVE",
    "dry_run": "DRY",
    "own": "r.ask.channel == 'phone'",
}


class Cedar:
    """Cedar's engine, with policies and entities parsed once."""

    def __init__(self, scene: Scene) -> None:
        """Judge in a scene."""
        text = _CEDAR.replace("OWNERS", " || ".join(_cedar_owner(owner, may) for owner, may in OWNERS.items()))
        text = text.replace("APPROVE", " || ".join(f'context.tool like "{glob}"' for glob in scene.approve))
        text = text.replace("DRY", " || ".join(f'context.tool == "{tool}"' for tool in scene.dry))
        self._policies, self._entities = cedarpy.PolicySet.from_str(text), cedarpy.Entities.from_json_str("[]")
        self._scene, self._counts = scene, ByHand(scene)

    def prepared(self, asked: Sequence[Asked]) -> Iterator[Callable[[], Any]]:
        """The judging of each, ready to be done."""
        for one in asked:
            facts = self._counts.facts(one, one.arguments)
            context, owned, shape = _cedar_context(facts), bound(facts), shaped(facts)
            context |= {"bound": owned, "shaped": shape}
            yield partial(self._judge, context)

    def said(self) -> set[str]:
        """What becomes of the scene's action: every policy that refuses, or `grant`."""
        (judge,) = self.prepared([self._scene.asked])
        found = judge()
        assert not found.diagnostics.errors, found.diagnostics.errors
        return {"grant"} if found.allowed else set(found.diagnostics.id_annotations_by_reason.values())

    def _judge(self, context: dict[str, Any]) -> cedarpy.AuthzResult:
        request = {
            "principal": {"type": "Goal", "id": "refund-order"},
            "action": {"type": "Action", "id": TOOL},
            "resource": {"type": "Tool", "id": TOOL},
            "context": context,
        }
        return cedarpy.is_authorized(request, self._policies, self._entities)


class Casbin:
    """Casbin's enforcer, with one line of policy for each of ours."""

    def __init__(self, scene: Scene) -> None:
        """Judge in a scene."""
        model = casbin.Model()
        model.load_model_from_text(_MODEL)
        self._enforcer = casbin.Enforcer(model)
        own = {
            "OWNERS": " and ".join(_casbin_owner(owner, may) for owner, may in OWNERS.items()),
            "APPROVE": " or ".join(f"keyMatch(r.ask.tool, '{glob}')" for glob in scene.approve),
            "DRY": " or ".join(f"r.ask.tool == '{tool}'" for tool in scene.dry),
        }
        for name, rule in _CASBIN.items():
            self._enforcer.add_policy(name, own.get(rule, rule), "deny")
        self._scene, self._counts = scene, ByHand(scene)

    def prepared(self, asked: Sequence[Asked]) -> Iterator[Callable[[], Any]]:
        """The judging of each, ready to be done."""
        for one in asked:
            ask = _Ask(self._counts.facts(one, one.arguments))
            yield lambda ask=ask: self._judge(ask)

    def said(self) -> set[str]:
        """What becomes of the scene's action: the policy that refuses, or `grant`."""
        (judge,) = self.prepared([self._scene.asked])
        allowed, why = judge()
        return {"grant"} if allowed else {why[0]}

    def _judge(self, ask: "_Ask") -> Any:
        return self._enforcer.enforce_ex(ask)


class _Ask:
    """One action as Casbin reads it, by attributes."""

    def __init__(self, facts: Facts) -> None:
        given = facts.data | facts.arguments
        self.__dict__.update({**facts._asdict(), **given, "refund": facts.data["amount"], "spent": facts.amount})


def _cedar_context(facts: Facts) -> dict[str, Any]:
    return {
        "tool": facts.tool,
        "owner": facts.owner,
        "stopped": facts.stopped,
        "cents": round(facts.arguments["amount"] * 100),
        "paid": facts.data["paid"] * 100,
        "currency": facts.data["currency"],
        "channel": facts.data["channel"],
        "age": round(facts.age * 1000),
        "minute": int(facts.at[:2]) * 60 + int(facts.at[3:]),
        "depth": facts.depth,
        "circle": facts.circle,
        "repeated": facts.repeated,
        "rate": facts.rate,
        "cooling": round(facts.cooling * 1000),
        "known": facts.known,
        "reached": facts.reached,
        "most": facts.most,
        "actions": facts.actions,
        "resting": facts.resting,
        "usd": round(facts.usd * 100),
        "spent": round(facts.amount * 100),
    }


def _cedar_owner(owner: str, may: Sequence[str]) -> str:
    globs = " || ".join(f'context.tool like "{glob}"' for glob in may)
    return f'(context.owner == "{owner}" && ({globs}))'


def _casbin_owner(owner: str, may: Sequence[str]) -> str:
    globs = " or ".join(f"keyMatch(r.ask.tool, '{glob}')" for glob in may)
    return f"not (r.ask.owner == '{owner}' and ({globs}))"
