"""Starts the gate's parts in order, runs until a signal, and stops them in reverse order.

    metrics endpoint → policies → logs → control path → worker pool → gate → watcher

A part that cannot be started is a ``StartError`` of one line, and nothing is served. The gate is
ready once every authority's first refresh ended, successfully or not, evidence was verified and the
policy engine answered. Until then every request is answered with 503. A gate whose clock is
unreliable is not ready either.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from sidecar.core.snapshot import TrustState
from sidecar.gate.clock import Clock
from sidecar.gate.server import GateServer
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.gate.worker_pool import WorkerPool
from sidecar.observe.metrics import Metrics
from sidecar.observe.unknown_keys import UnknownKeys
from sidecar.service import config as config_module
from sidecar.service import ready_file
from sidecar.service.config import SidecarConfig
from sidecar.service.draining import drain
from sidecar.service.engine import Policies, start_policies
from sidecar.service.http import Endpoint
from sidecar.service.registry import start_objects
from sidecar.service.signed_status import StatusSigner
from sidecar.service.startup import (
    StartError,
    allow_connections,
    bound,
    cancel,
    keep_time,
    make_metrics,
    make_server,
    open_observer,
    read_clock,
    shared_port,
    start_errors,
    start_required,
    started_clock,
    starting,
    stop_signals,
    until,
)
from sidecar.service.status import GateStatus, Status
from sidecar.service.trust_log import TrustLog
from sidecar.trust import config as trust_config
from sidecar.trust.config import TrustConfig
from sidecar.trust.control import ControlPath

__all__ = ["StartError", "running", "serve"]

log = logging.getLogger("sidecar.service")

_WATCH_SECONDS = 0.5
_WATCH_UNREADY_SECONDS = 0.02
_KEEP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts that every later step needs."""

    config: SidecarConfig
    holder: SnapshotHolder
    control: ControlPath
    gate_status: GateStatus
    status: Status
    metrics: Metrics
    clock: Clock
    state_dir: Path


def serve(path: Path, workers: int | None, report: Callable[[StartError], None]) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status.

    Args:
        path: ``sidecar.yaml``.
        workers: How many processes answer Envoy; ``None``: as the file says.
        report: Tells the operator what a process of a gate of several lacks.

    Raises:
        StartError: Something needed is missing or wrong; nothing was served.
    """

    def load() -> tuple[SidecarConfig, TrustConfig]:
        config = config_module.load(path, workers)
        return config, trust_config.load(config.trust)

    with start_errors():
        config, trust = load()
        if config.workers == 1:
            gc.freeze()  # scanning every module for garbage would stall calls for 0.1 s
            return uvloop.run(_run(config, trust))
    # Imported here: a gate of one process needs none of it.
    from sidecar.service.supervisor import Supervisor  # noqa: PLC0415

    return Supervisor(load, report).run()


async def _run(config: SidecarConfig, trust: TrustConfig) -> int:
    """Run the gate until a signal, or until a part fails that it needs; return the exit status."""
    allow_connections()
    stopped, hurry = stop_signals()
    async with running(config, trust, hurry) as gate:
        while not gate.failed and not await until(stopped, _WATCH_SECONDS):
            pass
        if gate.failed:
            hurry.set()  # nothing in flight is answered any more
        else:
            log.info("stopping; what is in flight may take %d s", config.stop_seconds)
    return int(bool(gate.failed))


@contextlib.asynccontextmanager
async def running(
    config: SidecarConfig, trust: TrustConfig, hurry: asyncio.Event | None = None
) -> AsyncIterator[GateStatus]:
    """Run a whole gate for as long as the context lasts.

    Args:
        config: From ``config.load``.
        trust: From ``sidecar.trust.config.load``.
        hurry: Set to end at the end of the context without waiting for what is in flight.

    Yields:
        The gate's status, with the addresses it listens on.

    Raises:
        StartError: An address or a file cannot be used.
        PolicyError: The policies or OPA cannot be used.
        ProgramError: The OPA program was not found.
        RegistryError: The registry of stored objects cannot be used.
        TrustConfigError: The state folder cannot be used.
    """
    parts = _parts(config, trust)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(ready_file.remove, config.ready_file)
        signer = StatusSigner.of(parts.status, config.gate_name, parts.state_dir)
        endpoint = Endpoint(parts.status, parts.metrics.render, signer)
        stack.push_async_callback(endpoint.stop)
        with starting(f"metrics: {config.metrics}"):
            port = await endpoint.start(config.metrics)
        parts.gate_status.metrics = bound(config.metrics, port)
        policies = await start_policies(config, parts.metrics, parts.gate_status)
        stack.push_async_callback(policies.stop)
        observer = open_observer(config, parts.metrics, stack)
        objects = await start_objects(config, parts.metrics, stack)
        parts.control.start()
        stack.push_async_callback(asyncio.to_thread, parts.control.stop)
        workers = WorkerPool()
        stack.push_async_callback(workers.close)
        with starting("workers for large bodies"):
            await workers.start()
        server = make_server(
            config, parts.holder, policies.live, workers, observer, objects, parts.clock
        )
        with starting(f"listen: {config.listen}"):
            port = await server.start(config.listen)
        parts.gate_status.listen = bound(config.listen, port)
        stack.callback(keep_time, parts.state_dir, parts.clock, parts.holder)
        stack.push_async_callback(_drain, parts, server, hurry or asyncio.Event())
        for what, work in (
            ("the gRPC server", server.wait_for_termination()),
            ("the watch of the policy engine", _watch(parts, policies, server)),
            ("the watch of the clock", _keep(parts, server)),
        ):
            stack.push_async_callback(cancel, start_required(work, what, parts.gate_status))
        if config.status_folder is not None:
            publisher = asyncio.create_task(signer.publish(config.status_folder), name="status")
            stack.push_async_callback(cancel, publisher)
        log.info("gate on %s, metrics on %s", parts.gate_status.listen, parts.gate_status.metrics)
        yield parts.gate_status


async def _drain(parts: _Parts, server: GateServer, hurry: asyncio.Event) -> None:
    config, gate_status = parts.config, parts.gate_status
    gate_status.stopping = True
    parts.metrics.ready.set(0)
    shared = shared_port(config.model_copy(update={"listen": gate_status.listen}))
    await drain(server, config.stop_seconds, hurry, shared)


def _parts(config: SidecarConfig, trust: TrustConfig) -> _Parts:
    holder, gate_status = SnapshotHolder(opened=False), GateStatus()
    trust_log = TrustLog()

    def publish(state: TrustState) -> None:
        holder.publish(state)  # first: nothing may come between a withdrawal and its effect
        trust_log.publish(state)

    control = ControlPath(trust, publish)
    unknown_keys = UnknownKeys()
    status = Status(
        holder,
        gate_status,
        control.statuses,
        control.evidence,
        trust.operator.grants,
        unknown_keys,
        log_writable=lambda: metrics.can_record(),  # noqa: PLW0108 - they are made from it
        withdrew=trust_log.withdrew,
    )
    metrics = make_metrics(trust.operator, status.reading, unknown_keys)
    clock = started_clock(trust.state_dir)
    gate_status.clock_problem = clock.read().problem
    return _Parts(config, holder, control, gate_status, status, metrics, clock, trust.state_dir)


async def _keep(parts: _Parts, server: GateServer) -> None:
    """Check the clock, and persist the latest time relied on."""
    kept = float("-inf")
    while True:
        reading = read_clock(parts.clock, parts.holder.published)
        if bool(reading.problem) != bool(parts.gate_status.clock_problem):
            log.warning("%s", reading.problem or "the clock is relied on again")
        parts.metrics.clock_sound.set(not reading.problem)
        parts.gate_status.clock_problem = reading.problem
        await _report_ready(parts, server)
        if asyncio.get_running_loop().time() - kept >= _KEEP_SECONDS:
            kept = asyncio.get_running_loop().time()
            keep_time(parts.state_dir, parts.clock, parts.holder)
        await asyncio.sleep(_WATCH_SECONDS)


async def _watch(parts: _Parts, policies: Policies, server: GateServer) -> None:
    """Check the engine, and open the trust state after every authority's first refresh."""
    gate_status, refreshed = parts.gate_status, False
    ready = ready_file.ReadyFile(parts.config.ready_file)
    while True:
        gate_status.engine_up = await policies.live.healthy()
        parts.metrics.engine_up.set(gate_status.engine_up)
        if not refreshed and parts.control.first_refresh_done():
            refreshed = True
            parts.holder.open()
        if refreshed and gate_status.engine_up and not gate_status.started:
            gate_status.started = True
            await _report_ready(parts, server)
        if gate_status.started:
            ready.write(gate_status.listen, gate_status.metrics)
        await asyncio.sleep(_WATCH_SECONDS if gate_status.started else _WATCH_UNREADY_SECONDS)


async def _report_ready(parts: _Parts, server: GateServer) -> None:
    """Set health checks and metrics to whether requests can be decided now."""
    ready = parts.gate_status.ready
    if await server.set_ready(ready=ready):
        parts.metrics.ready.set(ready)
        log.info("ready") if ready else log.warning("not ready")
