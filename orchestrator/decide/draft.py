"""From a sentence to a goal, without a model: "when TYPE … FIELD above VALUE … then TOOL". It asks; it never guesses.

Every word of the sentence must be understood. What it makes is shown to the person, with what it would have done,
before it is set. Deterministic: the same sentence gives the same goal.
"""

from collections.abc import Mapping, Sequence

from orchestrator.decide.effect import Effects, begins
from orchestrator.decide.sentence import Reading, Token, tokens
from orchestrator.decide.trigger import Trigger
from orchestrator.decide.wish import GoalDraft, Known, Unclear, Wish, as_goal
from orchestrator.types import Tool

_LEAD = ("when", "whenever", "if", "every time", "each time")
_LONGEST = 1000


def draft(sentence: str, *, known: Known, tools: Sequence[Tool]) -> GoalDraft:
    """Understand a sentence whole.

    Args:
        sentence: the person's words, English.
        known: event types that were declared or observed, each with the fields of its `data` and their JSON types.
        tools: the tools there are.

    Raises:
        Unclear: something is missing or could mean two things; carries the question to ask.
    """
    by_name = {tool.name: tool for tool in tools}
    first, second = _halves(tokens(bounded(sentence)), by_name)
    trigger = Trigger(first, known)
    trigger.read()
    effects = Effects(second, by_name, trigger, known).read()
    wish = Wish(
        type=trigger.type,
        conditions=tuple(trigger.conditions),
        joined=trigger.joined,
        window=trigger.window,
        effects=effects,
    )
    return as_goal(sentence, wish, known=known, tools=tools, notes=trigger.notes)


def bounded(sentence: str) -> str:
    """The sentence, if it is one.

    Raises:
        Unclear: it is longer than 1,000 characters, or no text at all.
    """
    if len(sentence) > _LONGEST:
        raise Unclear(
            "event type", f"This is no sentence but {len(sentence):,} characters; at most {_LONGEST:,} are read."
        )
    try:
        sentence.encode()
    except UnicodeEncodeError as error:
        raise Unclear("event type", f"The sentence is no Unicode text: {error.reason}.") from error
    return sentence


def _halves(read: Sequence[Token], tools: Mapping[str, Tool]) -> tuple[Sequence[Token], Sequence[Token]]:
    reading = Reading(read)
    led = reading.accept(_LEAD) is not None
    begun = reading.at
    then = next((at for at, token in enumerate(read) if token.plain == "then"), None)
    if then is not None:
        end = then - 1 if then > begun and read[then - 1].plain == "," else then
        return read[begun:end], read[then + 1 :]
    if not led and (lead := _lead(read)) is not None:
        return read[lead[1] :], read[: lead[0]]
    return _without_then(read, begun, tools)


def _lead(read: Sequence[Token]) -> tuple[int, int] | None:
    for at in range(len(read)):
        reading = Reading(read)
        reading.at = at
        if reading.accept(_LEAD):
            return at, reading.at
    return None


def _without_then(
    read: Sequence[Token], begun: int, tools: Mapping[str, Tool]
) -> tuple[Sequence[Token], Sequence[Token]]:
    commas = [at for at, token in enumerate(read) if token.plain == ","]
    cut = next((at for at in range(begun, len(read)) if _begins(read, at, tools)), None)
    if cut is None:
        cut = commas[-1] + 1 if commas else len(read)
    end = cut - 1 if cut > begun and read[cut - 1].plain == "," else cut
    return read[begun:end], read[cut:]


def _begins(read: Sequence[Token], at: int, tools: Mapping[str, Tool]) -> bool:
    reading = Reading(read)
    reading.at = at
    return begins(reading, tools) is not None
