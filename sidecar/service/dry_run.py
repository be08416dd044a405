"""Decides about one request without Envoy, with the same service that ``serve`` runs.

Trust is refreshed once, and the policies are started as ``serve`` would start them. Then the
``Authorization`` service is called with the request.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.reasons import AdmissibilityError
from sidecar.core.snapshot import TrustState
from sidecar.extract import check_request
from sidecar.extract.extractor import Examined, examine
from sidecar.gate.authorization import Authorization, Limits
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.observe.metrics import Metrics
from sidecar.observe.outcome import LeasedOutcome, Outcome
from sidecar.providers import operation_names
from sidecar.service.config import SidecarConfig
from sidecar.service.engine import start_policies
from sidecar.service.registry import read_only
from sidecar.service.status import GateStatus, Status
from sidecar.trust.config import TrustConfig
from sidecar.trust.load_once import load_once
from sidecar.trust.refresher import AuthorityStatus

_DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class DryRun:
    """The result of a dry run.

    Attributes:
        outcome: The outcome, as for the decision log.
        examined: The models that the request names, with their places; ``None`` if it was refused
            in step 0.
        reply: The response that Envoy would receive.
        statuses: The status of each authority.
        state: The trust state that decided.
    """

    outcome: Outcome
    examined: Examined | None
    reply: pb.CheckResponse
    statuses: tuple[AuthorityStatus, ...]
    state: TrustState


class _Recorder:
    """An observer that keeps the one outcome."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None

    def ready(self) -> bool:
        return True

    def begin(self) -> None:
        """Count nothing: there is one decision."""

    async def record(self, outcome: Outcome | LeasedOutcome) -> bool:  # noqa: ARG002 - kept by end
        return True

    def end(self, outcome: Outcome | LeasedOutcome | None) -> None:
        self.outcome = outcome.whole() if isinstance(outcome, LeasedOutcome) else outcome


async def dry_run(config: SidecarConfig, trust: TrustConfig, message: pb.CheckRequest) -> DryRun:
    """Start a gate, decide about one request, and stop it.

    Raises:
        PolicyError: The policies or OPA cannot be used.
        RegistryError: The registry of stored objects cannot be used.
        ProgramError: The OPA program was not found.
        TrustConfigError: The state folder cannot be used.
    """
    holder, gate_status, recorder = SnapshotHolder(), GateStatus(), _Recorder()
    state, statuses = load_once(trust)
    holder.publish(state)
    status = Status(holder, gate_status, lambda: statuses)
    metrics = Metrics(operations=sorted(operation_names()), jurisdictions=(), trust=status.reading)
    with read_only(config) as objects:
        policies = await start_policies(config, metrics, gate_status)
        try:
            pipeline = Pipeline(config.settings, holder, policies.live, objects=objects)
            gate = Authorization(pipeline, Limits(_DEADLINE_SECONDS, 1), recorder)
            reply = await gate.Check(message, None)
        finally:
            await policies.stop()
    assert recorder.outcome is not None
    return DryRun(recorder.outcome, _examined(config, message), reply, statuses, state)


def _examined(config: SidecarConfig, message: pb.CheckRequest) -> Examined | None:
    options = config.settings.read_options(inputs=config.registration is not None)
    try:
        request = check_request.read(message, credential_header=options.credential_header)
        return examine(request, options.extraction)
    except AdmissibilityError:
        return None
