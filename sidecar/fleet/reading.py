"""Reads the statuses of a fleet, and compares the versions in force with a published one."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests

from sidecar.core.reasons import EvidenceError
from sidecar.fleet.fleet_file import PinnedGate
from sidecar.fleet.statement import MAX_STATUS_BYTES, GateStatement, verified_status

WARN_SECONDS = 15.0
CRITICAL_SECONDS = 45.0
"""The service level: a withdrawal is in force at every gate within these times."""

TIMEOUT_SECONDS = 3.0
ASKERS = 128
"""Gates that are asked at once: one that hangs holds a thread for ``TIMEOUT_SECONDS``."""


@dataclass(frozen=True, slots=True)
class PublishedEdition:
    """What an authority published, to be found in force.

    Attributes:
        authority: By its name.
        version: Of its TUF timestamp.
        withdrawals: Hex SHA-256 of each ``withdrawals.json`` with what was withdrawn: that of this
            version, and of later ones.
    """

    authority: str
    version: int
    withdrawals: frozenset[str]


@dataclass(frozen=True, slots=True)
class GateReading:
    """What one gate's status proves now.

    Attributes:
        gate: As pinned.
        at: When it was read, by the reader's clock.
        statement: The verified status; ``None`` where there is none.
        problem: Why there is no status, or why it may be old; empty otherwise.
        proven: Whether it was signed for this reading (its nonce).
    """

    gate: PinnedGate
    at: datetime
    statement: GateStatement | None
    problem: str = ""
    proven: bool = False

    @property
    def answers(self) -> bool:
        """Return whether a current status was read."""
        return self.statement is not None and not self.problem

    def in_force(self, published: PublishedEdition) -> bool:
        """Return whether the gate has an edition of an authority, or a later one, in force.

        An old status suffices: versions only grow, so it was signed after the edition existed. The
        version alone does not: a gate may follow another repository of the same name.
        """
        found = None if self.statement is None else self.statement.of(published.authority)
        return (
            found is not None
            and found.version >= published.version
            and found.withdrawals in published.withdrawals
        )

    def differs(self, published: PublishedEdition) -> bool:
        """Return whether the gate has that version or a later one, with other withdrawals."""
        found = None if self.statement is None else self.statement.of(published.authority)
        return (
            found is not None
            and found.version >= published.version
            and found.withdrawals not in published.withdrawals
        )


def read_fleet(gates: Iterable[PinnedGate]) -> tuple[GateReading, ...]:
    """Read every gate's status, in the order of the fleet; never raises for a gate."""
    with ThreadPoolExecutor(ASKERS) as pool:
        return tuple(pool.map(read_gate, gates))


def read_gate(gate: PinnedGate) -> GateReading:
    """Read one gate's status: ask for one signed for a fresh nonce, or read the published file."""
    nonce = secrets.token_hex(16) if gate.url else ""
    try:
        statement = verified_status(fetched(gate.status, nonce), gate.key)
    except (OSError, requests.RequestException, EvidenceError) as error:
        return GateReading(gate, datetime.now(UTC), None, _why(error))
    now = datetime.now(UTC)
    if nonce and statement.nonce != nonce:
        return GateReading(gate, now, None, "an old status was replayed: it has another nonce")
    age = (now - statement.time).total_seconds()
    problem = ""
    if age < -WARN_SECONDS or (nonce and age > WARN_SECONDS):
        problem = f"its clock differs from this one by {-age:+.0f} s"
    elif age > CRITICAL_SECONDS:
        problem = f"its last status is {age:.0f} s old"
    return GateReading(gate, now, statement, problem, proven=bool(nonce))


def fetched(status: str, nonce: str = "") -> bytes:
    """Return the bytes at a URL or in a file, at most ``MAX_STATUS_BYTES``.

    Raises:
        OSError: The file cannot be read.
        EvidenceError: It is larger.
        requests.RequestException: The URL does not answer.
    """
    if not status.startswith(("http://", "https://")):
        with Path(status).open("rb") as file:
            data = file.read(MAX_STATUS_BYTES + 1)
    else:
        with requests.get(
            status, params={"nonce": nonce}, timeout=TIMEOUT_SECONDS, stream=True
        ) as reply:
            reply.raise_for_status()
            data = reply.raw.read(MAX_STATUS_BYTES + 1, decode_content=True)
    if len(data) > MAX_STATUS_BYTES:
        raise EvidenceError(f"the status is larger than {MAX_STATUS_BYTES} bytes")
    return data


def _why(error: Exception) -> str:
    if isinstance(error, EvidenceError):
        return str(error)
    if isinstance(error, requests.RequestException):
        return f"no answer ({type(error).__name__})"
    return f"no status: {getattr(error, 'strerror', None) or type(error).__name__}"
