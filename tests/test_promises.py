"""Every promise is held by a test, and every test that claims to hold one names it rightly."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.promises import PROMISES

TESTS = Path(__file__).parent


def _marked() -> Iterator[tuple[str, str]]:
    for file in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.promise":
                        yield ast.literal_eval(mark.args[0]), node.name


def test_every_promise_has_a_test_and_every_mark_a_promise() -> None:
    assert {promise for promise, _ in _marked()} == set(PROMISES)


def test_only_tests_hold_promises() -> None:
    assert all(name.startswith("test_") for _, name in _marked())
