"""Near-duplicates are known by the same short text, whichever way it is found; journals keep it."""

import hashlib
import re
import unicodedata

from hypothesis import example, given, strategies as st

from orchestrator.guard.repeat import likeness
from orchestrator.types import Action, Json, canonical

TEXTS = st.text(max_size=12) | st.text("aB09.é\uff11\u0663\u00df", max_size=12)


@given(st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(allow_nan=False), max_size=3), st.sampled_from("gé"))
@example({"a": "o-1000200", "B": 100.001, "c": "00"}, "g")
def test_the_short_way_finds_what_the_long_way_does(arguments: dict[str, Json], goal: str) -> None:
    action = Action(id="1", goal="g@1", step="0", tool="t.act", arguments=arguments)
    text = unicodedata.normalize("NFKC", canonical(arguments).decode()).casefold()
    plain = re.sub(r"\d+", "0", text)
    assert likeness(goal, action) == hashlib.sha256(f"{goal}\nt.act\n{plain}".encode()).hexdigest()[:32]
