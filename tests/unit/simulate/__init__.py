"""Histories that people write: how they are read, played and shown."""
