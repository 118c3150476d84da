"""Observe: what the world sends becomes events in the journal."""
