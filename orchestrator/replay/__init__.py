"""Replay: a stretch of the journal once more, or a goal held against it. Nothing is called, nothing is written."""
