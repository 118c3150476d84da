"""A masking over a vault in a folder, as `doors.build` joins them."""

from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from orchestrator.masking.key import mask_key
from orchestrator.masking.masking import Masking
from orchestrator.masking.vault import NAME, Vault
from orchestrator.testing import ManualClock

ALL = ("email", "phone", "card", "iban", "key")


@contextmanager
def masking_at(folder: Path, *fields: str, clock: ManualClock | None = None) -> Generator[Masking]:
    file = folder / NAME
    key = mask_key(folder, vault=file)
    with closing(Vault(file, key)) as vault:
        yield Masking(vault, key, fields=fields, detect=ALL, clock=clock or ManualClock())
