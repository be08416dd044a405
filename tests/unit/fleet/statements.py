"""Signs statuses as a gate does, with real keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sidecar.core.keys import PublicKey
from sidecar.fleet.fleet_file import PinnedGate
from sidecar.fleet.reading import PublishedEdition
from sidecar.fleet.statement import AuthorityInForce, GateStatement, signed
from sidecar.registry.keys import RegistryKey

DIGEST = "d1" * 32


def edition(version: int, authority: str = "regulator") -> PublishedEdition:
    return PublishedEdition(authority, version, frozenset({DIGEST}))


def statement(key: PublicKey, **changes: Any) -> GateStatement:
    fields: dict[str, Any] = {
        "type": "urn:admissibility:gate-status:v1",
        "gate": "eu-1",
        "instance": "ab12",
        "time": datetime.now(UTC),
        "nonce": "",
        "epoch": 4,
        "release": "0.1.0",
        "revision": "policies-7",
        "ready": True,
        "clock_problem": "",
        "authorities": (),
        "public_key": key.pem,
    }
    return GateStatement(**{**fields, **changes})


def publish(
    path: Path,
    key: RegistryKey,
    authority: str = "regulator",
    version: int = 7,
    withdrawals: str = DIGEST,
    **changes: Any,
) -> PinnedGate:
    """Write a status in which an authority's version is in force."""
    held = AuthorityInForce(
        name=authority, version=version, heard_since_start=True, withdrawals=withdrawals
    )
    changes = {"authorities": (held,), **changes}
    path.write_bytes(signed(statement(key.public, **changes), key.public, key.sign))
    return PinnedGate("eu-1", key.public, str(path))
