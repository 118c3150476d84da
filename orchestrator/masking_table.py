"""`[masking]`: what nobody but a tool's `unmask` arguments may see. Says it, and masks nothing."""

from pydantic import BaseModel, ConfigDict, model_validator

from orchestrator.errors import SettingsError
from orchestrator.masking.detect import Detector
from orchestrator.masking.fields import rules_of


class MaskingTable(BaseModel):
    """What is masked. Without this table nothing is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: tuple[str, ...] = ()
    """Paths below an event, masked whole; `*` is any one step."""
    detect: tuple[Detector, ...] = ()
    """What is looked for in every text that comes from outside."""

    @model_validator(mode="after")
    def _are_paths(self) -> "MaskingTable":
        try:
            rules_of(self.fields)
        except SettingsError as error:
            raise ValueError(f"`fields`: {error}") from error
        return self
