"""What is counted of anybody's crash, and what a run makes of it."""

from pathlib import Path

import pytest

from tests.crash import rulebook
from tests.crash.history import Line
from tests.crash.peers import MDL, SERIES, verdict
from tests.crash.place import Place
from tests.crash.tally import Tally, tally

SOUND = dict.fromkeys(SERIES, Tally(kills=1, acknowledged=1, lost=0, doubled=0, repeated=0))


def posted(what: str, *ids: str) -> Line:
    return {"what": what, "events": [{"id": id_} for id_ in ids]}


def call(id_: str, key: str | None, what: str = "begin") -> Line:
    return {"what": what, "id": id_, "action": key}


def test_what_was_acknowledged_and_never_acted_on_is_lost() -> None:
    sent = [posted("sent", "a", "b", "c"), posted("acknowledged", "a", "b", "c"), posted("sent", "d")]
    assert tally(sent, [call("a", "1"), call("b", "2")], kills=3) == Tally(3, 3, 1, 0, 0)


def test_what_was_never_acknowledged_is_nobodys_debt_and_may_be_acted_on() -> None:
    assert tally([posted("sent", "a", "b")], [call("a", "1")], kills=1) == Tally(1, 0, 0, 0, 0)


def test_the_end_of_a_call_is_no_second_call() -> None:
    calls = [call("a", "1"), call("a", "1", "end")]
    assert tally([posted("acknowledged", "a")], calls, kills=1) == Tally(1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("keys", "doubled", "repeated"),
    [
        (("1", "1"), 0, 1),
        (("1", "1", "1"), 0, 1),
        (("1", "2"), 1, 0),
        (("1", "1", "2"), 1, 0),
        (("1", None), 1, 0),
        ((None, None), 1, 0),
    ],
)
def test_acting_again_is_a_repeat_under_one_key_and_doubled_without(
    keys: tuple[str | None, ...], doubled: int, repeated: int
) -> None:
    calls = [call("a", key) for key in keys]
    assert tally([posted("acknowledged", "a")], calls, kills=1) == Tally(1, 1, 0, doubled, repeated)


def test_only_our_own_losses_and_missing_series_are_wrong() -> None:
    lossy = Tally(kills=1, acknowledged=1, lost=1, doubled=1, repeated=1)
    assert not verdict({**dict.fromkeys(SERIES, lossy), MDL: SOUND[MDL]})
    assert verdict({**SOUND, MDL: lossy}) == ["MDL lost 1 acknowledged events"]
    assert verdict({**SOUND, MDL: Tally(1, 0, 0, 0, 0)}) == ["no series `mdl`"]
    assert verdict({MDL: SOUND[MDL]}) == [f"no series `{name}`" for name in SERIES[1:]]


def test_what_a_rulebook_prints_is_read_as_calls_among_whatever_else_it_says(tmp_path: Path) -> None:
    place = Place(tmp_path, 0)
    assert rulebook.acted(place) == []
    line, banner = "acted 1-2 6590fdd7", "** 2026-11-21 17:08:51.381657 [debug] ****"
    said = f"{banner}\n{line}\n****\nINFO acted on nothing\n{banner}\nacted 1-3 cut"
    place.folder.joinpath("run.out").write_text(said, encoding="utf-8")
    assert rulebook.acted(place) == [call("1-2", "6590fdd7")]


def test_without_java_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(
        rulebook.MissingError, match=r"needs Java 17 or newer; run `apt-get install default-jre-headless`"
    ):
        rulebook.require_java()
