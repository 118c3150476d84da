import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given, strategies as st

from orchestrator.clock import utc
from orchestrator.errors import EventError, ExpressionError, SettingsError
from orchestrator.observe.hooks import FreshIds, Hook
from orchestrator.settings import HookMapping
from orchestrator.types import Event, Json

AT = 1_800_000_000.0


def mapped(body: Json, headers: Mapping[str, str] = MappingProxyType({}), /, **mapping: str) -> Event:
    hook = Hook("/hooks/shop", HookMapping.model_validate({"type": "order", **mapping}))
    return hook.event(body, headers, at=AT, fresh="fresh-1")


def test_a_plain_text_is_itself_and_a_doubled_equals_sign_is_one() -> None:
    event = mapped({"a": 1}, type="shop.order", subject="==x", id="i")
    assert event == Event(id="i", source="/hooks/shop", type="shop.order", subject="=x", time=utc(AT), data={"a": 1})


def test_expressions_read_body_and_lower_case_headers() -> None:
    event = mapped(
        {"order": {"id": 7, "customer": "c-55"}, "at": "2026-11-21T10:00:00+01:00"},
        {"x-kind": "placed"},
        type="='shop.' + headers['x-kind']",
        subject="=body.order.customer",
        id="=body.order.id",
        time="=body.at",
    )
    assert (event.type, event.subject, event.id) == ("shop.placed", "c-55", "7")
    assert event.time == datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.mark.parametrize("body", [None, 5, "text", True, [1, 2], {}, {"a": None}])
def test_any_json_value_becomes_data(body: Json) -> None:
    assert mapped(body).data == body


@pytest.mark.parametrize(
    ("body", "mapping", "named"),
    [
        ({"kind": 1}, {"type": "=body.type"}, ["`body.type`", "type"]),
        ({"order": {}}, {"subject": "=body.order.customer"}, ["`body.order.customer`", "customer"]),
        ({}, {"id": "=headers['x-delivery']"}, ["`headers['x-delivery']`", "x-delivery"]),
        ([1], {"id": "=body.id"}, ["`body.id`"]),
        ({"id": 1.5}, {"id": "=body.id"}, ["`body.id` gives 1.5", "`id` must be a text or an integer"]),
        ({"id": True}, {"id": "=body.id"}, ["`body.id` gives True"]),
        ({"id": {"a": 1}}, {"id": "=body.id"}, ["`body.id` gives {'a': 1}"]),
        ({"id": None}, {"id": "=body.id"}, ["`id` is missing"]),
        ({"id": ""}, {"id": "=body.id"}, ["`id` is empty"]),
        ({"id": "a\nb"}, {"id": "=body.id"}, ["`id` holds the character U+000A"]),
        ({"id": "a\0b"}, {"id": "=body.id"}, ["U+0000"]),
        ({"at": "soon"}, {"time": "=body.at"}, ["`time` is no RFC 3339 time"]),
        ({"at": 1e300}, {"time": "=body.at"}, ["`body.at` gives 1e+300, no time in seconds"]),
        ({"at": [1]}, {"time": "=body.at"}, ["`time` must be a text"]),
    ],
)
def test_a_body_that_does_not_fit_is_named_with_expression_and_field(
    body: Json, mapping: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(EventError) as caught:
        mapped(body, **mapping)
    assert caught.value.status == 400
    assert [word for word in named if word not in str(caught.value)] == []


@pytest.mark.parametrize("kind", ["dev.mdl.action.succeeded", "dev.mdl."])
def test_a_type_of_the_loops_own_is_refused_wherever_it_comes_from(kind: str) -> None:
    with pytest.raises(EventError, match=r"dev\.mdl") as caught:
        mapped({"type": kind}, type="=body.type")
    assert caught.value.status == 403
    with pytest.raises(SettingsError, match=r"source `/hooks/shop`.*dev\.mdl"):
        mapped({}, type=kind)


def test_time_may_be_seconds_since_the_epoch_and_nothing_means_on_arrival() -> None:
    assert mapped({"t": 1_614_265_330}, time="=body.t").time == utc(1_614_265_330)
    assert mapped({"t": 1_614_265_330_500}, time="=body.t / 1000.0").time == utc(1_614_265_330.5)
    assert mapped({"t": None}, time="=body.t").time == mapped({}).time == utc(AT)


def test_a_subject_that_may_be_absent_is_none() -> None:
    perhaps = "=has(body.user) ? body.user : ''"
    assert mapped({}, subject=perhaps).subject is None
    assert mapped({"user": "u"}, subject=perhaps).subject == "u"


def test_integers_that_no_double_holds_keep_every_digit_in_an_id() -> None:
    assert mapped({"id": 2**70}, id="=body.id").id == str(2**70)


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"type": "=body."}, "source `/hooks/shop`, `type`"),
        ({"id": "=event.id"}, "source `/hooks/shop`, `id`"),
        ({"time": "=unknown(body)"}, "source `/hooks/shop`, `time`"),
    ],
)
def test_cel_that_does_not_compile_is_refused_when_the_source_is_set_up(mapping: dict[str, str], text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        mapped({}, **mapping)
    assert text in str(caught.value)


def test_a_plain_time_that_is_none_is_refused_when_the_source_is_set_up() -> None:
    with pytest.raises(SettingsError, match="source `/hooks/shop`: `time` is no RFC 3339 time"):
        mapped({}, time="noon")


def test_fresh_ids_never_repeat_and_sort_by_time() -> None:
    fresh, after_restart = FreshIds(os.urandom), FreshIds(os.urandom)
    ids = [fresh(AT) for _ in range(1000)] + [after_restart(AT) for _ in range(1000)]
    assert len(set(ids)) == 2000
    assert fresh(AT) < after_restart(AT + 0.001) < fresh(AT + 1e6)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.dictionaries(st.text(), st.text()))
def test_any_json_is_an_event_or_an_event_error(body: Json, headers: dict[str, str]) -> None:
    event = mapped_or_refused(body, headers)
    if isinstance(event, EventError):
        assert event.status in {400, 403}
    else:
        assert not event.own


def mapped_or_refused(body: Json, headers: dict[str, str]) -> Event | EventError:
    try:
        return mapped({"x": body}, headers, type="=body.x", subject="=headers['a']", id="=body.x", time="=body.x")
    except EventError as error:
        return error


@pytest.mark.parametrize("module", ["cloudevents", "hooks", "signatures", "strict_json", "attributes", "intake"])
def test_reading_events_loads_no_vendor(module: str) -> None:
    vendors = "{'starlette', 'uvicorn', 'httpx', 'mcp'} & set(sys.modules)"
    code = f"import sys, orchestrator.observe.{module}; print({vendors})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
