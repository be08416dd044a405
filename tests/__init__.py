"""Tests; folders mirror `sidecar/`."""
