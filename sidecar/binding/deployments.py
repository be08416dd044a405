"""Defines which model a deployment runs, as its provider states it, whatever the provider."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sidecar.core import wire

RECORD = "record"
"""Name of the declaration that is the digest of the provider's record of a deployment."""


@dataclass(frozen=True, slots=True)
class DeployedModel:
    """What a deployment runs now.

    Attributes:
        name: The deployment, as calls name it.
        model: The model, as manifests or declarations of base models name it.
        adapted: Whether that is an adapted model, which has a manifest.
        projection: Fields of the record that change when it is pointed elsewhere, or was between.
        facts: What its provider states of it, for policies.
        manifest: Digest of the adapted model's manifest, where the record determines it.
    """

    name: str
    model: str
    adapted: bool
    projection: Mapping[str, Any]
    facts: Mapping[str, str] = field(default_factory=dict)
    manifest: str | None = None

    def declarations(self) -> dict[str, str]:
        """Return the declarations of its binding: the facts, and a digest of the projection."""
        digest = hashlib.sha256(wire.canonical(dict(self.projection))).hexdigest()
        return {**self.facts, RECORD: digest}


class DeploymentSource(Protocol):
    """A provider's API, as far as deployments are concerned."""

    @property
    def provider(self) -> str:
        """Return the provider's name in bindings: that of the gate's routes."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...

    def names(self) -> Iterator[str]:
        """Yield the name of every deployment that is kept bound.

        Raises:
            SourceError: The provider cannot be asked.
        """
        ...

    def read(self, name: str) -> DeployedModel:
        """Return what a deployment runs.

        Raises:
            SourceError: The provider cannot be asked.
            BindingError: It runs nothing that can be bound now; says why.
        """
        ...
