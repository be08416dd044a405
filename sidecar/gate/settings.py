"""The operator's settings of the request path."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.extract.extractor import ExtractOptions
from sidecar.extract.parsed_request import ReadOptions
from sidecar.gate.leases import MAX_LEASES


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator sets for the request path.

    Attributes:
        audience: The audience that a JWT-SVID must contain.
        credential_header: Lower-case name of the header with a JWT-SVID.
        max_body_bytes: The longest body that is read.
        opened: Names of operations, closed by default, that the operator opened.
        gate_name: The name that the seal in Envoy's configuration requires of an allow.
        ignore_body_model: Whether ``model`` in a body is ignored where the path has a deployment.
        max_leases: The most decisions that are kept for reuse; 0 keeps none.
        max_credentials: The most verified credentials that are kept for reuse; 0 keeps none.
    """

    audience: str
    credential_header: str
    max_body_bytes: int
    opened: frozenset[str] = frozenset()
    gate_name: str = "admissibility"
    ignore_body_model: bool = False
    max_leases: int = MAX_LEASES
    max_credentials: int = MAX_LEASES

    def read_options(self, *, inputs: bool) -> ReadOptions:
        """Return the settings of parsing; ``inputs``: whether stored inputs are looked for."""
        extraction = ExtractOptions(
            self.max_body_bytes, self.opened, self.ignore_body_model, inputs
        )
        return ReadOptions(self.credential_header, extraction)
