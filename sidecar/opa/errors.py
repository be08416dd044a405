"""What goes wrong with policies."""

from __future__ import annotations


class PolicyError(Exception):
    """The policies cannot be used; one line that says why."""
