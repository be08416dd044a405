"""Runs the policy engine for every worker, in a process of its own.

It starts the managed OPA, follows changes of the policies, and states on the scoreboard which
engine is in force. It is separate from the process that follows the authorities, so that a failure
of one does not stop the other.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path

from sidecar.observe import summed_metrics
from sidecar.observe.metrics import Metrics
from sidecar.observe.unknown_keys import UnknownKeys
from sidecar.opa.live_engine import Engine
from sidecar.service.engine import Policies, start_policies
from sidecar.service.followed import PoliciesRecord, alive, no_trust
from sidecar.service.scoreboard import Role
from sidecar.service.setup import BEAT_SECONDS, LINGER_SECONDS, Setup
from sidecar.service.startup import make_metrics, stop_signals, until
from sidecar.service.status import GateStatus

_METRICS_SECONDS = 5.0


async def run(setup: Setup) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        PolicyError: The policies or OPA cannot be used.
        ProgramError: The OPA program was not found.
    """
    stopped, hurry = stop_signals()
    linger = setup.config.deadline_ms / 1000 + LINGER_SECONDS
    stated = _Stated(setup)
    async with AsyncExitStack() as stack:
        async with alive(setup.slot):
            stated.policies = await start_policies(
                setup.config,
                stated.metrics,
                stated.gate_status,
                linger_seconds=linger,
                changed=stated.write,
            )
        stack.push_async_callback(stated.policies.stop)
        due = 0.0
        while not stopped.is_set():
            stated.put(up=await stated.policies.live.healthy())
            if time.monotonic() >= due:
                due = time.monotonic() + _METRICS_SECONDS
                stated.count()
            await until(stopped, BEAT_SECONDS if stated.up else BEAT_SECONDS / 10)
        end = time.monotonic() + linger  # for the last queries of workers
        while _workers(setup) and time.monotonic() < end:
            if await until(hurry, BEAT_SECONDS / 10):
                break
        stated.count()


def _workers(setup: Setup) -> bool:
    """Return whether a worker runs; where the supervisor was killed, none is reaped."""
    return any(Path(f"/proc/{each.pid}").exists() for each in setup.board.running(Role.WORKER))


class _Stated:
    """What the process states on the scoreboard."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.gate_status = GateStatus()
        self.metrics: Metrics = make_metrics(
            setup.trust.operator, no_trust(UnknownKeys()), UnknownKeys()
        )
        self.policies: Policies | None = None
        self.up = False
        self._engine: Engine | None = None
        self._number = 0
        self._written = b""

    def put(self, *, up: bool) -> None:
        """State whether the engine answers; from the first answer on its policies are in force."""
        self.up = up
        self.metrics.engine_up.set(up)
        self.write()
        slot = self._setup.slot
        first = up and not slot.reading().ready
        slot.beat(ready=up or slot.reading().ready)
        if first:
            self._setup.board.put_policies_in_force(slot)

    def write(self) -> None:
        """State which engine has the policies in force; called at once after each change."""
        if self.policies is None:
            return
        engine, remote = self.policies.live.current(), self._setup.config.opa.remote
        if engine is not self._engine:
            self._engine, self._number = engine, time.monotonic_ns()
        url = "" if remote is None else remote.url
        record = PoliciesRecord(
            engine=self._number,
            url=url if engine.child is None else engine.child.address.url,
            revision=engine.revision,
            jurisdictions=engine.jurisdictions,
            noticed=engine.child is not None,
            up=self.up,
            error=self.gate_status.policy_error,
        ).write()
        if record != self._written:
            self._setup.slot.status.write(record)
            self._written = record

    def count(self) -> None:
        """State the metrics."""
        found = summed_metrics.families(self.metrics.registry)
        self._setup.slot.metrics.write(summed_metrics.write(found))
