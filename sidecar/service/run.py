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
import json
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from sidecar.core.trust_state import TrustState
from sidecar.gate.clock import Clock
from sidecar.gate.in_flight_limiter import InFlightLimiter
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.server import ENVELOPE_BYTES, Authorization, GateServer
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.gate.worker_pool import WorkerPool
from sidecar.observe.decision_log import DecisionLog
from sidecar.observe.facts_log import FactsLog
from sidecar.observe.metrics import Metrics
from sidecar.observe.observer import Observer
from sidecar.observe.unknown_keys import UnknownKeys
from sidecar.opa.client import UNIX
from sidecar.opa.errors import PolicyError, ProgramError
from sidecar.providers import operation_names
from sidecar.registry.errors import RegistryError
from sidecar.registry.objects import Objects
from sidecar.service import clock_floor
from sidecar.service import config as config_module
from sidecar.service.clock_floor import LatestTimeError
from sidecar.service.config import ConfigError, SidecarConfig, split_address
from sidecar.service.draining import drain
from sidecar.service.engine import Policies, start_policies
from sidecar.service.http import Endpoint
from sidecar.service.registry import processor, start_objects
from sidecar.service.signed_status import StatusSigner
from sidecar.service.status import GateStatus, Status
from sidecar.service.trust_log import TrustLog
from sidecar.trust import config as trust_config
from sidecar.trust.config import TrustConfig, TrustConfigError
from sidecar.trust.control import ControlPath

log = logging.getLogger("sidecar.service")

_HURRY_SECONDS = 3.0
"""How long a gate takes to end after a second signal, at most."""
_WATCH_SECONDS = 0.5
_WATCH_UNREADY_SECONDS = 0.02
_KEEP_SECONDS = 10.0


class StartError(Exception):
    """The gate cannot start; the message is one line."""


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


def serve(path: Path) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        path: ``sidecar.yaml``.

    Raises:
        StartError: Something needed is missing or wrong; nothing was served.
    """
    try:
        config = config_module.load(path)
        trust = trust_config.load(config.trust)
        uvloop.run(_run(config, trust))
    except (
        ConfigError,
        LatestTimeError,
        TrustConfigError,
        PolicyError,
        RegistryError,
        ProgramError,
    ) as error:
        raise StartError(" ".join(str(error).split())) from error


def _allow_connections() -> None:
    """Raise the limit of open files to its maximum: Envoy may open a connection per request.

    Many systems set 1,024 by default, for programs that use ``select``, which the gate does not.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _run(config: SidecarConfig, trust: TrustConfig) -> None:
    _allow_connections()
    stopped, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def signalled() -> None:
        if stopped.is_set() and not hurry.is_set():
            log.warning("a second signal: stopping at once")
            hurry.set()
            loop.call_later(_HURRY_SECONDS, os._exit, 1)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    async with running(config, trust, hurry):
        await stopped.wait()
        log.info("stopping; what is in flight may take %d s", config.stop_seconds)


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
        stack.callback(_remove, config.ready_file)
        signer = StatusSigner.of(parts.status, config.gate_name, parts.state_dir)
        endpoint = Endpoint(parts.status, parts.metrics, signer)
        stack.push_async_callback(endpoint.stop)
        with _start(f"metrics: {config.metrics}"):
            port = await endpoint.start(config.metrics)
        parts.gate_status.metrics = _bound(config.metrics, port)
        policies = await start_policies(config, parts.metrics, parts.gate_status)
        stack.push_async_callback(policies.stop)
        observer = _observer(parts, stack)
        objects = await start_objects(config, parts.metrics, stack)
        parts.control.start()
        stack.push_async_callback(asyncio.to_thread, parts.control.stop)
        workers = WorkerPool()
        stack.push_async_callback(workers.close)
        with _start("workers for large bodies"):
            await workers.start()
        server = await _listen(parts, policies, workers, observer, objects)
        stack.callback(_keep_time, parts)
        stack.push_async_callback(_drain, parts, server, hurry or asyncio.Event())
        watcher = asyncio.create_task(_watch(parts, policies, server), name="watcher")
        stack.push_async_callback(_cancel, watcher)
        keeper = asyncio.create_task(_keep(parts, server), name="clock")
        stack.push_async_callback(_cancel, keeper)
        if config.status_folder is not None:
            publisher = asyncio.create_task(signer.publish(config.status_folder), name="status")
            stack.push_async_callback(_cancel, publisher)
        log.info("gate on %s, metrics on %s", parts.gate_status.listen, parts.gate_status.metrics)
        yield parts.gate_status


async def _drain(parts: _Parts, server: GateServer, hurry: asyncio.Event) -> None:
    config, gate_status = parts.config, parts.gate_status
    gate_status.stopping = True
    parts.metrics.ready.set(0)
    await drain(server, config.stop_seconds, hurry, shared_port=config.reuse_port)


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
    )
    granted = {
        name
        for grants in trust.operator.grants.values()
        for grant in grants
        for name in grant.jurisdictions
        if "*" not in name
    }
    metrics = Metrics(
        operations=sorted(operation_names()),
        jurisdictions=granted,
        trust=status.reading,
        unknown_keys=unknown_keys,
    )
    clock = Clock(clock_floor.load(trust.state_dir))
    gate_status.clock_problem = clock.read().problem
    return _Parts(config, holder, control, gate_status, status, metrics, clock, trust.state_dir)


def _observer(parts: _Parts, stack: contextlib.AsyncExitStack) -> Observer:
    """Open the logs, to be closed after every part that writes to them."""
    config, metrics = parts.config, parts.metrics
    with _start(f"decision_log: {config.decision_log}"):
        decisions = DecisionLog(config.decision_log, metrics.log_lost.inc)
    metrics.log_writable.set_function(decisions.ready)
    stack.callback(decisions.close)
    facts = None
    if config.facts_log is not None:
        with _start(f"facts_log: {config.facts_log}"):
            facts = FactsLog(config.facts_log, metrics.facts_lost.inc)
        stack.callback(facts.close)
    return Observer(metrics, decisions, facts)


async def _listen(
    parts: _Parts,
    policies: Policies,
    workers: WorkerPool,
    observer: Observer,
    objects: Objects | None,
) -> GateServer:
    config, read = parts.config, parts.clock.read
    # A large message is not decoded here, so its size includes what is around the body.
    in_flight = InFlightLimiter(config.max_body_bytes_in_flight + ENVELOPE_BYTES)
    pipeline = Pipeline(config.settings, parts.holder, policies.live, workers, in_flight, objects)
    proc = processor(config, pipeline, observer, read, workers.lines)
    parts.metrics.leases.read = pipeline.lease_counts
    server = GateServer(
        Authorization(pipeline, config.limits, observer, read),
        max_body_bytes=config.max_body_bytes,
        reuse_port=config.reuse_port,
        processor=proc,
        streams=lambda: proc.streams,
    )
    with _start(f"listen: {config.listen}"):
        port = await server.start(config.listen)
    parts.gate_status.listen = _bound(config.listen, port)
    return server


async def _keep(parts: _Parts, server: GateServer) -> None:
    """Check the clock, and persist the latest time relied on."""
    kept = float("-inf")
    while True:
        reading = parts.clock.read()
        if bool(reading.problem) != bool(parts.gate_status.clock_problem):
            log.warning("%s", reading.problem or "the clock is relied on again")
        parts.metrics.clock_sound.set(not reading.problem)
        parts.gate_status.clock_problem = reading.problem
        await _report_ready(parts, server)
        if asyncio.get_running_loop().time() - kept >= _KEEP_SECONDS:
            kept = asyncio.get_running_loop().time()
            _keep_time(parts)
        await asyncio.sleep(_WATCH_SECONDS)


def _keep_time(parts: _Parts) -> None:
    try:
        clock_floor.keep(parts.state_dir, parts.clock.latest)
    except OSError as error:
        log.error("%s: the latest time cannot be written: %s", parts.state_dir, error.strerror)  # noqa: TRY400


async def _watch(parts: _Parts, policies: Policies, server: GateServer) -> None:
    """Check the engine, and open the trust state after every authority's first refresh."""
    gate_status, refreshed = parts.gate_status, False
    while True:
        gate_status.engine_up = await policies.live.healthy()
        parts.metrics.engine_up.set(gate_status.engine_up)
        if not refreshed and parts.control.first_refresh_done():
            refreshed = True
            parts.holder.open()
        if refreshed and gate_status.engine_up and not gate_status.started:
            gate_status.started = True
            await _report_ready(parts, server)
            _write_ready(parts)
        await asyncio.sleep(_WATCH_SECONDS if gate_status.started else _WATCH_UNREADY_SECONDS)


async def _report_ready(parts: _Parts, server: GateServer) -> None:
    """Set health checks and metrics to whether requests can be decided now."""
    ready = parts.gate_status.ready
    if await server.set_ready(ready=ready):
        parts.metrics.ready.set(ready)
        log.info("ready") if ready else log.warning("not ready")


def _write_ready(parts: _Parts) -> None:
    """Write the ready file atomically: process id and bound addresses."""
    path, gate_status = parts.config.ready_file, parts.gate_status
    if path is None:
        return
    value = {"pid": os.getpid(), "listen": gate_status.listen, "metrics": gate_status.metrics}
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_text(json.dumps(value) + "\n")
        beside.replace(path)
    except OSError as error:
        log.error("ready_file %s cannot be written: %s", path, error.strerror)  # noqa: TRY400


def _remove(path: Path | None) -> None:
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _bound(address: str, port: int) -> str:
    """Return the address with the bound port; a Unix socket's address is returned unchanged."""
    if address.startswith(UNIX):
        return address
    split_address(address)
    return f"{address.rpartition(':')[0]}:{port}"


@contextlib.contextmanager
def _start(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartError(f"{place}: {error.strerror or error}") from error


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
