"""Answers Envoy, as one of several processes that share a port.

A worker decides by the epoch that the writer put in force and by the policies of the process that
runs the engine (``followed``). It has leases, a connection to OPA and lines in the decision log of
its own, and states on the scoreboard how it is. While the epoch in force may not be relied on, it
answers 503 and its health check fails; it recovers by itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from sidecar.core.window import rfc3339
from sidecar.gate.clock import Clock
from sidecar.gate.server import GateServer
from sidecar.gate.worker_pool import WORKERS, WorkerPool
from sidecar.observe import summed_metrics
from sidecar.observe.metrics import Metrics
from sidecar.observe.unknown_keys import UnknownKeys
from sidecar.opa.client import QUERIES
from sidecar.service.draining import drain
from sidecar.service.followed import FollowedPolicies, FollowedSnapshots, no_trust
from sidecar.service.registry import start_objects
from sidecar.service.setup import BEAT_SECONDS, Setup
from sidecar.service.startup import (
    StartError,
    allow_connections,
    make_metrics,
    make_server,
    open_observer,
    read_clock,
    shared_port,
    start_required,
    started_clock,
    starting,
    stop_signals,
    until,
)
from sidecar.service.status import GateStatus
from sidecar.trust.followed_store import FollowedStore

log = logging.getLogger("sidecar.service")

TAKE_OVER_SECONDS = 60.0
"""How long a worker that replaces another one may take until it can decide."""
_UNREADY_SECONDS = 0.02
_METRICS_SECONDS = 5.0


async def run(setup: Setup) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        RuntimeError: The server failed; it can answer no call any more.
        StartError: An address or a file cannot be used.
        LatestTimeError: The latest time cannot be read.
        RegistryError: The registry of stored objects cannot be used.
    """
    allow_connections()
    stopped, hurry = stop_signals()
    async with AsyncExitStack() as stack:
        worker = await _started(setup, stack)
        if setup.replaces:
            await worker.wait_until_able(stopped)
        with starting(f"listen: {setup.config.listen}"):
            await worker.server.start(setup.config.listen)
        worker.listening = True
        bodies = asyncio.create_task(worker.bodies.start(), name="bodies")
        failing = start_required(
            worker.server.wait_for_termination(), "the gRPC server", worker.status
        )
        while not stopped.is_set():
            await worker.update_status()
            if worker.status.failed:
                raise RuntimeError(f"{worker.status.failed} failed")
            await until(stopped, BEAT_SECONDS if worker.status.ready else _UNREADY_SECONDS)
        failing.cancel()
        worker.status.stopping = True
        await worker.update_status()
        log.info("stopping; what is in flight may take %d s", setup.config.stop_seconds)
        beats = asyncio.create_task(worker.beat(), name="beats")
        await drain(worker.server, setup.config.stop_seconds, hurry, shared_port(setup.config))
        beats.cancel()
        await asyncio.gather(bodies, beats, return_exceptions=True)
        worker.write_metrics()


@dataclass(slots=True)
class _Worker:
    """The parts of a started worker."""

    setup: Setup
    snapshots: FollowedSnapshots
    policies: FollowedPolicies
    clock: Clock
    metrics: Metrics
    unknown_keys: UnknownKeys
    bodies: WorkerPool
    server: GateServer
    status: GateStatus = field(default_factory=GateStatus)
    listening: bool = False
    counted: int = -1
    counted_at: float = 0.0

    async def wait_until_able(self, stopped: asyncio.Event) -> None:
        """Return once it can decide, so that it takes no connection before.

        Raises:
            StartError: It cannot in time.
        """
        end = time.monotonic() + TAKE_OVER_SECONDS
        while not (self.problem() == "" and self.policies.record.up):
            self._write_slot()
            if await until(stopped, _UNREADY_SECONDS):
                return
            if time.monotonic() > end:
                why = self.problem() or "the policy engine does not answer"
                raise StartError(f"this worker cannot take another one's place: {why}")

    def problem(self) -> str:
        """Return why no epoch is in force; also checks the policies in force."""
        self.policies.check()
        self.metrics.add_jurisdictions(self.policies.record.jurisdictions)
        return self.snapshots.problem()

    async def update_status(self) -> None:
        """Check clock, epoch and policies, set the health status, and write the slot."""
        status, reading = self.status, read_clock(self.clock, self.snapshots.published)
        if bool(reading.problem) != bool(status.clock_problem):
            log.warning("%s", reading.problem or "the clock is relied on again")
            self.counted = -1
        self.metrics.clock_sound.set(not reading.problem)
        status.clock_problem = reading.problem
        problem = self.problem()
        status.engine_up = self.policies.record.up
        # As in a gate of one process: an engine that fails later denies what needs it.
        able = not problem and (status.engine_up or status.started)
        if able is not status.started:
            status.started = able
        if await self.server.set_ready(ready=status.ready):
            self.metrics.ready.set(status.ready)
            if not status.stopping:
                log.info("ready") if status.ready else log.warning("not ready")
        self._write_slot()
        if self._metrics_changed():
            self.write_metrics()

    async def beat(self) -> None:
        """State that the worker runs while it stops."""
        while True:
            self._write_slot()
            await asyncio.sleep(BEAT_SECONDS)

    def write_metrics(self) -> None:
        """State the metrics."""
        self.counted, self.counted_at = self.metrics.decisions, time.monotonic()
        found = summed_metrics.families(self.metrics.registry)
        if not self.setup.slot.metrics.write(summed_metrics.write(found)):
            log.error("the metrics of this worker are too large to be shown")
        last = {
            name: rfc3339(at)
            for name in self.unknown_keys.names()
            if (at := self.unknown_keys.of(name).last) is not None
        }
        self.setup.slot.status.write(json.dumps(last).encode())

    def _metrics_changed(self) -> bool:
        due = time.monotonic() - self.counted_at >= _METRICS_SECONDS
        return due or self.counted != self.metrics.decisions

    def _write_slot(self) -> None:
        """Write what the supervisor reads of this worker to its slot of the scoreboard."""
        published = self.snapshots.published
        self.setup.slot.beat(
            ready=self.status.ready and self.listening,
            listening=self.listening,
            epoch=0 if published is None else published.state.epoch,
            flying=self.server.in_flight,
        )


async def _started(setup: Setup, stack: AsyncExitStack) -> _Worker:
    """Start every part that needs no port."""
    config, trust = setup.config, setup.trust
    store = FollowedStore(trust.state_dir)
    stack.callback(store.close)
    snapshots = FollowedSnapshots(store)
    connections = QUERIES
    if config.opa.remote is not None:
        connections = config.max_concurrent
    policies = FollowedPolicies(setup.board, connections)
    stack.push_async_callback(policies.close)
    unknown_keys = UnknownKeys()
    metrics = make_metrics(trust.operator, no_trust(unknown_keys), unknown_keys)
    observer = open_observer(config, metrics, stack)
    objects = await start_objects(config, metrics, stack, sweep=False)
    bodies = WorkerPool(max(2, WORKERS // config.workers))
    stack.push_async_callback(bodies.close)
    clock = started_clock(trust.state_dir)
    server = make_server(config, snapshots, policies, bodies, observer, objects, clock)
    return _Worker(setup, snapshots, policies, clock, metrics, unknown_keys, bodies, server)
