"""Which conditions leave an argument no value but literals."""

import pytest

from orchestrator.sinks import pins
from orchestrator.types import Json

VARIABLES = ("args", "event")


@pytest.mark.parametrize(
    ("when", "value"),
    [
        ("args.x == 'a'", "a"),
        ("'a' == args.x", "a"),
        ("args['x'] == 'a'", "a"),
        ("args.x in ['b', 'a']", "a"),
        ("args.x in [800.0, 900.0]", 900),
        ("args.x == 5.0 && event.id != ''", 5.0),
        ("args.x == 'a' || args.x in ['b']", "b"),
    ],
)
def test_a_comparison_of_the_whole_argument_with_literals_pins_it(when: str, value: Json) -> None:
    assert pins(when, VARIABLES, "x", value)


@pytest.mark.parametrize(
    ("when", "value"),
    [
        ("args.x == 'a'", "A"),
        ("args.x == 'a'", "a\0"),
        ("args.x == 1.0", True),
        ("args.x == true", 1),
        ("args.x == '5'", 5),
        ("args.x != 'b'", "a"),
        ("!(args.x == 'b')", "b"),
        ("args.x.startsWith('a')", "a"),
        ("args.x.contains('a')", "a"),
        ("args.x <= 5.0", 5.0),
        ("args.x == 'a' || true", "a"),
        ("args.x == 'a' || args.y == 'a'", "a"),
        ("args.x == event.data.x", "a"),
        ("args.x in ['a', event.data.x]", "a"),
        ("args.x.lowerAscii() == 'a'", "a"),
        ("args.x.y == 'a'", "a"),
        ("event.x == 'a'", "a"),
        ("has(args.x) && event.id == 'a'", "a"),
        ("(event.id == 'a' ? args.x == 'a' : true)", "a"),
    ],
)
def test_everything_else_pins_nothing(when: str, value: Json) -> None:
    assert not pins(when, VARIABLES, "x", value)
