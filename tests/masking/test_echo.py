import json
from pathlib import Path

import pytest

from orchestrator.masking.echo import Echo
from orchestrator.masking.mask import MASK
from orchestrator.masking.masking import Masking
from orchestrator.types import Action, Json
from tests.masking.vaults import masking_at

JANE, NUMBER = 'Jäne "Q" Doße', 7418529


def told(masking: Masking, value: Json) -> tuple[str, Echo]:
    """What a call that turns the mask of a value back says, and the mask."""
    mask = masking.data({"to": value})["to"]
    action = Action(id="a" * 64, goal="g@1", step="0", tool="mail.send", arguments={"to": mask})
    return mask, Echo(masking, action, {mask: value})


PERSON: Json = {"name": JANE, "of": {"ssn": NUMBER}}
AGAIN: dict[str, tuple[Json, Json]] = {
    "a number in a text": (NUMBER, f"account {NUMBER} is closed"),
    "a number written out": (NUMBER, f"00{NUMBER}.00"),
    "a number as a text": (NUMBER, str(NUMBER)),
    "a number as a float": (NUMBER, float(NUMBER)),
    "a number with another sign": (NUMBER, -NUMBER),
    "a number without its sign": (-NUMBER, f"{NUMBER} is owed"),
    "a float in a text": (float(NUMBER), f"account {NUMBER}"),
    "a text as a number": (str(NUMBER), NUMBER),
    "a text with zeros as a number": (f"00{NUMBER}", NUMBER),
    "a text as a float": (f"{NUMBER}.50", NUMBER + 0.5),
    "members of an object": (PERSON, [JANE, NUMBER, f"{NUMBER}!"]),
    "an object within": (PERSON, {"ssn": NUMBER}),
    "a member of a list": ([JANE], f"hello {JANE}"),
    "a text in JSON": (JANE, json.dumps({"hello": JANE})),
    "upper case in JSON": (JANE, json.dumps({"hello": JANE.upper()}, ensure_ascii=False)),
    "upper case": (JANE, JANE.upper()),
    "a name of a field": (JANE, {JANE.lower(): 1}),
}


@pytest.mark.parametrize("name", AGAIN)
async def test_what_was_told_is_known_again_however_it_comes_back(tmp_path: Path, name: str) -> None:
    value, says = AGAIN[name]
    with masking_at(tmp_path, "data.to") as masking:
        _, echo = told(masking, value)
        said, logged = echo.value(says), echo.known(says if isinstance(says, str) else json.dumps(says))
        await masking.settled()
        assert (masks := [found[0] for found in MASK.finditer(json.dumps(said))])
        for text in (json.dumps(said, ensure_ascii=False), logged):
            left = MASK.sub("", text).casefold()
            assert not any(part in left for part in (str(NUMBER), "jäne", "j\\u00e4ne", "doß", "doss"))
        assert masking.unmasked(masks, {}) != masks


async def test_a_member_keeps_a_mask_of_its_own_and_the_whole_the_one_it_had(tmp_path: Path) -> None:
    value = {"name": JANE, "ssn": NUMBER}
    with masking_at(tmp_path, "data.to") as masking:
        mask, echo = told(masking, value)
        said = echo.value({"all": value, "name": f"to {JANE}", "ssn": NUMBER})
        await masking.settled()
        assert said["all"] == mask
        assert mask not in said["name"]
        assert masking.unmasked(said, {}) == {"all": value, "name": f"to {JANE}", "ssn": NUMBER}


@pytest.mark.parametrize("value", [1, True, 123, -1.5, {"n": 1, "yes": True, "none": None, "in": "DE"}])
def test_what_is_too_short_to_be_meant_is_left_where_it_stands(tmp_path: Path, value: Json) -> None:
    said: Json = {"count": 1, "ok": True, "text": "1 of 123 in DE is true", "none": None, "list": [123, "DE", -1.5]}
    with masking_at(tmp_path, "data.to") as masking:
        assert told(masking, value)[1].value(said) == said


def test_a_short_text_is_known_again_only_where_it_stands_alone(tmp_path: Path) -> None:
    with masking_at(tmp_path, "data.to") as masking:
        mask, echo = told(masking, "Bob")
        assert echo.value(["Bob", "Bobby"]) == [mask, "Bobby"]
