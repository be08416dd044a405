"""Obtains the pinned programs, runs Envoy for the demo and for tests, and compiles `proto/`."""
