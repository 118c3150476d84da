"""The direction of imports: each contract of pyproject.toml, with a fault planted against it, is seen to break."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ["orchestrator", "rag", "mcp_servers"]
RULES = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
CONTRACTS = {name: contract for contract, name in re.findall(r'^id = "(\w+)"\nname = "(.+)"$', RULES, re.MULTILINE)}
START = "from importlinter.cli import lint_imports_command as lint; lint()"
LINT = [sys.executable, "-c", START, "--no-cache", "--no-logo", "--config", str(ROOT / "pyproject.toml")]

# contract · the file that gets the fault · the import that is one
FAULTS = [
    ("flow", "orchestrator/decide/planner.py", "orchestrator.guard.policy"),
    ("flow", "orchestrator/orient/__init__.py", "orchestrator.decide"),
    ("flow", "orchestrator/observe/source.py", "orchestrator.act"),
    ("flow", "orchestrator/types.py", "orchestrator.journal"),
    ("flow", "orchestrator/clock.py", "orchestrator.settings"),
    ("flow", "orchestrator/turn.py", "orchestrator.loop"),
    ("flow", "orchestrator/control.py", "orchestrator.doors"),
    ("flow", "orchestrator/doors/__init__.py", "orchestrator.testing"),
    ("flow", "orchestrator/nowhere.py", "json"),
    ("flow", "orchestrator/loop/causes.py", "orchestrator.replay.stretch"),
    ("flow", "orchestrator/replay/stretch.py", "orchestrator.explain.explanation"),
    ("loop", "orchestrator/loop/lanes.py", "orchestrator.loop.line"),
    ("loop", "orchestrator/loop/plans.py", "orchestrator.loop.progress"),
    ("loop", "orchestrator/loop/turns.py", "orchestrator.loop.aftermath"),
    ("loop", "orchestrator/loop/nowhere.py", "json"),
    ("replay", "orchestrator/replay/stretch.py", "orchestrator.replay.replay"),
    ("explain", "orchestrator/explain/explanation.py", "orchestrator.explain.explainer"),
    ("formula", "mcp_servers/formula/rolling.py", "mcp_servers.formula.series"),
    ("formula", "mcp_servers/formula/dag.py", "mcp_servers.formula.emit"),
    ("formula", "mcp_servers/formula/store.py", "mcp_servers.formula.service"),
    ("formula", "mcp_servers/formula/nowhere.py", "json"),
    ("compiler", "mcp_servers/formula/program.py", "mcp.types"),
    ("compiler", "mcp_servers/formula/special.py", "starlette.applications"),
    ("tops", "rag/__init__.py", "orchestrator.types"),
    ("tops", "mcp_servers/__init__.py", "orchestrator"),
    ("tops", "rag/__init__.py", "mcp_servers"),
    ("servers", "orchestrator/act/__init__.py", "mcp_servers"),
    ("edges", "orchestrator/guard/__init__.py", "numpy"),
    ("edges", "orchestrator/decide/__init__.py", "httpx"),
    ("edges", "orchestrator/loop/lanes.py", "rag.planted"),
    ("journal", "orchestrator/act/__init__.py", "orchestrator.journal"),
    ("journal", "orchestrator/orient/__init__.py", "rag.planted_journal"),
    ("vendors", "orchestrator/__init__.py", "rag.planted"),
    ("vendors", "orchestrator/act/toolbox.py", "mcp.client.session"),
    ("vendors", "orchestrator/journal/journal.py", "nats"),
    ("vendors", "orchestrator/journal/journal.py", "sqlite3"),
    ("vendors", "orchestrator/models/model.py", "openai"),
    ("vendors", "orchestrator/observe/source.py", "starlette.applications"),
]
# What an indirect fault goes through.
PLANTED = {"rag/planted.py": "import httpx\n", "rag/planted_journal.py": "import orchestrator.journal.journal\n"}


def broken(folder: Path) -> set[str]:
    """Names the contracts that do not hold for the packages in `folder`."""
    run = subprocess.run(LINT, cwd=folder, capture_output=True, text=True, check=False)
    verdicts = dict(re.findall(r"^(.+?) *(KEPT|BROKEN)$", run.stdout, re.MULTILINE))
    assert verdicts.keys() == CONTRACTS.keys(), run.stdout + run.stderr
    return {CONTRACTS[name] for name, verdict in verdicts.items() if verdict == "BROKEN"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_what_is_here_breaks_no_contract(copy: Path) -> None:
    assert broken(copy) == set()


@pytest.mark.parametrize(("contract", "file", "imported"), FAULTS, ids=str)
def test_a_planted_fault_is_caught_by_its_contract(copy: Path, contract: str, file: str, imported: str) -> None:
    if imported.startswith("rag.planted"):
        for name, text in PLANTED.items():
            (copy / name).write_text(text, encoding="utf-8")
    with (copy / file).open("a", encoding="utf-8") as module:
        module.write(f"\nimport {imported}\n")
    assert contract in broken(copy)


def test_every_contract_has_a_fault() -> None:
    assert {contract for contract, _, _ in FAULTS} == set(CONTRACTS.values())
