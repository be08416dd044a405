"""Starts the configured policy engine: a managed OPA, or a client of one at an address."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.observe.json_lines import event
from sidecar.observe.metrics import Metrics
from sidecar.opa.bundle import Candidate, PolicySource
from sidecar.opa.client import QUERIES, Address
from sidecar.opa.errors import PolicyError
from sidecar.opa.live_engine import Engine, EngineFactory, LivePolicies, Managed, remote
from sidecar.opa.location import opa_path
from sidecar.service.config import SidecarConfig
from sidecar.service.reload import Reloader
from sidecar.service.status import GateStatus

log = logging.getLogger("sidecar.service")

_STARTS = 5
"""How often an engine is started for policies that are being written."""


@dataclass(frozen=True, slots=True)
class PolicyStatusReporter:
    """Reports to metrics and status which policies are in force, and why newer ones are not.

    ``changed`` is called after each report.
    """

    metrics: Metrics
    gate_status: GateStatus
    changed: Callable[[], None] = lambda: None

    def loaded(self, engine: Engine) -> None:
        """Report that ``engine`` is in force."""
        if self.gate_status.revision:
            log.warning(
                "policies changed: %s is in force, it was %s",
                engine.revision,
                self.gate_status.revision,
                extra=event(
                    "policies_changed", revision=engine.revision, before=self.gate_status.revision
                ),
            )
        else:
            log.info("policies %s are in force", engine.revision)
        self.metrics.add_jurisdictions(engine.jurisdictions)
        self.metrics.set_policy_revision(engine.revision)
        self.gate_status.revision = engine.revision
        self.gate_status.policy_error = ""
        self.changed()

    def refused(self, why: str) -> None:
        """Report that the current policies cannot be used; the engine in force stays."""
        self.metrics.policy_load_failures.inc()
        self.gate_status.policy_error = why
        self.changed()
        log.error("policies not loaded, %s stays in force: %s", self.gate_status.revision, why)

    def unchanged(self) -> None:
        """Report that the current policies are in force."""
        self.gate_status.policy_error = ""
        self.changed()


@dataclass(frozen=True, slots=True)
class Policies:
    """The started policies, and the reloader that puts changes in force."""

    live: LivePolicies
    reloader: Reloader | None = None

    async def stop(self) -> None:
        """Stop following changes, and end every engine."""
        try:
            if self.reloader is not None:
                await self.reloader.stop()
        finally:
            await self.live.close()


async def start_policies(
    config: SidecarConfig,
    metrics: Metrics,
    gate_status: GateStatus,
    *,
    linger_seconds: float = 0.0,
    changed: Callable[[], None] = lambda: None,
) -> Policies:
    """Start the engine and, for a managed one, follow changes of its policies.

    Args:
        config: From ``config.load``.
        metrics: Counts restarts and failures.
        gate_status: Gets the revision in force.
        linger_seconds: As of ``LivePolicies``.
        changed: Called after each report of what is in force.

    Raises:
        PolicyError: The policies, the child, or the socket at ``address`` cannot be used.
        ProgramError: The OPA program was not found.
    """
    reporter = PolicyStatusReporter(metrics, gate_status, changed)
    address = config.opa.remote
    if address is not None:
        _check_socket(address)
        engine = remote(address, config.max_concurrent)
        reporter.loaded(engine)
        return Policies(LivePolicies(engine))
    managed, source = config.opa.managed, config.source
    assert managed is not None
    assert source is not None
    binary = managed.binary if managed.binary is not None else opa_path()
    # The child shares this machine's cores: more concurrent queries than it can evaluate would
    # queue inside it, and exceed the deadline together. What waits is asked together.
    connections = QUERIES
    factory = EngineFactory(
        Managed(binary, managed.directory), connections, metrics.engine_restarts.inc
    )
    candidate, engine = await _settled(source, factory)
    reporter.loaded(engine)
    live = LivePolicies(engine, linger_seconds)
    reloader = Reloader(source, factory, live, reporter, candidate.identity)
    reloader.start()
    return Policies(live, reloader)


async def _settled(source: PolicySource, factory: EngineFactory) -> tuple[Candidate, Engine]:
    """Start the engine of policies that stay the same meanwhile; see ``reload``.

    Raises:
        PolicyError: They cannot be used, or keep changing.
    """
    candidate = await asyncio.to_thread(source.read)
    for _ in range(_STARTS):
        engine = await factory.engine(candidate)
        try:
            again = await asyncio.to_thread(source.read)
        except PolicyError:
            await engine.stop()
            raise
        if again.identity == candidate.identity:
            return candidate, engine
        await engine.stop()
        candidate = again
    raise PolicyError(f"{source.place}: the policies keep changing while they are read")


def _check_socket(address: Address) -> None:
    """Refuse a socket that any local user may connect to; an absent one may be created later."""
    if address.socket is None:
        return
    try:
        mode = os.lstat(address.socket).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode) or mode & stat.S_IWOTH:
        raise PolicyError(
            f"opa.address: {address.url} is not a socket, or any local user may connect to it;"
            " give it mode 0660 or less"
        )
