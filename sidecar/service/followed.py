"""Follows the epoch and the policies in force, which other processes of the gate maintain.

A worker reads both at least once for each request, from memory that the processes share.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar.core.facts import Facts
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.snapshot import TrustState
from sidecar.core.verdict import Verdict
from sidecar.gate.snapshot_holder import Snapshot, SnapshotHolder
from sidecar.observe.trust_metrics import TrustDomainReading, TrustReading
from sidecar.observe.unknown_keys import UnknownKeys
from sidecar.opa.client import Address, Opa
from sidecar.opa.live_engine import Engine, LivePolicies
from sidecar.service.scoreboard import Scoreboard, Slot
from sidecar.service.setup import BEAT_SECONDS
from sidecar.trust.epoch_page import SILENT_SECONDS
from sidecar.trust.followed_store import FollowedStore, NotInForceError


class FollowedSnapshots(SnapshotHolder):
    """The snapshots of a store that another process writes.

    Args:
        store: The store.
    """

    def __init__(self, store: FollowedStore) -> None:
        super().__init__()
        self._store = store
        self._state: TrustState | None = None

    def current(self) -> Snapshot:
        """Return the snapshot in force at this moment.

        Raises:
            AdmissibilityError: ``trust_stale`` while nothing that is stored may be relied on.
        """
        try:
            state = self._store.current()
        except NotInForceError as error:
            raise AdmissibilityError(
                Reason.TRUST_STALE, f"the gate is not ready: {error}"
            ) from error
        if state is not self._state:
            self.publish(state)
            self._state = state
        return super().current()

    def problem(self) -> str:
        """Return why there is no snapshot in force; empty if there is one."""
        try:
            self.current()
        except AdmissibilityError as error:
            return error.message
        return ""


@dataclass(frozen=True, slots=True)
class PoliciesRecord:
    """The policies in force, as the process that runs the policy engine states them.

    Attributes:
        engine: A number that is another one after each change of the policies.
        url: Address of the engine.
        revision: The revision that verdicts must have.
        jurisdictions: Those of the policies.
        noticed: Whether each change is stated here at once; not of an OPA that is not managed.
        up: Whether the engine answered its last health check.
        error: Why newer policies are not in force; empty if they are.
    """

    engine: int = 0
    url: str = ""
    revision: str = ""
    jurisdictions: tuple[str, ...] = ()
    noticed: bool = False
    up: bool = False
    error: str = ""

    def write(self) -> bytes:
        """Write it as JSON."""
        return json.dumps([getattr(self, name) for name in self.__slots__]).encode()

    @classmethod
    def of(cls, board: Scoreboard) -> PoliciesRecord:
        """Read that of the process whose policies are in force; an empty one without any."""
        slot = board.policies
        data = b"" if slot is None else slot.status.read()
        if not data:
            return cls()
        engine, url, revision, jurisdictions, noticed, up, error = json.loads(data)
        return cls(engine, url, revision, tuple(jurisdictions), noticed, up, error)


class FollowedPolicies:
    """A ``PolicyEngine`` that queries the engine of another process. Use it in one event loop.

    Args:
        board: States which engine is in force.
        connections: Most connections to it.
    """

    def __init__(self, board: Scoreboard, connections: int) -> None:
        self._board, self._connections = board, connections
        self._seen = (0, 0)
        self.silent = False
        self.record = PoliciesRecord()
        self._number = (0, 0)
        self._live: LivePolicies | None = None
        self._finding: asyncio.Task[bool] | None = None

    def identity(self) -> Engine | None:
        """Return the engine in force; ``None`` where its policies may change without notice."""
        self._follow()
        return None if self._live is None or self.silent else self._live.identity()

    async def ask(self, facts: Facts) -> Verdict:
        """Query the engine in force.

        Raises:
            AdmissibilityError: ``policy_unavailable``.
        """
        self._follow()
        if self._live is None or self.silent:
            why = "the process that runs it has not started, or does not answer"
            raise AdmissibilityError(Reason.POLICY_UNAVAILABLE, f"policy engine: {why}")
        return await self._live.ask(facts)

    def check(self) -> None:
        """Follow what is in force, and check that the process that states it still runs.

        Leases rest on changes being stated, so that nothing is asked or leased of a silent one.
        """
        self._follow()
        slot = self._board.policies
        self.silent = slot is None or slot.reading().silent > SILENT_SECONDS

    async def close(self) -> None:
        """Close every client."""
        if self._finding is not None:
            await asyncio.gather(self._finding, return_exceptions=True)
        if self._live is not None:
            await self._live.close()

    def _follow(self) -> None:
        """Connect to the engine that the record names, whenever that is another one."""
        board = self._board
        slot = board.policies
        if slot is None or self._seen == (slot.number + 1, slot.status.sequence):
            return
        self._seen = slot.number + 1, slot.status.sequence
        record = PoliciesRecord.of(board)
        if not record.engine:
            return
        self.record = record
        number = self._seen[0], record.engine
        if number == self._number:
            return
        self._number = number
        client = Opa(Address(record.url, record.revision), connections=self._connections)
        if record.noticed:
            self._finding = asyncio.create_task(client.ask_several(), name="ask-several")
        engine = Engine(client, record.revision, record.jurisdictions, followed=record.noticed)
        if self._live is None:
            self._live = LivePolicies(engine)
        else:
            self._live.swap(engine)


@asynccontextmanager
async def alive(slot: Slot) -> AsyncIterator[None]:
    """State on the scoreboard that a process runs, while it starts."""

    async def beat() -> None:
        while True:
            slot.beat(ready=False)
            await asyncio.sleep(BEAT_SECONDS)

    beats = asyncio.create_task(beat(), name="beats")
    try:
        yield
    finally:
        beats.cancel()
        await asyncio.gather(beats, return_exceptions=True)


def no_trust(unknown_keys: UnknownKeys) -> Callable[[], TrustReading]:
    """Return a reader's part of the trust status: its key misses alone."""

    def reading() -> TrustReading:
        misses = tuple(
            TrustDomainReading(name, "", 0, 0, None, unknown_keys.of(name))
            for name in unknown_keys.names()
        )
        return TrustReading(datetime.now(UTC), 0, 0, 0, 0, (), misses)

    return reading
