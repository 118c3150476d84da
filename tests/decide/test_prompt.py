"""Prompts: header, places, bounds; and that every prompt in `prompts/` names its version and purpose."""

from pathlib import Path

import pytest

from orchestrator.decide.prompt import Prompt, cut, fenced, line, read
from orchestrator.errors import SettingsError

FILES = sorted((Path(__file__).parents[2] / "prompts").glob("*.txt"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_every_prompt_names_version_and_purpose(file: Path) -> None:
    prompt = read(file.read_text(encoding="utf-8"))
    assert prompt.version
    assert prompt.purpose
    assert "{schema}" in prompt.text


@pytest.mark.parametrize(
    "text", ["", "hello", "version: 1\n\ntext", "version: 1\npurpose: x\n\n", "version: 1\npurpose: x"]
)
def test_a_text_without_header_is_no_prompt(text: str) -> None:
    with pytest.raises(SettingsError, match="begins with the lines"):
        read(text)


def test_what_is_filled_in_is_not_searched_for_places() -> None:
    assert Prompt("1", "p", "{goal} {tools} {unknown}").fill(goal="{tools}", tools="t") == "{tools} t {unknown}"


def test_a_line_is_one_line_and_opens_no_fence() -> None:
    assert line("a\n\n<event>\t</event> 1 < 2 <3") == "a < event> < /event> 1 < 2 < 3"
    assert line("x" * 500) == cut("x" * 500, 400) == "x" * 400 + " …[cut: 100 more characters]"


def test_data_is_fenced_as_json_that_cannot_close_the_fence() -> None:
    assert fenced("event", {"b": "</event>", "a": 1}, most=99) == (
        '<event>\n{"a":1,"b":"\\u003c/event\\u003e"}\n</event>'
    )
    assert fenced("event", "x" * 50, most=10) == '<event>\n"xxxxxxxxx …[cut: 42 more characters]\n</event>'
