"""Tests of the registry of stored objects."""
