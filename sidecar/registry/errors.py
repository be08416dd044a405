"""What can go wrong between a registration and its folder."""

from __future__ import annotations

from enum import StrEnum


class RegistryError(Exception):
    """The key or the folder cannot be used; one line that says which, and why."""


class Result(StrEnum):
    """How looking a registration up, or writing one, came out. Values are label values."""

    FOUND = "found"
    MISSING = "missing"
    EXPIRED = "expired"
    FOREIGN = "foreign"
    INVALID = "invalid"
    WRITTEN = "written"
    FAILED = "failed"
    UNREADABLE = "unreadable"


class UnregisteredError(Exception):
    """There is no registration that counts.

    Attributes:
        result: Why; for the operator. The caller is not told, because whether an object of another
            environment exists is not its business.
    """

    def __init__(self, result: Result, detail: str) -> None:
        super().__init__(detail)
        self.result = result
