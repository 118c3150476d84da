"""Who somebody is, however they are spelled and whatever the environment says."""

import os
import pwd

import pytest

from orchestrator.people import known_as, os_user


@pytest.mark.parametrize("name", ["Ann ", " ann", "ANN", "a\u200bnn", "\uff41nn", "ann\u00ad", "\tann\n"])
def test_one_person_spelled_in_many_ways_is_one(name: str) -> None:
    assert known_as(name) == "ann"


def test_different_people_stay_different() -> None:
    assert len({known_as(name) for name in ("ann", "anna", "ann lee", "annlee", "bob")}) == 5


def test_the_user_is_who_the_process_runs_as(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert os_user() == pwd.getpwuid(os.getuid()).pw_name
