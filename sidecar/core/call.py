"""What the request path proved about a request before the predicate is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Call:
    """A well-formed request with every model it can reach (predicate step 0).

    Attributes:
        provider: From the route's configuration, never from the client.
        operation: A name of the operation table, e.g. ``chat.completions``.
        models: Every model id it names, in order of appearance, without repeats; never empty.
        stream: Whether the reply is asked for as a stream.
        modalities: Output modalities asked for, sorted.
        tool_types: Types of tools offered to the model, sorted.
    """

    provider: str
    operation: str
    models: tuple[str, ...]
    stream: bool = False
    modalities: tuple[str, ...] = ()
    tool_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """A verified SVID.

    Attributes:
        spiffe_id: The environment it names.
        trust_domain: Of that id.
        kind: ``jwt-svid`` or ``x509-svid``.
        expires: When it ceases to hold.
        authority: Whose published roots vouch for it.
    """

    spiffe_id: str
    trust_domain: str
    kind: str
    expires: datetime
    authority: str
