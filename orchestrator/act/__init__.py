"""Act: do exactly what was granted."""
