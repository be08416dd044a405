"""The policy engine of the configuration: a managed child, or somebody else's at an address."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from dataclasses import dataclass

from sidecar.observe.metrics import Metrics
from sidecar.opa.client import Address
from sidecar.opa.errors import PolicyError
from sidecar.opa.live_engine import Engine, EngineFactory, LivePolicies, Managed, remote
from sidecar.opa.location import opa_path
from sidecar.service.config import SidecarConfig
from sidecar.service.reload import Reloader
from sidecar.service.status import GateStatus

log = logging.getLogger("sidecar.service")


@dataclass(frozen=True, slots=True)
class Account:
    """Tells metrics and status which policies are in force, and why newer ones are not."""

    metrics: Metrics
    gate_status: GateStatus

    def loaded(self, engine: Engine) -> None:
        """``engine`` is in force."""
        self.metrics.add_jurisdictions(engine.jurisdictions)
        self.metrics.set_policy_revision(engine.revision)
        self.gate_status.revision = engine.revision
        self.gate_status.policy_error = ""

    def refused(self, why: str) -> None:
        """What is there now cannot be used; what was in force stays so."""
        self.metrics.policy_load_failures.inc()
        self.gate_status.policy_error = why
        log.error("policies not loaded, %s stays in force: %s", self.gate_status.revision, why)

    def unchanged(self) -> None:
        """What is there now is what is in force."""
        self.gate_status.policy_error = ""


@dataclass(frozen=True, slots=True)
class Policies:
    """The started policies: what is asked, and who puts changes in force."""

    live: LivePolicies
    reloader: Reloader | None = None

    async def stop(self) -> None:
        """Follow no change any more, end every engine."""
        try:
            if self.reloader is not None:
                await self.reloader.stop()
        finally:
            await self.live.close()


async def start_policies(
    config: SidecarConfig, metrics: Metrics, gate_status: GateStatus
) -> Policies:
    """Start the engine and, for a managed one, follow its policies.

    Raises:
        PolicyError: The policies, the child, or the socket of another's OPA cannot be used.
        ProgramError: There is no OPA.
    """
    account = Account(metrics, gate_status)
    address = config.opa.remote
    if address is not None:
        _check_socket(address)
        engine = remote(address, config.max_concurrent)
        account.loaded(engine)
        return Policies(LivePolicies(engine))
    managed, source = config.opa.managed, config.source
    assert managed is not None
    assert source is not None
    binary = managed.binary if managed.binary is not None else opa_path()
    # The child shares this machine's cores: more questions at once than it can work on only wait
    # inside it, behind one another, and run into the deadline together.
    connections = max(4, 2 * (os.cpu_count() or 1))
    factory = EngineFactory(
        Managed(binary, managed.directory), connections, metrics.engine_restarts.inc
    )
    candidate = await asyncio.to_thread(source.read)
    engine = await factory.engine(candidate)
    account.loaded(engine)
    live = LivePolicies(engine)
    reloader = Reloader(source, factory, live, account, candidate.identity)
    reloader.start()
    return Policies(live, reloader)


def _check_socket(address: Address) -> None:
    """Refuse a socket that everybody on the machine can speak to; an absent one may come yet."""
    if address.socket is None:
        return
    try:
        mode = os.lstat(address.socket).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode) or mode & stat.S_IWOTH:
        raise PolicyError(f"opa.address: {address.url} is no socket that others are kept from")
