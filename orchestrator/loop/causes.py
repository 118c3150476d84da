"""What an approval, a plan or a want goes back to, looked up in the journal: the event, the turn, the decision."""

from orchestrator.journal import own
from orchestrator.journal.drafts import event_of, turn_of
from orchestrator.journal.journal import Reader
from orchestrator.types import Decision, Event, Turn


def origin(journal: Reader, position: int) -> Event | None:
    """The event at a position; for an approval, the event for which the approved action was planned.

    None where that is gone, as `[journal] keep` says.
    """
    record = journal.at(position)
    while record is not None and record.body and record.type == own.APPROVAL_GRANTED:
        asked = journal.find(f"{event_of(record).causationid}/{own.APPROVAL_REQUESTED.removeprefix(own.OWN)}")
        record = journal.at(event_of(asked[0]).data["event"]) if asked and asked[0].body else None
    return event_of(record) if record is not None and record.body else None


def unasked(journal: Reader, granted: Event) -> bool:
    """Whether what was asked for an approval that was given is gone from the journal."""
    asked = journal.find(f"{granted.causationid}/{own.APPROVAL_REQUESTED.removeprefix(own.OWN)}")
    return not asked or not asked[0].body


def turns_of(journal: Reader, position: int) -> list[Turn]:
    """The turns of the event at a position: one, or none yet."""
    return [turn_of(record) for record in journal.caused_by(position) if record.kind == "turn" and record.body]


def planned(journal: Reader, position: int, action: str) -> tuple[Turn, Decision] | None:
    """The turn of the event at a position that planned an action, and the decision it is part of."""
    for turn in turns_of(journal, position):
        for decision in turn.decisions:
            if any(one.id == action for one in decision.actions):
                return turn, decision
    return None
