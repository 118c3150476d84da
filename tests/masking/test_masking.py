import asyncio
import logging
import stat
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from orchestrator.clock import utc
from orchestrator.errors import JournalFull, MaskError, SettingsError
from orchestrator.masking.fields import rules_of
from orchestrator.masking.key import NAME as KEY, mask_key
from orchestrator.masking.logs import redacted_logs
from orchestrator.masking.mask import MASK, kind_of
from orchestrator.masking.masking import Masking
from orchestrator.masking.vault import NAME, Vault
from orchestrator.testing import ManualClock
from orchestrator.types import Event, Json
from tests.masking.vaults import ends_with_m, masking_at

MAIL, CARD = "victim" + "@shop.example", "4111 1111 1111 1111"
DAY = 86_400


def behind(masking: Masking, value: Json) -> Json:
    return masking.unmasked(value, {})


async def test_fields_are_masked_whole_by_their_paths_and_texts_in_place(tmp_path: Path) -> None:
    data = {
        "card": "the colour of my cat",
        "customer": {"email": "ada at shop", "name": "Ada"},
        "login": {"secret": {"pin": 1234}},
        "list": [{"secret": True}, {"secret": None}, {"other": 4111111111111111}],
        "text": f"write to {MAIL}, {MAIL}",
        MAIL: 1,
    }
    with masking_at(tmp_path, "data.card", "data.customer.email", "data.*.secret", "data.list.*.secret") as masking:
        masked = masking.data(data)
        await masking.settled()
        assert masked["customer"]["name"] == "Ada"
        assert masked["list"][1] == {"secret": None}
        assert [kind_of(masked["card"]), kind_of(masked["list"][2]["other"])] == ["field", "card"]
        first, second = MASK.finditer(masked["text"])
        assert masked["text"] == f"write to {first[0]}, {second[0]}"
        assert first[0] == second[0] in masked
        assert behind(masking, masked["login"]["secret"]) == {"pin": 1234}
        assert behind(masking, masked["list"]) == data["list"]
        assert behind(masking, masked["text"]) == data["text"]
        assert masking.data(data) == masked
    with masking_at(tmp_path) as masking:
        assert behind(masking, masked["card"]) == "the colour of my cat"


def test_a_field_that_is_found_anyway_has_the_mask_it_has_elsewhere(tmp_path: Path) -> None:
    with masking_at(tmp_path, "data.mail") as masking:
        masked = masking.data({"mail": MAIL, "text": f"to {MAIL}"})
        assert masked["text"] == f"to {masked['mail']}"
        assert kind_of(masked["mail"]) == "email"


async def test_a_mask_from_outside_stands_for_its_own_text_and_never_for_anothers_value(tmp_path: Path) -> None:
    with masking_at(tmp_path, "data.mail") as masking:
        victims = masking.data({"mail": MAIL})["mail"]
        sent = masking.data({"mail": victims, "text": f"{victims} {victims.upper()}", "half": victims[:-1]})
        await masking.settled()
        assert victims not in msgspec.json.encode(sent).decode()
        assert victims.upper() not in sent["text"]
        assert behind(masking, sent["mail"]) == victims
        assert behind(masking, sent["text"]) == f"{victims} {victims.upper()}"
        assert behind(masking, "mask.email." + "a" * 27) == "mask.email." + "a" * 27


async def test_half_a_mask_and_what_is_masked_behind_it_do_not_become_anothers_mask(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        victims = ends_with_m(masking)
        for half in (victims[:-1], victims[:-1].upper()):
            sent = {"text": f"to {half}{CARD}, you {victims}", "n": 1}
            masked = masking.data(sent)
            await masking.settled()
            assert victims not in masked["text"].lower()
            assert behind(masking, masked["text"]) == sent["text"]


async def test_a_mask_that_was_made_up_or_given_another_shape_stands_for_nothing(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        made = masking.text("a" + MAIL)
        await masking.settled()
        for strange in ("mask.card." + "a" * 28, made.replace("mask~email@", "mask.email."), made[:-1] + "_"):
            if MASK.fullmatch(strange):
                with pytest.raises(MaskError, match="stands for"):
                    behind(masking, strange)


async def test_every_part_of_an_event_is_masked_and_one_that_grows_too_long_is_one_mask(tmp_path: Path) -> None:
    event = Event(
        id=f"i {MAIL}",
        source=f"/from/{MAIL}",
        type=f"t.{MAIL}",
        subject=(MAIL + " ") * 40,
        time=utc(0),
        data=MAIL,
        dataschema=f"https://{MAIL}",
        causationid=MAIL,
        correlationid=MAIL,
        traceparent=MAIL,
        sequence=MAIL,
        extensions={MAIL: MAIL, "note": "secret", "n": 3},
    )
    with masking_at(tmp_path, "note") as masking:
        masked = masking.event(event)
        await masking.settled()
        assert MAIL.encode() not in msgspec.json.encode(masked)
        assert masked.subject is not None
        assert behind(masking, masked.subject) == event.subject
        assert (behind(masking, masked.extensions["note"]), masked.extensions["n"]) == ("secret", 3)
        assert masked.time == event.time


@pytest.mark.parametrize("path", ["", "data..x", "*.x", "time", "specversion", "extensions.note"])
def test_a_field_that_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="is no path below an event"):
        rules_of([path])


def test_a_shorter_path_masks_all_below_it_whatever_comes_first() -> None:
    assert rules_of(["data.a", "data.a.b"]) == rules_of(["data.a.b", "data.a"]) == {"data": {"a": None}}


def test_lines_of_a_log_and_their_tracebacks_hold_nothing_that_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("somebody.else")
    with masking_at(tmp_path) as masking:
        known = masking.text(CARD)
        with redacted_logs(masking.redacted):
            log.warning("%s of %s", MAIL, known)
            log.warning("%d", MAIL)
            try:
                int(CARD)
            except ValueError:
                log.exception("it fails")
        log.warning("after: %s", MAIL)
    said = "\n".join(logging.Formatter().format(record) for record in caplog.records[:-1])
    assert known in said
    assert "Traceback" in said
    assert MAIL not in said
    assert CARD not in said
    assert caplog.records[-1].getMessage() == f"after: {MAIL}"


async def test_vault_and_key_are_for_their_owner_alone_and_hold_no_value_in_the_clear(tmp_path: Path) -> None:
    with masking_at(tmp_path / "new") as masking:
        masking.text(MAIL)
        await masking.settled()
        for file in (tmp_path / "new").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
            assert MAIL.encode() not in file.read_bytes()


async def test_a_vault_says_what_is_wrong_with_its_key(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        masking.text(MAIL)
        await masking.settled()
    (tmp_path / KEY).write_bytes(b"x" * 64)
    with pytest.raises(MaskError, match="sealed with another key"):
        Vault(tmp_path / NAME, mask_key(tmp_path, vault=tmp_path / NAME))
    (tmp_path / KEY).write_bytes(b"x")
    with pytest.raises(MaskError, match="holds no key of 64 bytes"):
        mask_key(tmp_path, vault=tmp_path / NAME)
    (tmp_path / KEY).unlink()
    with pytest.raises(MaskError, match=r"is gone, and .* needs it"):
        mask_key(tmp_path, vault=tmp_path / NAME)
    assert not (tmp_path / KEY).exists()
    (tmp_path / "other.db").write_bytes(b"no database, but long enough to be taken for one" * 20)
    with pytest.raises(MaskError, match="cannot be opened"):
        Vault(tmp_path / "other.db", b"x" * 64)


async def test_what_is_forgotten_is_gone_and_comes_back_with_the_value_alone(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        made = masking.text(MAIL)
        await masking.settled()
        found = MASK.fullmatch(made)
        assert found
        with closing(Vault(tmp_path / NAME, mask_key(tmp_path, vault=tmp_path / NAME))) as other:  # another process
            other.forget(found[1])
        with pytest.raises(MaskError, match="forgotten, or never was"):
            behind(masking, made)
        assert masking.text(MAIL) == made
        await masking.settled()
        assert behind(masking, made) == MAIL


async def test_what_another_process_forgot_between_put_and_settled_is_kept_when_it_is_met_again(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        made = masking.text(MAIL)
        await masking.settled()
        found = MASK.fullmatch(made)
        assert found
        masking.text("a" + MAIL)
        with closing(Vault(tmp_path / NAME, mask_key(tmp_path, vault=tmp_path / NAME))) as other:
            other.forget(found[1])
        await masking.settled()
        assert masking.text(MAIL) == made
        await masking.settled()
        assert behind(masking, made) == MAIL


async def test_values_go_when_nobody_met_them_for_long_enough(tmp_path: Path) -> None:
    clock = ManualClock()
    with masking_at(tmp_path, clock=clock) as masking:
        old, met, spared = (masking.text(f"{name}@shop.example") for name in ("old", "met", "spared"))
        await masking.settled()
        clock.advance(10 * DAY)
        assert masking.text("met@shop.example") == met
        await masking.settled()
        assert await masking.let_go(before=clock.now() - 5 * DAY, spared=[f"text {spared}"]) == 1
        assert [behind(masking, one) for one in (met, spared)] == ["met@shop.example", "spared@shop.example"]
        with pytest.raises(MaskError):
            behind(masking, old)


async def test_a_full_disk_is_told_and_what_was_to_be_kept_is_kept_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with masking_at(tmp_path) as masking:
        monkeypatch.setattr("orchestrator.masking.vault._PUT", "INSERT INTO nowhere VALUES (?, ?, ?)")
        made = masking.text(MAIL)
        with pytest.raises(MaskError, match="takes no more"):
            await masking.settled()
        monkeypatch.undo()
        assert masking.text(MAIL) == made
        await masking.settled()
        assert behind(masking, made) == MAIL


@pytest.mark.parametrize(("bound", "most"), [("_MOST", 3), ("_MOST_BYTES", 90)])
async def test_no_more_values_wait_for_a_full_disk_than_may_and_there_is_room_again_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    with masking_at(tmp_path) as masking:
        monkeypatch.setattr(f"orchestrator.masking.vault.{bound}", most)
        with monkeypatch.context() as full:
            full.setattr("orchestrator.masking.vault._PUT", "INSERT INTO nowhere VALUES (?, ?, ?)")
            masks = [masking.text(f"n{number}@shop.example") for number in range(2)]
            await masking.room()
            masks.append(masking.text("n2@shop.example"))
            with pytest.raises(JournalFull, match="takes no more"):
                await masking.room()
        await masking.room()
        assert [behind(masking, mask) for mask in masks] == [f"n{number}@shop.example" for number in range(3)]


async def test_whoever_waits_for_the_disk_waits_for_what_was_put_before_alone(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        on = True

        async def go_on() -> None:
            number = 0
            while on:
                masking.text(f"n{(number := number + 1)}@shop.example")
                await asyncio.sleep(0)

        others = asyncio.create_task(go_on())
        async with asyncio.timeout(15):
            for number in range(5):
                made = masking.text(f"m{number}@shop.example")
                await masking.settled()
                assert behind(masking, made) == f"m{number}@shop.example"
        on = False
        await others


async def test_what_is_too_deep_to_look_through_is_one_mask(tmp_path: Path) -> None:
    deep: Json = MAIL
    for _ in range(900):
        deep = [deep]
    with masking_at(tmp_path) as masking:
        masked = masking.value(deep)
        await masking.settled()
        assert behind(masking, masked) == deep


async def test_what_a_fields_name_calls_a_key_is_one_unless_it_is_a_plain_word(tmp_path: Path) -> None:
    data = {
        "apiKey": "zq9-plain-looking",
        "db_password": "hunter2!x",
        "token": "missing",
        "tokens": "zq9-plain-looking",
    }
    with masking_at(tmp_path) as masking:
        masked = masking.data({"deep": [data, {"secret": 12345678, "Authorization": "Basic zq9plainlooking"}]})
        await masking.settled()
        first, second = masked["deep"]
        assert [kind_of(first["apiKey"]), kind_of(first["db_password"])] == ["key", "key"]
        assert (first["token"], first["tokens"]) == ("missing", "zq9-plain-looking")
        assert behind(masking, second["secret"]) == 12345678 != second["secret"]
        assert second["Authorization"].startswith("Basic mask.key.")
        assert behind(masking, masked["deep"][0]) == data


async def test_a_field_that_is_called_a_key_may_hold_a_number_or_a_list(tmp_path: Path) -> None:
    data: Json = {"password": 83749283, "token": ["plain", ["zq9-plain-looking"]]}
    small: Json = {"token": 4096, "secret": True, "password": ["missing", None]}
    with masking_at(tmp_path) as masking:
        masked = masking.data(data)
        await masking.settled()
        assert {kind_of(masked["password"]), kind_of(masked["token"])} == {"key"}
        assert behind(masking, masked) == data
        assert masking.data(small) == small


def test_paths_to_what_only_some_events_have_are_no_trouble(tmp_path: Path) -> None:
    event = Event(id="1", source="s", type="t", time=utc(0), data=1, extensions={"key": "k", "own": "o"})
    with masking_at(tmp_path, "key", "own.x", "subject", "dataschema") as masking:
        masked = masking.event(event)
        assert kind_of(str(masked.extensions["key"])) == "field"
        assert (masked.extensions["own"], masked.subject) == ("o", None)
