"""Defines the errors of registrations, and the results of reading and writing them."""

from __future__ import annotations

from enum import StrEnum


class RegistryError(Exception):
    """The key or the folder cannot be used; the message is one line with path and cause."""


class RegistryResult(StrEnum):
    """The result of reading or writing a registration. Values are label values of metrics."""

    FOUND = "found"
    MISSING = "missing"
    EXPIRED = "expired"
    FOREIGN = "foreign"
    INVALID = "invalid"
    WRITTEN = "written"
    FAILED = "failed"
    UNREADABLE = "unreadable"


class UnregisteredError(Exception):
    """No valid registration exists for the caller's environment.

    Attributes:
        result: The cause, for the operator. It is not part of the denial, which must not reveal
            whether another environment has the object.
    """

    def __init__(self, result: RegistryResult, detail: str) -> None:
        super().__init__(detail)
        self.result = result
