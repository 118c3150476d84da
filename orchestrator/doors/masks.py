"""What a person at the machine does with a mask: see or forget its value. Each is an event in the journal first."""

import re
from pathlib import Path

from orchestrator.doors import build
from orchestrator.doors.session import Session
from orchestrator.doors.sessions import session
from orchestrator.errors import MaskError
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.masking.mask import MASK, decoded
from orchestrator.people import os_user
from orchestrator.types import Json

_LETTERS = re.compile(r"([a-z]{28})")


async def revealed(mask: str, config: Path) -> Json:
    """What a mask stands for, once the journal holds that this user saw it.

    Raises:
        MaskError: it stands for nothing here, or the vault cannot be used.
        JournalError: the journal does not take the event; then nothing is told.
    """
    async with session(config, write=True) as here:
        with build.vault(here.settings) as vault:
            value = decoded(vault.find(letters(mask)))
        await _say(own.REVEALED, mask, here)
    return value


async def forgotten(mask: str, config: Path) -> None:
    """Let go of what a mask stands for.

    Raises:
        MaskError: it stands for nothing here, or the vault cannot be used.
        JournalError: the journal does not take the event; then nothing is forgotten.
    """
    async with session(config, write=True) as here:
        with build.vault(here.settings) as vault:
            vault.find(letters(mask))
            await _say(own.FORGOTTEN, mask, here)
            vault.forget(letters(mask))


def letters(mask: str) -> str:
    """The letters of a mask that somebody names.

    Raises:
        MaskError: it is none.
    """
    found = MASK.fullmatch(mask) or _LETTERS.fullmatch(mask)
    if found is None:  # and is not repeated, since it may be what is to be masked
        raise MaskError("this is no mask; give one in quotes, as `mdl tail` shows it, or its 28 letters")
    return found[1]


async def _say(type_: str, mask: str, here: Session) -> None:
    data = own.MaskData(mask=mask, by=os_user())
    made = own.mask_event(type_, data, head=here.reader.head, at=here.now())
    await here.control.journal.append([event_draft(made)])
