"""`[policy]`, `[owners]` and the limits of a goal: what a file may say, and what is refused, where and why."""

from pathlib import Path

import pytest

from orchestrator.errors import SettingsError
from orchestrator.limits import Breaker, Quiet, Repeat, Rules, SharedBudget
from orchestrator.settings import parse

SERVER = '[mcpServers.mail]\ncommand = "mail"\n'
GOAL = '[[goals]]\nid = "g"\ntext = "t"\non = ["x"]\ndo = [{ tool = "t.act" }]\n'


def test_a_file_becomes_the_rules_for_every_goal() -> None:
    text = """
        [policy]
        quiet = { from = "22:00", until = "06:00", tz = "Europe/Berlin", but = ["mail.*"] }
        repeat = { most = 5, within = "10m" }
        budgets = [{ tool = "pay.*", actions = 50, usd = 5.0, sum = { amount = 1000 }, per = "1d" }]
        [owners.support]
        may = ["mail.send", "crm.*"]
        [mcpServers.mail]
        command = "mail"
        breaker = {}
        tools.send.dry_run = true
        tools.send.breaker = { failures = 3, within = "10s", rest = "5m" }
    """
    assert parse(text, folder=Path(), environment={}).rules == Rules(
        quiet=Quiet(from_="22:00", until="06:00", tz="Europe/Berlin", but=("mail.*",)),
        repeat=Repeat(most=5, within="10m"),
        budgets=(SharedBudget(tool="pay.*", actions=50, usd=5.0, sum={"amount": 1000.0}),),
        owners={"support": ("mail.send", "crm.*")},
        dry=("mail.send",),
        breakers={"mail": Breaker(), "mail.send": Breaker(failures=3, within="10s", rest="5m")},
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policy.quiet = 5", "`policy`: Expected `object | null`, got `int` - at `quiet`"),
        (
            'policy.quiet = { from = "22:00", until = "22:00" }',
            "`policy.quiet`: from 22:00 until 22:00 is no time at all",
        ),
        ('policy.quiet = { from = "1:00", until = "02:00" }', "`policy`"),
        ('policy.quiet = { from = "01:00", until = "02:00", tz = "Mars" }', "`Mars` is no time zone"),
        ('policy.budgets = [{ tool = "x" }]', "`policy.budgets.1`: it limits nothing"),
        ("policy.budgets = [{ actions = 1, per = 5 }]", "`policy`"),
        ('policy.budgets = [{ actions = 1, per = "soon" }]', "`policy.budgets.1.per`: `soon` is no duration"),
        ('policy.budgets = [{ tokens = 1, tool = "x.*" }]', "tokens are taken by questions"),
        ('policy.repeat = { most = 1, within = "soon" }', "`policy.repeat.within`: `soon` is no duration"),
        ('policy.own = ["policies.py"]', "is not `FILE:FUNCTION`"),
        ("policy.dryrun = true", "unknown field `dryrun`"),
        ("owners = 5", "`owners` is a table"),
        ('owners.support = { may = "mail.*" }', "`owners.support`"),
        (SERVER + "breaker = 5", "`mcpServers.mail.breaker`: Expected `object`, got `int`"),
        (SERVER + "breaker.failures = 0", "`mcpServers.mail.breaker`: Expected `int` >= 1 - at `failures`"),
        (SERVER + 'breaker.rest = "soon"', "`mcpServers.mail.breaker`: `soon` is no duration"),
        (SERVER + 'breaker.after = "1m"', "`mcpServers.mail.breaker`: unknown field `after`"),
        (
            SERVER + 'tools.send.breaker.within = "0s"',
            "`mcpServers.mail.tools.send.breaker`: `0s` is no time at all; a duration must be above zero",
        ),
        (GOAL + "budget = {}", "goal `g`: `budget`: it limits nothing"),
        (GOAL + 'blast = [{ tool = "t.*", each = "args.id", most = "5%" }]', "name the read-only call in `of`"),
        (
            GOAL + 'quiet = { from = "01:00", until = "02:00", tz = "Mars" }',
            "goal `g`: `quiet`: `Mars` is no time zone",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(text, folder=Path(), environment={})
    assert said in str(refused.value)
