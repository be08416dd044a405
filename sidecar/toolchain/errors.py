"""The one error of the toolchain: one line that says what is wrong and what to do."""

from __future__ import annotations


class ToolchainError(Exception):
    """A pinned program or generated file cannot be had; the message says what to do about it."""
