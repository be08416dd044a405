"""What every process of a gate needs to start: limits, signals, logs, metrics and the server."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from sidecar.core.grants import OperatorTrust
from sidecar.formats.addresses import split_address
from sidecar.gate.authorization import Authorization
from sidecar.gate.clock import Clock, Reading
from sidecar.gate.in_flight_limiter import InFlightLimiter
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.server import ENVELOPE_BYTES, GateServer
from sidecar.gate.snapshot_holder import Snapshot, SnapshotHolder
from sidecar.gate.worker_pool import WorkerPool
from sidecar.observe.decision_log import DecisionLog
from sidecar.observe.facts_log import FactsLog
from sidecar.observe.metrics import Metrics
from sidecar.observe.observer import Observer
from sidecar.observe.trust_metrics import TrustReading
from sidecar.observe.unknown_keys import UnknownKeys
from sidecar.opa.client import UNIX, PolicyEngine
from sidecar.opa.errors import PolicyError, ProgramError
from sidecar.providers import operation_names
from sidecar.registry.errors import RegistryError
from sidecar.registry.objects import Objects
from sidecar.service import clock_floor
from sidecar.service.clock_floor import LatestTimeError
from sidecar.service.config import ConfigError, SidecarConfig
from sidecar.service.port_sockets import PortSockets
from sidecar.service.registry import processor
from sidecar.service.status import GateStatus
from sidecar.trust.config import TrustConfigError

log = logging.getLogger("sidecar.service")

_HURRY_SECONDS = 3.0
"""How long a process takes to end after a second signal, at most."""


class StartError(Exception):
    """The gate cannot start; the message is one line."""


@contextlib.contextmanager
def start_errors() -> Iterator[None]:
    """Turn the errors of every part that cannot be used into a ``StartError`` of one line."""
    try:
        yield
    except (
        ConfigError,
        LatestTimeError,
        TrustConfigError,
        PolicyError,
        RegistryError,
        ProgramError,
    ) as error:
        raise StartError(" ".join(str(error).split())) from error


@contextlib.contextmanager
def starting(place: str) -> Iterator[None]:
    """Name the setting whose file or address cannot be used."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            why = "another process listens there; end it, or name another address"
        raise StartError(f"{place}: {why}") from error


def allow_connections() -> None:
    """Raise the limit of open files to its maximum: Envoy may open a connection per request.

    Many systems set 1,024 by default, for programs that use ``select``, which the gate does not.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return what the first SIGTERM or SIGINT sets, and what a second one sets.

    A second one also ends the process if that takes too long.
    """
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
    return stopped, hurry


def make_metrics(
    operator: OperatorTrust, trust: Callable[[], TrustReading], unknown_keys: UnknownKeys
) -> Metrics:
    """Return the metrics of one process.

    Args:
        operator: Its grants name jurisdictions that may be labels.
        trust: Returns the trust state's numbers.
        unknown_keys: Counts credentials with unknown keys.
    """
    granted = {
        name
        for grants in operator.grants.values()
        for grant in grants
        for name in grant.jurisdictions
        if "*" not in name
    }
    return Metrics(
        operations=sorted(operation_names()),
        jurisdictions=granted,
        trust=trust,
        unknown_keys=unknown_keys,
    )


def open_observer(
    config: SidecarConfig, metrics: Metrics, stack: contextlib.AsyncExitStack
) -> Observer:
    """Open the logs, to be closed after every part that writes to them."""
    with starting(f"decision_log: {config.decision_log}"):
        decisions = DecisionLog(config.decision_log, metrics.log_lost.inc)
    metrics.log_writable.set_function(decisions.ready)
    stack.callback(decisions.close)
    facts = None
    if config.facts_log is not None:
        with starting(f"facts_log: {config.facts_log}"):
            facts = FactsLog(config.facts_log, metrics.facts_lost.inc)
        stack.callback(facts.close)
    return Observer(metrics, decisions, facts)


def make_server(
    config: SidecarConfig,
    trust: SnapshotHolder,
    policies: PolicyEngine,
    bodies: WorkerPool,
    observer: Observer,
    objects: Objects | None,
    clock: Clock,
) -> GateServer:
    """Return the gRPC server with the request path behind it; it does not listen yet."""
    # A large message is not decoded here, so its size includes what is around the body.
    in_flight = InFlightLimiter(config.max_body_bytes_in_flight + ENVELOPE_BYTES)
    pipeline = Pipeline(config.settings, trust, policies, bodies, in_flight, objects)
    proc = processor(config, pipeline, observer, clock.read, bodies.lines)
    observer.metrics.leases.read = pipeline.lease_counts
    return GateServer(
        Authorization(pipeline, config.limits, observer, clock.read),
        max_body_bytes=config.max_body_bytes,
        reuse_port=config.shares_port,
        processor=proc,
        streams=lambda: proc.streams,
    )


def shared_port(config: SidecarConfig) -> PortSockets | None:
    """Return the port that other processes listen on too; ``None`` if none does."""
    return PortSockets(split_address(config.listen)[1]) if config.shares_port else None


def started_clock(state_dir: Path) -> Clock:
    """Return a clock that relies on no time before there is trust metadata.

    Raises:
        LatestTimeError: The latest time relied on cannot be read.
    """
    return Clock(clock_floor.load(state_dir), bound=0.0)


def read_clock(clock: Clock, published: Snapshot | None) -> Reading:
    """Read the clock, which relies on times until the last expiry of any trust metadata."""
    if published is not None:
        views = published.state.authorities.values()
        clock.bound = max((view.expires.timestamp() for view in views), default=0.0)
    return clock.read()


def keep_time(state_dir: Path, clock: Clock, holder: SnapshotHolder) -> None:
    """Persist the latest time relied on, where that is possible."""
    read_clock(clock, holder.published)
    try:
        clock_floor.keep(state_dir, clock.latest)
    except OSError as error:
        log.error("%s: the latest time cannot be written: %s", state_dir, error.strerror)  # noqa: TRY400


def bound(address: str, port: int) -> str:
    """Return the address with the bound port; a Unix socket's address is returned unchanged."""
    if address.startswith(UNIX):
        return address
    split_address(address)
    return f"{address.rpartition(':')[0]}:{port}"


async def until(stopped: asyncio.Event, seconds: float) -> bool:
    """Wait that long, or until ``stopped``; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await stopped.wait()
    except TimeoutError:
        return False
    return True


def start_required(
    work: Coroutine[Any, Any, None], what: str, status: GateStatus
) -> asyncio.Task[None]:
    """Start a task that the gate needs: where it fails, that is stated, and the process ends.

    Args:
        work: What it does.
        what: Its name in the status and in the log, such as "the gRPC server".
        status: Where the failure is stated.
    """
    task = asyncio.create_task(work, name=what)

    def ended(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.critical("%s failed; this process ends", what, exc_info=error)
            status.failed = what

    task.add_done_callback(ended)
    return task


async def cancel(work: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
