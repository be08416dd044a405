"""Reads ``fleet.yaml``: the gates of an operator, each with its pinned key and where its status is.

A key is pinned on first use only by ``pin``, which a person calls; nothing pins by itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError
from sidecar.durable.files import read_bounded, write_atomically
from sidecar.formats import faults
from sidecar.formats.config_file import ConfigFileError, parse_yaml

MAX_FLEET_BYTES = 16 << 20


class FleetError(Exception):
    """``fleet.yaml`` cannot be used, or a gate cannot be pinned; the message is one line."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _GateEntry(_Strict):
    name: Annotated[str, Field(min_length=1, max_length=256)]
    key: Annotated[str, Field(max_length=8192)]
    status: Annotated[str, Field(min_length=1, max_length=4096)]


class _FleetFile(_Strict):
    version: Literal[1]
    gates: Annotated[tuple[_GateEntry, ...], Field(max_length=20_000)] = ()


@dataclass(frozen=True, slots=True)
class PinnedGate:
    """One gate: its name in the fleet, its key, and a URL or the path of a published file."""

    name: str
    key: PublicKey
    status: str

    @property
    def url(self) -> str | None:
        """Return the URL to ask; ``None`` where the status is a file."""
        return self.status if self.status.startswith(("http://", "https://")) else None


def load(path: Path) -> tuple[PinnedGate, ...]:
    """Read a fleet; paths in it are relative to its folder.

    Raises:
        FleetError: It cannot be read or has another shape, no gates, or a name or key twice.
    """
    gates = _load(path)
    if not gates:
        raise FleetError(f"{path}: lists no gates; add one: admit fleet --pin NAME=URL|FILE")
    return gates


def pin(path: Path, gate: PinnedGate) -> None:
    """Add one gate to a fleet, which is made if there is none.

    Raises:
        FleetError: Its name or its key is there already, or the file cannot be written.
    """
    known = _load(path) if path.exists() else ()
    _check_apart(path, (*known, gate))
    entries = [
        {"name": each.name, "key": each.key.pem, "status": each.status} for each in (*known, gate)
    ]
    text = yaml.safe_dump({"version": 1, "gates": entries}, sort_keys=False)
    try:
        write_atomically(path, text.encode(), mode=0o644)
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}") from error


def _load(path: Path) -> tuple[PinnedGate, ...]:
    try:
        data = read_bounded(path, MAX_FLEET_BYTES)
        found = _FleetFile.model_validate(parse_yaml(data))
        gates = tuple(
            PinnedGate(entry.name, PublicKey.from_pem(entry.key), _place(path, entry.status))
            for entry in found.gates
        )
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}; make it: admit fleet --pin") from error
    except ValidationError as error:
        raise FleetError(f"{path}: {faults.fault(error, _FleetFile)}") from error
    except (ConfigFileError, EvidenceError) as error:
        raise FleetError(f"{path}: {error}") from error
    _check_apart(path, gates)
    return gates


def _check_apart(path: Path, gates: tuple[PinnedGate, ...]) -> None:
    """Refuse two gates of one name or one key: one could answer for the other."""
    for what in ("name", "key"):
        values = Counter(each.name if what == "name" else each.key.fingerprint for each in gates)
        twice = sorted(value for value, times in values.items() if times > 1)
        if twice:
            raise FleetError(f"{path}: two gates have the {what} {twice[0]}; each has its own")


def _place(path: Path, status: str) -> str:
    if status.startswith(("http://", "https://")):
        return status
    return str(path.parent / status)
