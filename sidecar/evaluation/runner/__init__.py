"""Runs suites on Inspect AI, in an environment and a process of its own."""
