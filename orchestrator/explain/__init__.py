"""Explain: why something happened or did not, answered from the journal alone."""
