"""Checks of ``policies/`` with the real OPA: formatting, types, tests, and whole decisions."""
