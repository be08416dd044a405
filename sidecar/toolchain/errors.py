"""Defines the error of this room: a program that is needed cannot be used."""

from __future__ import annotations


class ToolchainError(Exception):
    """A program or a generated file is missing or wrong; the message states what to do."""
