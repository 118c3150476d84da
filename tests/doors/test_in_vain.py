"""Names in the settings that nothing has are told by `mdl doctor` and `mdl run`: a limit that limits nothing."""

import json
from pathlib import Path

import pytest

from tests.doors.places import GREET, NOTIFY, Place, until

OWNED = NOTIFY + "[owners.support]\nmay = []\n" + GREET + 'owner = "suport"\n'
TOOLS = {
    "tool notify.sned": NOTIFY + "tools.sned.dry_run = true\n" + GREET,
    "tool notify.snd": NOTIFY + "tools.snd.breaker = { failures = 2 }\n" + GREET,
    "budget 1": NOTIFY + '[[policy.budgets]]\ntool = "notfy.*"\nactions = 1\n' + GREET,
}


def test_an_owner_without_a_table_is_told_where_there_are_tables(tmp_path: Path) -> None:
    place, said = Place(tmp_path, OWNED), "its owner `suport` has no [owners.suport]"
    found = {one["what"]: one for one in json.loads(place.failed("doctor", "--json"))}
    assert found["owner of greet"]["text"] == f"{said}, so it may call anything; is it `support`?"
    with place.running() as loop:
        until(lambda: said in loop.said, "the warning")
    place.file.write_text(OWNED.replace("suport", "support"), encoding="utf-8")
    place.mdl("doctor")
    place.file.write_text(NOTIFY + GREET + 'owner = "suport"\n', encoding="utf-8")
    place.mdl("doctor")


@pytest.mark.parametrize("what", TOOLS)
def test_a_tool_that_is_not_there_is_told(tmp_path: Path, what: str) -> None:
    place = Place(tmp_path, TOOLS[what])
    found = {one["what"]: one for one in json.loads(place.failed("doctor", "--json"))}
    assert not found[what]["well"]
    assert "; is it `notify." in found[what]["text"]
    with place.running() as loop:
        until(lambda: f"{what}: " in loop.said, "the warning")


def test_what_names_a_tool_or_a_server_that_is_down_is_not_told(tmp_path: Path) -> None:
    down = '[mcpServers.mail]\ncommand = "false"\ntools.send.dry_run = true\n'
    budgets = "".join(
        f'[[policy.budgets]]\ntool = "{tool}"\nactions = 9\n' for tool in ("*.send", "mail.*", "notify.send")
    )
    place = Place(tmp_path, NOTIFY + "tools.send.dry_run = true\n" + down + budgets + GREET)
    found = {one["what"] for one in json.loads(place.failed("doctor", "--json")) if not one["well"]}
    assert found == {"server mail"}
