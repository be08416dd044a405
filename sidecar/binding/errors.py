"""Defines the error of binding: one line that names the job or file, and the problem."""

from __future__ import annotations


class BindingError(Exception):
    """The job cannot be bound into a manifest."""
