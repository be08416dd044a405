"""What goes wrong with policies."""

from __future__ import annotations


class PolicyError(Exception):
    """The policies cannot be used; one line that says why."""


class ProgramError(Exception):
    """A program or a generated file is missing or wrong; the message states what to do."""
