"""Doors: how people and programs get in. They add nothing to control."""
