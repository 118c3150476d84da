"""The loop: it follows the journal, event by event, and what it needs for that; it ends only with the process."""
