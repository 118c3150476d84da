import json
from typing import Any

import pytest

from orchestrator.errors import SettingsError, SignatureError
from orchestrator.observe.signatures import check_keys, delivery_id, verify
from orchestrator.settings import WebhookSource
from orchestrator.testing import ManualClock
from tests.observe.serving import DictIntake, Protocol, body_of, caller, door, frozen, headers_of, serving

CASES = frozen("signatures.json")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_frozen_case_passes_or_is_refused_as_written(case: dict[str, Any]) -> None:
    try:
        verify(case["scheme"], case["keys"], case["headers"], body_of(case), now=case["now"], tolerance=300.0)
        passed = True
    except SignatureError:
        passed = False
    assert passed is case["accepted"], case["why"]


@pytest.mark.parametrize("protocol", ["h11", "httptools"])
async def test_the_door_answers_401_to_every_frozen_case_that_is_refused_and_to_no_other(protocol: Protocol) -> None:
    usable = [case for case in CASES if _keys_are_usable(case)]
    hooks = {
        f"case-{number}": WebhookSource(kind="webhook", type="t", signature=case["scheme"], keys=tuple(case["keys"]))
        for number, case in enumerate(usable)
    }
    clock, intake, wrong = ManualClock(), DictIntake(), list[str]()
    async with (
        serving(door(intake, hooks=hooks, clock=clock), protocol=protocol) as port,
        caller(port) as client,
    ):
        for number, case in enumerate(usable):
            clock.at = case["now"]
            before = len(intake.events)
            answer = await client.post(f"/hooks/case-{number}", headers=headers_of(case), content=body_of(case))
            # a body that is signed as it should be may still be no JSON
            expected = {202, 400} if case["accepted"] else {401}
            if answer.status_code not in expected or (len(intake.events) > before) is not (answer.status_code == 202):
                wrong.append(f"{case['name']}: {answer.status_code}")
    assert not wrong
    assert len(usable) > 120


def _keys_are_usable(case: dict[str, Any]) -> bool:
    try:
        check_keys(case["scheme"], case["keys"])
    except SettingsError:
        assert not case["accepted"]  # refusing the settings is as good as refusing the request
        return False
    return True


@pytest.mark.parametrize(
    ("scheme", "keys", "text"),
    [
        ("github", (), "no key is configured"),
        ("github", ("secret-one", ""), "key 2 of 2 must not be empty"),
        ("standard-webhooks", ("whsec_!!!!",), "key 1 of 1 must be `whsec_` and base64"),
        ("standard-webhooks", ("whpk_cHBwcA==",), "key 1 of 1"),
        ("standard-webhooks", ("whsec_",), "key 1 of 1"),
    ],
)
def test_keys_that_let_nothing_pass_are_refused_by_place_and_never_shown(scheme: Any, keys: Any, text: str) -> None:
    with pytest.raises(SettingsError, match="key") as caught:
        check_keys(scheme, keys)
    assert text in str(caught.value)
    assert not any(key in str(caught.value) for key in keys if len(key) > len("whsec_"))


def test_the_senders_own_delivery_id_is_found_under_each_scheme() -> None:
    headers = {"webhook-id": "msg_1", "x-github-delivery": "72d3162e"}
    assert delivery_id("standard-webhooks", headers) == "msg_1"
    assert delivery_id("github", headers) == "72d3162e"
    assert delivery_id("github", {"x-github-delivery": ""}) is None


async def test_a_replay_inside_the_window_is_one_event_although_no_id_is_configured() -> None:
    case = next(case for case in CASES if case["name"] == "standard-webhooks: an ordinary delivery")
    hook = WebhookSource(kind="webhook", type="=body.type", signature="standard-webhooks", keys=tuple(case["keys"]))
    clock, intake = ManualClock(case["now"]), DictIntake()
    async with (
        serving(door(intake, hooks={"shop": hook}, clock=clock)) as port,
        caller(port) as client,
    ):
        first = await client.post("/hooks/shop", headers=headers_of(case), content=body_of(case))
        clock.advance(299)
        replay = await client.post("/hooks/shop", headers=headers_of(case), content=body_of(case))
        clock.advance(2)
        late = await client.post("/hooks/shop", headers=headers_of(case), content=body_of(case))
    assert first.json() == {"accepted": 1, "duplicates": 0, "positions": [1]}
    assert replay.json() == {"accepted": 0, "duplicates": 1, "positions": [None]}
    assert late.status_code == 401
    assert [event.id for event in intake.events] == [case["headers"]["webhook-id"]]


async def test_the_signature_is_checked_before_the_body_is_read_as_json() -> None:
    hook = WebhookSource(kind="webhook", type="t", signature="github", keys=("a secret",))
    async with (
        serving(door(DictIntake(), hooks={"shop": hook})) as port,
        caller(port) as client,
    ):
        answer = await client.post("/hooks/shop", content=b"{not json", headers={"x-hub-signature-256": "sha256=00"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "www-authenticate" in answer.headers
    assert "a secret" not in json.dumps(answer.json())
