"""Describes where and how a provider's API is reached, without loading its SDK."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.binder.secrets import Secret

OPENAI = "openai"
AZURE = "azure"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a provider's API is reached.

    Attributes:
        api: ``openai`` or ``azure``.
        base_url: Of the API; for Azure that of the resource, or of its ``/openai/v1``. ``None`` is
            OpenAI's own.
        key: The API key; ``None`` for Entra ID, or where a gateway adds the key.
        api_version: Azure's dated version; ``None`` for ``/openai/v1``.
        credential: The environment's credential, where calls go through the gate.
    """

    api: str
    base_url: str | None = None
    key: Secret | None = None
    api_version: str | None = None
    credential: Secret | None = None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Return every secret that calls carry."""
        return tuple(each for each in (self.key, self.credential) if each is not None)
