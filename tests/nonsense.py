"""Throws nonsense at CEL until it is done; a crash of the library ends the process. Run by test_expressions.py."""

import random
import sys
from contextlib import suppress

from orchestrator.errors import MDLError
from orchestrator.expressions import MAX_LENGTH, compile_expression
from orchestrator.types import Json

PARTS = [
    "event", ".data", ".a", "['a']", "[0]", "(", ")", "[", "]", "{", "}", "'", '"', "'''", "\\", "1", "-", "!", "1e999",
    "&&", "||", "==", "in", "?", ":", ",", "// ", "é", "has(", "size(", ".map(x, ", ".exists(x, ", ".matches('",
    "(a*)*{9}",
    "timestamp(", "duration('1h')", ".format([", "'%.999f'", ".split('", ".replace(event.data.a, ", "int(",
    "b'\\xff'", "string(", "9223372036854775807", "18446744073709551615u", "event.time", ".getHours('", "type(", "dyn(",
    "math.greatest(",
    "google.protobuf.Any{", "'\\u0000'", " ", "\n", "\0", "\ud800",
]  # fmt: skip
VALUES: list[Json] = [
    None, 1e308, -0.0, float("nan"), "x" * 1000, [[]] * 50, {"a": {"a": [1, {"b": "\0"}]}}, 2**70, "\ud800", {"": None},
]  # fmt: skip


def main(seed: int, rounds: int) -> None:
    dice = random.Random(seed)  # noqa: S311  chance, not a secret
    for _ in range(rounds):
        text = "".join(dice.choices(PARTS, k=dice.randint(1, 14)))
        if dice.randint(1, 3) == 1:
            text = (text * dice.randint(1, 500))[:MAX_LENGTH]
        with suppress(MDLError):
            compile_expression(text, ("event",)).value({"event": {"data": {"a": dice.choice(VALUES)}}})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
