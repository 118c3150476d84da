"""`mdl token …` and what the doctor says of tokens, without a loop."""

import json

import pytest

from orchestrator.credential import digest, formed
from tests.doors.places import NOTIFY, Place


def test_a_token_is_made_listed_and_revoked_without_a_loop(place: Place) -> None:
    assert place.mdl("token", "list") == "There are no tokens, so HTTP asks for none.\n"
    said = place.mdl("token", "create", "desk", "--role", "observe", "--source", "/shop", "--expires", "30d")
    text = said.split()[-1]
    assert formed(text)
    (shown,) = place.json("token", "list")
    assert (shown["hash"], shown["roles"], shown["sources"]) == (digest(text), ["observe"], ["/shop"])
    assert shown["expires"] == shown["created"] + 30 * 86_400
    made = json.loads(place.mdl("token", "create", "boss", "--role", "approve", "--person", " Alice", "--json"))
    assert formed(made["token"])
    assert place.mdl("token", "revoke", "desk") == "Token desk is revoked.\n"
    lines = place.mdl("token", "list").splitlines()
    assert ["revoked" in line for line in lines] == [False, False, True]
    assert "alice" in lines[1]
    assert text not in place.mdl("tail", "--json")


@pytest.mark.parametrize(
    "words",
    ["create desk", "create desk --role all", "create desk --role steer", "create a/b --role read", "revoke desk"],
)
def test_what_cannot_be_is_said_in_one_line(words: str, place: Place) -> None:
    assert len(place.mdl("token", *words.split(), code=1).splitlines()) == 1


def test_the_doctor_minds_a_door_to_the_network_that_asks_for_nothing(place: Place) -> None:
    def finding() -> tuple[bool, str]:
        shown = json.loads(place.failed("doctor", "--json") if bad else place.mdl("doctor", "--json"))
        return next((one["well"], one["text"]) for one in shown if one["what"] == "tokens")

    bad = False
    assert finding() == (True, "there are none, so HTTP asks for none")
    place.file.write_text(NOTIFY.replace("port = 0", 'port = 0\nhost = "0.0.0.0"'), encoding="utf-8")
    bad = True
    assert finding() == (False, "there are none, so HTTP asks for none, at 0.0.0.0; see `mdl token create`")
    place.mdl("token", "create", "desk", "--role", "observe")
    bad = False
    assert finding() == (True, "HTTP asks for one; 1 of 1 are good")
    place.mdl("token", "revoke", "desk")
    bad = True
    assert finding() == (False, "HTTP asks for one; 0 of 1 are good")
