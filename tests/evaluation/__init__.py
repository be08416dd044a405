"""Tests of ``sidecar/evaluation``."""
