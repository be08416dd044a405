"""Defines the errors of policies and of external programs."""

from __future__ import annotations


class PolicyError(Exception):
    """The policies cannot be used; the message is one line with the cause."""


class ProgramError(Exception):
    """A program or a generated file is missing or wrong; the message states what to do."""
