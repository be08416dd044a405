"""Tests of ``sidecar/authority``."""
