"""The command `mdl`. Every command is one call of control, shown; `--json` shows the same as JSON.

Exit codes: 0 done, 1 refused or not found (`mdl replay`: something differs), 2 wrong usage, 3 the journal is owned by
another or cannot be written.
"""

from orchestrator.doors import (
    commands,
    goal_commands,
    journal_commands,
    mask_commands,
    parked_commands,
    policy_commands,
    replay_commands,
    source_commands,
    token_commands,
)
from orchestrator.doors.app import app

# importing them registers
__all__ = [
    "commands",
    "goal_commands",
    "journal_commands",
    "main",
    "mask_commands",
    "parked_commands",
    "policy_commands",
    "replay_commands",
    "source_commands",
    "token_commands",
]


def main() -> None:
    """Run the command line."""
    app()
