import asyncio
import logging
from pathlib import Path

import pytest

from orchestrator.act.masked import MaskedToolbox
from orchestrator.errors import ToolError
from orchestrator.masking.echo import Echo
from orchestrator.masking.logs import redacted_logs
from orchestrator.masking.mask import MASK, kind_of
from orchestrator.masking.masking import Masking
from orchestrator.testing import FakeToolbox
from orchestrator.types import Action, Call, Grant, Json, Tool
from tests.masking.vaults import ends_with_m, masking_at

MAIL, CAT = "victim" + "@shop.example", "the colour of my cat"


class Mail:
    """A tool that keeps what it is given, and answers or fails with it."""

    def __init__(self, masking: Masking) -> None:
        self.given: list[dict[str, Json]] = []
        self.fails = False
        tools = {"mail.send": self.send, "mail.look": self.send}
        described = [Tool(name="mail.look", read_only=True, trusted=True)]
        unmask = {"mail.send": frozenset(("to",))}
        self.toolbox = MaskedToolbox(FakeToolbox(tools, described=described), masking, unmask=unmask)

    async def send(self, arguments: dict[str, Json]) -> Json:
        self.given.append(arguments)
        if self.fails:
            raise ToolError(f"nobody is at {arguments['to']}, says boss@shop.example of {CAT}")
        return {**arguments, "said": f"sent to {arguments['to']}", "by": "boss@shop.example", "found": arguments["to"]}


def grant(**arguments: Json) -> Grant:
    return Grant(action=Action(id="a" * 64, goal="g@1", step="0", tool="mail.send", arguments=arguments))


async def test_a_mask_is_turned_back_in_the_named_argument_and_in_no_other(tmp_path: Path) -> None:
    with masking_at(tmp_path, "data.to") as masking:
        mail = Mail(masking)
        mask = masking.text(MAIL)
        await masking.settled()
        outcome = await mail.toolbox.act(grant(to=mask, text=f"hi {mask}", deep=[{"to": mask}]))
        assert mail.given == [{"to": MAIL, "text": f"hi {mask}", "deep": [{"to": mask}]}]
        assert outcome.action == grant(to=mask, text=f"hi {mask}", deep=[{"to": mask}]).action
        assert outcome.result["to"] == outcome.result["found"] == mask
        assert outcome.result["said"] == f"sent to {mask}"
        assert outcome.result["text"] == f"hi {mask}"
        assert kind_of(outcome.result["by"]) == "email"
        assert masking.unmasked(outcome.result["by"], {}) == "boss@shop.example"


async def test_masks_within_texts_lists_and_objects_of_the_argument_are_turned_back(tmp_path: Path) -> None:
    with masking_at(tmp_path, "data.who") as masking:
        mail = Mail(masking)
        held = masking.data({"who": {"name": CAT, "n": 1234567}})["who"]
        mask = masking.text(MAIL)
        await masking.settled()
        outcome = await mail.toolbox.act(grant(to=[f"to {mask}", {"who": held}, f"{held}", 7]))
        value = {"name": CAT, "n": 1234567}
        assert mail.given[0]["to"] == [f"to {MAIL}", {"who": value}, value, 7]
        assert outcome.result["to"] == [f"to {mask}", {"who": held}, held, 7]


async def test_an_error_that_repeats_what_the_tool_was_told_is_masked(tmp_path: Path) -> None:
    with masking_at(tmp_path, "data.to") as masking:
        mail = Mail(masking)
        mail.fails, mask = True, masking.data({"to": CAT})["to"]
        await masking.settled()
        outcome = await mail.toolbox.act(grant(to=mask))
        assert mail.given == [{"to": CAT}]
        assert (outcome.status, CAT in str(outcome.error), "boss" in str(outcome.error)) == ("failed", False, False)
        assert str(outcome.error).count(mask) == 2


async def test_what_a_tool_logs_of_what_it_was_told_is_masked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def send(arguments: dict[str, Json]) -> None:
        logging.getLogger("tool").warning("to %s", arguments["to"])

        async def beside() -> None:
            logging.getLogger("tool").warning("beside: %s", arguments["to"])

        await asyncio.create_task(beside())

    with masking_at(tmp_path, "data.to") as masking, redacted_logs(masking.redacted):
        mask = masking.data({"to": CAT})["to"]
        await masking.settled()
        unmask = {"mail.send": frozenset(("to",))}
        await MaskedToolbox(FakeToolbox({"mail.send": send}), masking, unmask=unmask).act(grant(to=mask))
        logging.getLogger("tool").warning("later: %s", CAT)
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"to {mask}", f"beside: {mask}", f"later: {CAT}"]


async def test_a_mask_that_stands_for_nothing_calls_no_tool(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        mail = Mail(masking)
        outcome = await mail.toolbox.act(grant(to="mask.email." + "a" * 28))
        assert (mail.given, outcome.status, outcome.attempts) == ([], "failed", 0)
        assert "stands for nothing here" in str(outcome.error)


async def test_a_victims_mask_that_a_tool_answers_becomes_another_and_the_actions_own_stay(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        mail = Mail(masking)
        mask, victims = masking.text(MAIL), masking.text("other@shop.example")
        await masking.settled()

        async def answer(_: dict[str, Json]) -> Json:
            return [mask, victims]

        unmask = {"mail.send": frozenset(("to",))}
        toolbox = MaskedToolbox(FakeToolbox({"mail.send": answer}), masking, unmask=unmask)
        outcome = await toolbox.act(grant(to=mask, text="hi"))
        assert outcome.result[0] == mask
        assert kind_of(outcome.result[1]) == "mask"
        assert masking.unmasked(outcome.result[1], {}) == victims
        assert mail.given == []


async def test_half_a_victims_mask_and_what_a_tool_was_told_do_not_become_the_victims(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        mask, victims = masking.text(MAIL), ends_with_m(masking)
        said = f"{victims[:-1]}{MAIL} {victims[:-1]}"
        heard = Echo(masking, grant(to=mask).action, {mask: MAIL}).text(said)
        await masking.settled()
        assert victims not in heard
        assert masking.unmasked(heard, {}) == said


async def test_what_is_read_is_masked_and_its_arguments_stay_masks(tmp_path: Path) -> None:
    with masking_at(tmp_path) as masking:
        mail = Mail(masking)
        mask = masking.text(MAIL)
        result = await mail.toolbox.read(Call("mail.look", {"to": mask}))
        assert mail.given == [{"to": mask}]
        assert MASK.fullmatch(result["by"])
        mail.fails = True
        with pytest.raises(ToolError) as raised:
            await mail.toolbox.read(Call("mail.look", {"to": mask}))
        assert "boss@" not in str(raised.value)
        assert raised.value.__suppress_context__
