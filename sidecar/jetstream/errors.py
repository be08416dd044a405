"""What a place in NATS JetStream can fail with."""

from __future__ import annotations


class JetStreamError(Exception):
    """The server did not do what was asked; the text is one line."""


class MissingError(JetStreamError):
    """There is no such key or object in the bucket."""


class NoBucketError(JetStreamError):
    """There is no such bucket."""


class ConflictError(JetStreamError):
    """The key was changed since it was read."""
