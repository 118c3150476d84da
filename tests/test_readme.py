import re
from pathlib import Path

import pytest

from orchestrator.orient.conditions import compile_goal
from orchestrator.settings import parse

README = Path(__file__).parents[1] / "README.md"
SETTINGS = [
    block.replace("\n    ", "\n").strip()
    for block in re.findall(r"(?:(?<=\n\n)|^)(?:    .*\n|\n(?=    ))+", README.read_text(encoding="utf-8"))
    if block.strip().startswith("[")
]


def test_the_readme_shows_settings() -> None:
    assert any("[[goals]]" in block for block in SETTINGS)


@pytest.mark.parametrize("text", SETTINGS, ids=range(len(SETTINGS)))
def test_settings_in_the_readme_are_taken(text: str) -> None:
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "given")
    settings = parse(text, folder=README.parent, environment=variables)
    for goal in settings.goals:
        compile_goal(goal)
