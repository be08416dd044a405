"""The one error of an authority's own work: one line that says what is wrong and what to do."""

from __future__ import annotations


class AuthorityError(Exception):
    """The authority cannot do what it was asked; nothing was published unless the text says so."""
