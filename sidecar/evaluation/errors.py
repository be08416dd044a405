"""Defines the one exception that reading suites, scores and reports raises."""

from __future__ import annotations


class EvaluationError(Exception):
    """Scores, a suite or a report cannot be used; the message names the file and the place."""
