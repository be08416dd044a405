"""The policy engine of the configuration: a managed child, or somebody else's at an address."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from sidecar.gate.opa import Address, Opa
from sidecar.gate.opa_bundle import PolicyError
from sidecar.gate.opa_process import Managed, OpaProcess
from sidecar.observe.metrics import Metrics
from sidecar.service.config import SidecarConfig
from sidecar.toolchain import opa_path


@dataclass(frozen=True, slots=True)
class Engine:
    """A started engine: the client, the child where there is one, and the expected revision."""

    client: Opa
    child: OpaProcess | None
    revision: str

    async def stop(self) -> None:
        """Close the client and end the child."""
        try:
            await self.client.close()
        finally:
            if self.child is not None:
                await self.child.stop()


async def start_engine(config: SidecarConfig, metrics: Metrics) -> Engine:
    """Start the engine.

    Raises:
        PolicyError: The policies, the child, or the socket of another's OPA cannot be used.
        ToolchainError: There is no OPA.
    """
    remote = config.opa.remote
    if remote is not None:
        _check_socket(remote)
        client = Opa(remote, connections=config.max_concurrent)
        return Engine(client, None, remote.revision)
    managed = config.opa.managed
    assert managed is not None
    assert config.policies is not None
    binary = managed.binary if managed.binary is not None else opa_path()
    child = OpaProcess(
        Managed(binary, config.policies, managed.directory), metrics.engine_restarts.inc
    )
    await child.start()
    # The child shares this machine's cores: more questions at once than it can work on only wait
    # inside it, behind one another, and run into the deadline together.
    client = Opa(child.address, connections=max(4, 2 * (os.cpu_count() or 1)))
    return Engine(client, child, child.address.revision)


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
