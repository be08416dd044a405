"""Tests of ``sidecar/cli``."""
