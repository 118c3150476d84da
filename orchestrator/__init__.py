"""MDL: an autonomous decision loop for back ends. Public names, nothing else."""

from orchestrator.act.action import action
from orchestrator.errors import MDLError, ToolError, ToolUncertain
from orchestrator.types import Action, Decision, Event, Goal, Outcome, Tool

__all__ = ["Action", "Decision", "Event", "Goal", "MDLError", "Outcome", "Tool", "ToolError", "ToolUncertain", "action"]
