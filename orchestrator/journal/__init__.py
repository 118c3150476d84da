"""The journal: the one append-only sequence, the only truth."""
