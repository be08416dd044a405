"""Defines the errors of the binder."""

from __future__ import annotations


class BinderError(Exception):
    """Something cannot be done as it is configured or asked for; the message is one line."""


class StoppedError(Exception):
    """The binder ends; what it was doing is begun again by the next one."""
