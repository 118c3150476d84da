"""What `mdl.toml` may hold: the frozen cases, through everything that is asked before a loop starts."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.control import Control
from orchestrator.doors import build
from orchestrator.doors.session import control
from orchestrator.errors import GoalError, MDLError, SettingsError
from orchestrator.journal.state import State
from orchestrator.settings import Keep, Settings, load, parse
from orchestrator.testing import ManualClock, MemoryJournal

FILE = Path(__file__).parent / "cases" / "bad_settings.json"
CASES: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text(encoding="utf-8"))
GRANT_BY_DO = pytest.mark.xfail(
    reason="without `may` a goal may call exactly what its `do` names: types.Goal", strict=True
)
GOAL = '[mcpServers.notify]\nmodule = "mcp_servers.notify"\n[[goals]]\nid = "a"\ntext = "x"\non = ["t"]\n'


def cases(kind: str) -> list[Any]:
    marks = {"goal: do without may": (GRANT_BY_DO,)}
    return [pytest.param(case, id=case["name"], marks=marks.get(case["name"], ())) for case in CASES[kind]]


async def start(case: dict[str, Any], folder: Path) -> tuple[Settings, MemoryJournal]:
    """What `mdl run` does with a file before anything else, on a journal in memory."""
    file, journal = folder / "mdl.toml", MemoryJournal()
    file.write_bytes(base64.b64decode(case["toml_base64"]) if "toml_base64" in case else case["toml"].encode())
    settings = load(file, environment=case.get("env", {}))
    build.check(settings, clock=ManualClock())
    try:
        await control(settings, journal, State, clock=ManualClock()).adopt(settings.goals)
    except MDLError:
        assert journal.records == []
        raise
    return settings, journal


@pytest.mark.promise("doors:bad-file")
@pytest.mark.parametrize("case", cases("bad"))
async def test_a_bad_file_is_refused_in_one_line_that_names_the_fault(case: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MDLError) as refused:
        await start(case, tmp_path)
    said = str(refused.value).lower()
    assert "\n" not in said
    assert all(word.lower() in said for word in case["error_contains"]), said
    assert not any(word.lower() in said for word in case.get("error_lacks", ()))
    assert any(word.lower() in said for word in case.get("error_contains_any", [said])), said


@pytest.mark.parametrize("case", cases("good"))
async def test_a_good_file_is_taken_as_it_stands(case: dict[str, Any], tmp_path: Path) -> None:
    settings, journal = await start(case, tmp_path)
    assert len(journal.events) == len(settings.goals)


def test_no_secret_gets_into_a_goal(tmp_path: Path) -> None:
    text = GOAL + 'do = [{ tool = "notify.send", args = { text = "token ${TOKEN}" } }]\n'
    with pytest.raises(GoalError, match=r"goal `a`: `do\.1\.args\.text` holds `\$\{TOKEN\}`.*kept in the journal"):
        parse(text, folder=tmp_path, environment={"TOKEN": "very-secret"})


def test_a_variable_is_filled_in_everywhere_else(tmp_path: Path) -> None:
    text = '[mcpServers.m]\ncommand = "x"\nargs = ["a-${B}-${B}"]\nenv = { TOKEN = "${C}" }\n'
    server = parse(text, folder=tmp_path, environment={"B": "1", "C": "two"}).servers["m"]
    assert (server.args, server.env) == (("a-1-1",), {"TOKEN": "two"})


@pytest.mark.parametrize("id_", ["a b", "a@1", "a/b", "#1", "a\nb", "x" * 101])
def test_an_id_that_names_of_records_could_not_hold_is_refused(id_: str, tmp_path: Path) -> None:
    text = GOAL.replace('"a"', json.dumps(id_))
    with pytest.raises(GoalError, match="`id`"):
        parse(text, folder=tmp_path)


def test_several_faults_are_still_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        parse("[http]\nprot = 1\nport = 70000\n", folder=tmp_path)
    assert str(refused.value) == (
        "mdl.toml: `http.port`: Input should be less than or equal to 65535; unknown key `http.prot`"
    )


async def test_a_goal_that_is_wrong_keeps_the_right_ones_before_it_from_being_set(tmp_path: Path) -> None:
    goal = '[[goals]]\nid = "{}"\ntext = "x"\non = ["t"]\nwhen = "{}"\nmay = ["notify.send"]\n'
    text = GOAL.partition("[[")[0] + goal.format("good", "true") + goal.format("bad", "1 +")
    journal, settings = MemoryJournal(), parse(text, folder=tmp_path)
    control = Control(journal, State, clock=ManualClock(), servers=settings.servers)
    with pytest.raises(GoalError, match="goal `bad`"):
        await control.adopt(settings.goals)
    assert journal.records == []


@pytest.mark.parametrize(
    ("text", "keep"),
    [("30d", Keep(seconds=30 * 86_400.0)), ("1h30m", Keep(seconds=5400.0)), ("2GB", Keep(bytes=2_000_000_000))],
)
def test_a_journal_keeps_a_time_or_a_size(tmp_path: Path, text: str, keep: Keep) -> None:
    assert parse(f'[journal]\nkeep = "{text}"', folder=tmp_path).journal.keep == keep


@pytest.mark.parametrize("text", ["for ever", "2 moons", "0s", "-1d", ""])
def test_what_a_journal_keeps_is_one_of_the_two(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"`journal.keep`: give a time such as `30d`, or a size such as `2GB`"):
        parse(f'[journal]\nkeep = "{text}"', folder=tmp_path)


def test_checkpoints_need_a_place_to_go_to(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="checkpoints go nowhere; give at least one of `file`"):
        parse("[journal.checkpoint]", folder=tmp_path)


def test_the_sinks_of_all_tools_are_known_without_any_server(tmp_path: Path) -> None:
    text = """
    [mcpServers.mail]
    command = "mail"
    tools.send = { sinks = { recipient = "recipient" } }
    tools.list = { cost = 0.1 }
    """
    assert parse(text, folder=tmp_path).sinks() == {"mail.send": {"recipient": "recipient"}}
    with pytest.raises(SettingsError, match="it must be"):
        parse(text.replace('"recipient" }', '"mailbox" }'), folder=tmp_path)
