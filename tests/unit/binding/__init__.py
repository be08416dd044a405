"""Tests of ``sidecar/binding``."""
