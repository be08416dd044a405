"""The one error of binding: one line that says what is wrong with the job or its files."""

from __future__ import annotations


class BindingError(Exception):
    """The job cannot be bound into a manifest."""
