"""What the gate would say to one request, without Envoy: the same line, walked once.

Trust is refreshed once and the policies are started as ``serve`` would start them. Then the very
service that Envoy asks is asked; nothing of it is written again here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.reasons import AdmissibilityError
from sidecar.extract import check_request
from sidecar.extract.extractor import Examined, examine
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.server import Authorization, Limits
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.observe.metrics import Metrics
from sidecar.observe.outcome import Outcome
from sidecar.providers import operation_names
from sidecar.service.config import SidecarConfig
from sidecar.service.engine import start_policies
from sidecar.service.registry import looking_only
from sidecar.service.status import GateStatus, Status
from sidecar.trust.config import TrustConfig
from sidecar.trust.control import load_once
from sidecar.trust.refresher import AuthorityStatus

_DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class DryRun:
    """What came of it.

    Attributes:
        outcome: As for the decision log.
        examined: What the request names and where; null where it was refused before.
        reply: What Envoy would be told.
        statuses: How each authority stands.
    """

    outcome: Outcome
    examined: Examined | None
    reply: pb.CheckResponse
    statuses: tuple[AuthorityStatus, ...]


class _Memory:
    """An observer that keeps the one outcome."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None

    def ready(self) -> bool:
        return True

    def begin(self) -> None:
        """There is only one."""

    def end(self, outcome: Outcome | None) -> None:
        self.outcome = outcome


async def dry_run(config: SidecarConfig, trust: TrustConfig, message: pb.CheckRequest) -> DryRun:
    """Put one question to a gate that is started for it.

    Raises:
        PolicyError: The policies or OPA cannot be used.
        RegistryError: The registry of stored objects cannot be used.
        ProgramError: There is no OPA.
        TrustConfigError: The state folder cannot be used.
    """
    holder, gate_status, memory = SnapshotHolder(), GateStatus(), _Memory()
    state, statuses = load_once(trust)
    holder.publish(state)
    status = Status(holder, gate_status, lambda: statuses)
    metrics = Metrics(operations=sorted(operation_names()), jurisdictions=(), trust=status.reading)
    with looking_only(config) as objects:
        policies = await start_policies(config, metrics, gate_status)
        try:
            pipeline = Pipeline(config.settings, holder, policies.live, objects=objects)
            gate = Authorization(pipeline, Limits(_DEADLINE_SECONDS, 1), memory)
            reply = await gate.Check(message, None)
        finally:
            await policies.stop()
    assert memory.outcome is not None
    return DryRun(memory.outcome, _examined(config, message), reply, statuses)


def _examined(config: SidecarConfig, message: pb.CheckRequest) -> Examined | None:
    settings = config.settings
    try:
        request = check_request.read(message, credential_header=settings.credential_header)
        return examine(request, max_bytes=settings.max_body_bytes, opened=settings.opened)
    except AdmissibilityError:
        return None
