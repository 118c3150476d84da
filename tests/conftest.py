"""What all tests share: the event loop, hypothesis' profile, and what happens when a service is missing.

A test that needs something MDL does not bring says so, and does not look for it itself:

    @pytest.mark.requires("postgres")
    async def test_a_changed_row_arrives_as_an_event(): ...

The name is one of `SERVICES` or a command on the path. If it is missing, the test is skipped and the last lines of the
run name it; where CI is set it fails, since a run that has tried nothing must not be green.
"""

import os
import shutil
from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings

SERVICES: Mapping[str, Callable[[], bool]] = {}  # name -> whether it is there; a command on the path needs no entry

CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}
_missing = pytest.StashKey[set[str]]()

settings.register_profile("mdl", deadline=None, derandomize=CI)  # loaded machines are slow; CI repeats what it has run
settings.load_profile("mdl")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in (str(name) for mark in item.iter_markers("requires") for name in mark.args):
        if SERVICES[name]() if name in SERVICES else shutil.which(name):
            continue
        if CI:
            pytest.fail(f"`{name}` is missing, and CI is set: provide it, or leave the test out by name", pytrace=False)
        item.config.stash.setdefault(_missing, set()).add(name)
        pytest.skip(f"`{name}` is missing")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name in sorted(config.stash.get(_missing, ())):
        terminalreporter.section(f"NOT TESTED: `{name}` is missing; with CI set this is a failure", red=True, bold=True)
