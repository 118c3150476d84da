"""Whether a tool may be called freely, or again, is one rule for the whole loop."""

from typing import Any

import pytest

from orchestrator.types import Tool


@pytest.mark.parametrize(
    ("said", "harmless", "repeatable"),
    [
        ({"trusted": True, "read_only": True}, True, True),
        ({"trusted": True, "idempotent": True}, False, True),
        ({"trusted": True, "read_only": True, "idempotent": True}, True, True),
        ({"trusted": True}, False, False),
        ({"read_only": True, "idempotent": True}, False, False),
        ({}, False, False),
    ],
)
def test_nothing_is_harmless_or_repeatable_without_trust(
    said: dict[str, Any],
    harmless: bool,  # noqa: FBT001  a column of the table
    repeatable: bool,  # noqa: FBT001  likewise
) -> None:
    tool = Tool(name="shop.get", **said)
    assert (tool.harmless, tool.repeatable) == (harmless, repeatable)
