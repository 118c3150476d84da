"""Every module that parses what comes from outside is fuzzed, or says here why not; and each target runs."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]

READERS = frozenset({
    "json.loads", "json.JSONDecoder", "msgspec.json.decode", "msgspec.json.Decoder", "msgspec.convert", "tomllib.loads",
    "base64.b64decode", "datetime.fromisoformat", "ipaddress.ip_address", "urlsplit", "unquote", "unquote_to_bytes",
    "httpx.URL", "unpack", "struct.unpack", "np.frombuffer", "ast.parse", "CronSim", "model_validate",
    "model_validate_json", "validate_json", "validate_python", "re.compile",
})  # fmt: skip
"""Calls by which bytes and texts become values; whoever makes one is a parser."""

OUTSIDE = ("orchestrator", "mcp_servers", "rag")


def _readers() -> Iterator[str]:
    for file in (file for folder in OUTSIDE for file in (ROOT / folder).rglob("*.py")):
        calls = [
            node.func for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ]
        names = {ast.unparse(call) for call in calls}
        if any(name in READERS or name.rpartition(".")[2] in READERS for name in names):
            yield ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


OWN = {
    "what MDL has written into its journal itself, each body held by the chain": [
        "orchestrator.doors.parts", "orchestrator.explain.explainer", "orchestrator.journal.drafts",
        "orchestrator.journal.projections",
        "orchestrator.journal.spending", "orchestrator.journal.state", "orchestrator.loop.doubt",
        "orchestrator.loop.leave", "orchestrator.loop.parking", "orchestrator.replay.audition",
        "orchestrator.replay.difference", "orchestrator.replay.recall", "orchestrator.replay.replay",
        "orchestrator.replay.stretch",
    ],
    "what the loop says of itself, on its way to a person": [
        "orchestrator.doors.demo", "orchestrator.doors.lines", "orchestrator.doors.replay_views",
        "orchestrator.doors.session", "orchestrator.doors.show", "orchestrator.doors.top",
    ],
    "names and texts of this checkout: of functions, prompts, tests, and a formula's worker and who starts it": [
        "mcp_servers.formula.worker", "orchestrator.act.action", "orchestrator.decide.prompt", "orchestrator.testing",
    ],
    "values that were read before, made anew, or matched with a pattern that takes no time": [
        "orchestrator.act.direct", "orchestrator.act.hint", "orchestrator.decide.decision", "orchestrator.guard.own",
        "orchestrator.guard.repeat", "orchestrator.journal.http_places", "orchestrator.orient.index",
        "orchestrator.orient.meaning", "rag.words",
    ],
}  # fmt: skip
"""Parsers without a target, and why that is so."""


def test_every_parser_of_what_comes_from_outside_has_a_target() -> None:
    parsers, own = set(_readers()), [module for modules in OWN.values() for module in modules]
    fuzzed = {module for target in TARGETS.values() for module in target.modules}
    assert sorted(parsers - fuzzed - set(own)) == [], "give each a target in tests/fuzz/targets, or say here why not"
    assert sorted(set(own) - parsers) == [], "these parse nothing any more"
    assert sorted(fuzzed & set(own)) == []
    assert sorted(one for one in fuzzed if not (ROOT / one.replace(".", "/")).with_suffix(".py").exists()) == []


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_target_finds_nothing_in_a_few_inputs(name: str) -> None:
    one, dice = TARGETS[name].load(), random.Random(name)  # noqa: S311  chance, not a secret
    for size in [0, 1, *(dice.randint(2, 300) for _ in range(20))]:
        one(dice.randbytes(size))
