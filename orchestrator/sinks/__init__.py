"""Sinks: arguments that say where a call goes or what it runs, and the shape that what enters them must have.

A kind is what settings declare an argument as: `sinks = { recipient = "recipient" }`. Each has a file of its own that
says why a value does not fit. Whose the value is, is asked here only as far as the shape depends on it: a text that the
owner wrote out may be more than one that comes from an event, a tool or a planner. Reads no settings.
"""

from orchestrator.sinks.bound import Sinks, bound, nowhere
from orchestrator.sinks.glance import plain
from orchestrator.sinks.literals import pins
from orchestrator.sinks.shape import literal, misshapen

__all__ = ["Sinks", "bound", "literal", "misshapen", "nowhere", "pins", "plain"]
