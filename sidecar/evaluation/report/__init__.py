"""Writes the evaluation of one manifest for people (HTML), for CI (JUnit) and for programs."""
