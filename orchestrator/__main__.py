"""`python -m orchestrator`: the same as the command `mdl`."""

from orchestrator.doors.cli import main

main()
