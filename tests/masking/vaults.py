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


def ends_with_m(masking: Masking) -> str:
    """A mask that is whole again where `mask` stands behind it without its last letter."""
    made = (masking.text(f"{chr(97 + one)}{chr(97 + other)}@shop.example") for one in range(26) for other in range(26))
    return next(one for one in made if one.endswith("m"))
