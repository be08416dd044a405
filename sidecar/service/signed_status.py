"""Signs the gate's status with its own key, for ``/status/signed`` and a folder of statuses.

The key is made at the first start, in the state folder. The versions are those of the trust state
in force, not of what was downloaded: a version appears once requests are decided by it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sidecar.durable.files import write_atomically
from sidecar.fleet.statement import AuthorityInForce, GateStatement, signed
from sidecar.registry.keys import RegistryKey, open_or_create
from sidecar.service.status import Status

log = logging.getLogger("sidecar.service")

KEY_FILE = "status-key.pem"
PUBLISH_SECONDS = 5.0
_LOOK_SECONDS = 0.25
MAX_NONCE_CHARS = 128


@dataclass(frozen=True, slots=True)
class StatusSigner:
    """Signs the status of one gate.

    Args:
        status: What is stated.
        gate: ``gate_name``.
        state_dir: Holds the key.

    Raises:
        RegistryError: The key can be neither read nor made, or others may read it.
    """

    status: Status
    gate: str
    key: RegistryKey
    instance: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def of(cls, status: Status, gate: str, state_dir: Path) -> StatusSigner:
        """Return a signer with the key in the state folder, which is made if there is none.

        Raises:
            RegistryError: It can be neither read nor made, or others may read it.
        """
        return cls(status, gate, open_or_create(state_dir / KEY_FILE, "status key"))

    def envelope(self, nonce: str = "") -> bytes:
        """Return the status now, as a signed envelope."""
        snapshot, gate_status = self.status.holder.published, self.status.gate_status
        views = {} if snapshot is None else snapshot.state.authorities
        statement = GateStatement(
            type="urn:admissibility:gate-status:v1",
            gate=self.gate,
            instance=self.instance,
            time=datetime.now(UTC),
            nonce=nonce,
            epoch=0 if snapshot is None else snapshot.state.epoch,
            release=version("admissibility-sidecar"),
            revision=gate_status.revision,
            ready=gate_status.ready,
            clock_problem=gate_status.clock_problem,
            authorities=tuple(
                AuthorityInForce(
                    name=name,
                    version=view.version,
                    heard_since_start=view.heard_since_start,
                    withdrawals=view.withdrawals_sha256,
                )
                for name, view in sorted(views.items())
            ),
            public_key=self.key.public.pem,
        )
        return signed(statement, self.key.public, self.key.sign)

    async def publish(self, folder: Path) -> None:
        """Write the status into a folder whenever it changes, and every ``PUBLISH_SECONDS``."""
        path = folder / f"{self.gate}.{self.key.public.fingerprint[7:19]}.json"
        loop, last, seen, failing = asyncio.get_running_loop(), float("-inf"), None, False
        while True:
            snapshot = self.status.holder.published
            now = (snapshot, self.status.gate_status.ready)
            if now != seen or loop.time() - last >= PUBLISH_SECONDS:
                seen, last = now, loop.time()
                try:
                    await asyncio.to_thread(write_atomically, path, self.envelope(), mode=0o644)
                    failing = False
                except OSError as error:
                    if not failing:
                        log.error("%s: the status cannot be written: %s", path, error.strerror)  # noqa: TRY400
                    failing = True
            await asyncio.sleep(_LOOK_SECONDS)
