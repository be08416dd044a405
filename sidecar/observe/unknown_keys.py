"""Counts credentials signed with keys that their trust domain's authority has not published.

A growing count means that the authority is behind the rotation of its keys, or that somebody forges
credentials. The label is a trust domain of the operator's grants, never one that a client names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class KeyMisses:
    """How often a key was unknown since the gate started, and when last."""

    count: int = 0
    last: datetime | None = None


@dataclass(slots=True)
class UnknownKeys:
    """Counts by trust domain."""

    _found: dict[str, KeyMisses] = field(default_factory=dict)

    def add(self, trust_domain: str, at: datetime) -> None:
        """Count one credential."""
        self._found[trust_domain] = KeyMisses(self.of(trust_domain).count + 1, at)

    def names(self) -> tuple[str, ...]:
        """Return the trust domains of which a key was unknown."""
        return tuple(self._found)

    def of(self, trust_domain: str) -> KeyMisses:
        """Return the count of one trust domain."""
        return self._found.get(trust_domain, KeyMisses())
