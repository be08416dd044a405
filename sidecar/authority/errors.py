"""Defines the one error of an authority's own work: one line with the cause and the remedy."""

from __future__ import annotations


class AuthorityError(Exception):
    """An operation of an authority failed; nothing was published unless the text states it."""


class SecretError(AuthorityError):
    """A PIN was wrong, or its token is locked: trying again would lock the token."""
