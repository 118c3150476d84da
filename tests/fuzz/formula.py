"""Lets atheris loose on the reader and the compiler of formulas: `make fuzz`, for SECONDS=600.

Each input is a text and a few values: any text, one of pieces of the language, or a formula that is grown by the rules.
A finding is any exception but `FormulaError`, an error that does not read, a result that is no double, a variable that
has changed, or an input that takes seconds. It ends the run, and its input is kept in `.fuzz/`.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["mcp_servers.formula"]):
    from mcp_servers.formula.functions import ARITY
    from mcp_servers.formula.limits import FormulaError
    from mcp_servers.formula.program import compile_formula

import numpy as np

NAMES = ["x", "y", "s"]
NUMBERS = ["0", "1", "2", "3", "0.5", "0.06", "1e300", "20", "252"]
INFIX = ["+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!="]
PIECES = [*ARITY, *NAMES, *NUMBERS, *INFIX, *"()=,. \t\n_e", " if ", " else "]
KEPT = Path(".fuzz")
SLOW_S = 5.0
"""What no input may take, on a machine that does other things too."""


def one_input(given: bytes) -> None:
    """Compile one text, and evaluate it for short values by name and for long arrays."""
    data = atheris.FuzzedDataProvider(given)
    text = _text(data)
    values = [data.ConsumeFloat() for _ in range(data.ConsumeIntInRange(0, 6))]
    variables: dict[str, Any] = {"x": data.ConsumeFloat(), "y": values, "s": data.ConsumeIntInRange(-9, 9)}
    before, began = repr(variables), time.perf_counter()
    try:
        program = compile_formula(text, NAMES)
        _judge(program.evaluate(variables))
        _judge(program(np.resize([*values, 1.5], 3_000), 2.5, 3.0))
    except FormulaError as error:
        refused = str(error)
    else:
        refused = None
    if refused is not None:
        assert 10 < len(refused) <= 2_000, text
        assert refused.isprintable(), text
    assert repr(variables) == before, text
    assert time.perf_counter() - began < SLOW_S, text


def _text(data: Any) -> str:
    match data.ConsumeIntInRange(0, 3):
        case 0:
            return data.ConsumeUnicode(80)
        case 1:
            return "".join(data.PickValueInList(PIECES) for _ in range(data.ConsumeIntInRange(0, 40)))
        case _:
            return _grown(data, 4)


def _grown(data: Any, depth: int) -> str:
    kind = data.ConsumeIntInRange(0, 7) if depth else data.ConsumeIntInRange(0, 1)
    if kind <= 1:
        return data.PickValueInList(NUMBERS if kind else NAMES)
    if kind == 2:
        return f"(-{_grown(data, depth - 1)})"
    if kind == 3:
        return f"({_grown(data, depth - 1)} if {_grown(data, depth - 1)} else {_grown(data, depth - 1)})"
    if kind == 4:
        return f"({_grown(data, depth - 1)} {data.PickValueInList(INFIX)} {_grown(data, depth - 1)})"
    name = data.PickValueInList([*ARITY])
    return f"{name}({', '.join(_grown(data, depth - 1) for _ in range(ARITY[name]))})"


def _judge(found: Any) -> None:
    assert isinstance(found, float) or found.dtype == np.float64


def main() -> None:
    """Run for so many seconds, from what earlier runs have kept."""
    parser = argparse.ArgumentParser(description="Fuzz the reader and the compiler of formulas.")
    parser.add_argument("--seconds", type=int, default=600)
    seconds = parser.parse_args().seconds
    corpus = KEPT / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-max_len=512", "-timeout=30", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={KEPT}/", "-verbosity=1", str(corpus)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
