"""Collects the gate's status, for ``/status``, readiness and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Protocol

from cryptography import x509

from sidecar.core.assessment import NOTICE
from sidecar.core.documents import Withdrawal
from sidecar.core.grants import Grant
from sidecar.core.idle_grants import idle_grants, wide_sandboxes
from sidecar.core.snapshot import Rejected, TrustState
from sidecar.core.window import Window, rfc3339
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.observe.trust_metrics import AuthorityReading, TrustDomainReading, TrustReading
from sidecar.observe.unknown_keys import KeyMisses, UnknownKeys
from sidecar.trust.evidence_following import EvidenceStatus
from sidecar.trust.refresher import AuthorityStatus

MAX_SHOWN = 100


@dataclass(slots=True)
class GateStatus:
    """The gate's state apart from the trust state; written by the watcher.

    Attributes:
        started: Set once, when every first refresh ended and the policy engine answered.
        engine_up: Whether the policy engine answered its last health check.
        revision: The policy revision that verdicts must have.
        policy_error: Why the current policies are not in force; empty if they are.
        clock_problem: Why the clock is unreliable; empty if it is reliable.
        stopping: Whether the gate ends once nothing is in flight.
        failed: Which part failed that nothing replaces, such as the gRPC server; the process ends.
        listen: ``host:port`` as bound.
        metrics: ``host:port`` as bound.
    """

    started: bool = False
    engine_up: bool = False
    revision: str = ""
    policy_error: str = ""
    clock_problem: str = ""
    stopping: bool = False
    failed: str = ""
    listen: str = ""
    metrics: str = ""

    @property
    def ready(self) -> bool:
        """Return whether requests can be decided; health checks and `/healthz` report it."""
        able = self.started and not self.failed
        return able and not self.clock_problem and not self.stopping

    def not_ready(self, statuses: tuple[AuthorityStatus, ...]) -> tuple[str, ...]:
        """Return why the gate is not ready; empty if it is."""
        found = [self.clock_problem] if self.clock_problem else []
        if self.failed:
            found.append(f"{self.failed} failed")
        if self.stopping:
            found.append("the gate is stopping")
        elif not self.started:
            unread = [each.name for each in statuses if each.refreshed is None and not each.error]
            if unread:
                found.append(f"not read yet: {', '.join(unread)}")
            if not self.engine_up:
                found.append("the policy engine has not answered yet")
            if not found:
                found.append("the gate is starting")
        return tuple(found)


class ProcessesStatus(Protocol):
    """What a gate of several processes states of them."""

    def to_json(self) -> list[dict[str, Any]]:
        """Return each process that runs."""
        ...

    def misses(self, trust_domain: str) -> KeyMisses:
        """Return how often a key of a trust domain was unknown."""
        ...

    def log_writable(self) -> bool:
        """Return whether each of them can write the decision log."""
        ...


class DeclaredGrants:
    """What is wrong with grants by what environments are declared, found once for each state."""

    def __init__(self) -> None:
        self._last: tuple[int, dict[str, list[dict[str, Any]]]] = (-1, {})

    def of(self, state: TrustState) -> dict[str, list[dict[str, Any]]]:
        """Return ``idle_grants`` and ``wide_sandboxes``, ``MAX_SHOWN`` of each at most."""
        epoch, found = self._last
        if epoch != state.epoch:
            idle = idle_grants(state.operator, dict(state.declared.items()))
            every = {"idle_grants": idle, "wide_sandboxes": wide_sandboxes(state)}
            found = {key: [asdict(one) for one in each[:MAX_SHOWN]] for key, each in every.items()}
            self._last = state.epoch, found
        return found


@dataclass(frozen=True, slots=True)
class Status:
    """Combines the status of the gate, the trust state and the authorities, on demand.

    ``processes`` is ``None`` in a gate of one process.
    """

    holder: SnapshotHolder
    gate_status: GateStatus
    statuses: Callable[[], tuple[AuthorityStatus, ...]]
    evidence: Callable[[], EvidenceStatus] = EvidenceStatus
    grants: Mapping[str, tuple[Grant, ...]] = field(default_factory=dict)
    unknown_keys: UnknownKeys = field(default_factory=UnknownKeys)
    processes: ProcessesStatus | None = None
    log_writable: Callable[[], bool] = lambda: True
    by_grants: DeclaredGrants = field(default_factory=DeclaredGrants)
    withdrew: Mapping[str, datetime] = field(default_factory=dict)

    def reading(self) -> TrustReading:
        """Return the numbers of the trust state, for the metrics."""
        snapshot, evidence, now = self.holder.published, self.evidence(), datetime.now(UTC)
        return TrustReading(
            now=now,
            epoch=0 if snapshot is None else snapshot.state.epoch,
            evidence_rejected=len(self._rejected()),
            evidence_waiting=evidence.report.waiting,
            evidence_problems=len(evidence.problems),
            authorities=tuple(
                _reading(
                    status,
                    now,
                    self._announced(status.name, now),
                    self.withdrew.get(status.name),
                )
                for status in self.statuses()
            ),
            trust_domains=self._trust_domains(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the document at ``/status``."""
        snapshot, evidence, rejected = self.holder.published, self.evidence(), self._rejected()
        return {
            "version": version("admissibility-sidecar"),
            "ready": self.gate_status.ready,
            "not_ready": list(self.gate_status.not_ready(self.statuses())),
            "listen": self.gate_status.listen,
            "metrics": self.gate_status.metrics,
            "epoch": 0 if snapshot is None else snapshot.state.epoch,
            "authorities": [
                _authority(status, self.grants.get(status.name, ()), datetime.now(UTC))
                for status in self.statuses()
            ],
            "evidence": {
                "manifests": 0 if snapshot is None else len(snapshot.state.manifests_by_digest),
                "rejected": len(rejected),
                "rejections": [asdict(item) for item in rejected[:MAX_SHOWN]],
                "waiting": evidence.report.waiting,
                "problems": list(evidence.problems[:MAX_SHOWN]),
            },
            "credential_problems": [] if snapshot is None else list(snapshot.bundles.problems),
            "trust_domains": [_domain(self._missed(item)) for item in self._trust_domains()],
            **({} if snapshot is None else self.by_grants.of(snapshot.state)),
            "announced": self._all_announced(datetime.now(UTC)),
            "clock": {"problem": self.gate_status.clock_problem or None},
            "policy": {
                "up": self.gate_status.engine_up,
                "revision": self.gate_status.revision,
                "error": self.gate_status.policy_error or None,
            },
            "decision_log": {"writable": self._log_writable()},
            "processes": [] if self.processes is None else self.processes.to_json(),
        }

    def _log_writable(self) -> bool:
        return self.log_writable() if self.processes is None else self.processes.log_writable()

    def _announced(self, authority: str, now: datetime) -> tuple[Withdrawal, ...]:
        """Return an authority's withdrawals that take effect within ``NOTICE``, the next first."""
        snapshot = self.holder.published
        view = None if snapshot is None else snapshot.state.authorities.get(authority)
        if view is None:
            return ()
        return view.withdrawals.announced(now, now + NOTICE)

    def _all_announced(self, now: datetime) -> list[dict[str, str]]:
        found = (
            (entry, status.name)
            for status in self.statuses()
            for entry in self._announced(status.name, now)
        )
        rows = [
            {
                "at": rfc3339(entry.effective),
                "authority": name,
                "kind": entry.kind.value,
                "subject": entry.subject,
                "reason": entry.reason,
            }
            for entry, name in found
            if entry.effective is not None
        ]
        return sorted(rows, key=lambda row: (row["at"], row["subject"]))[:MAX_SHOWN]

    def _missed(self, item: TrustDomainReading) -> TrustDomainReading:
        """Return a trust domain with the misses of every process."""
        if self.processes is None:
            return item
        return replace(item, misses=self.processes.misses(item.name))

    def _trust_domains(self) -> tuple[TrustDomainReading, ...]:
        snapshot = self.holder.published
        found = {} if snapshot is None else snapshot.bundles.domains
        return tuple(
            TrustDomainReading(
                name=name,
                authority=each.authority,
                jwt_keys=len(each.jwt_keys),
                x509_roots=len(each.x509_roots),
                lasting=_lasting(each.x509_roots),
                misses=self.unknown_keys.of(name),
            )
            for name, each in found.items()
        )

    def _rejected(self) -> tuple[Rejected, ...]:
        """Return files without a valid signature, or by a signer without the needed grant."""
        snapshot = self.holder.published
        attributed = () if snapshot is None else snapshot.state.rejected
        return tuple(sorted({*attributed, *self.evidence().report.rejected}, key=_by_digest))


def _lasting(roots: tuple[x509.Certificate, ...]) -> Window | None:
    """Return the window of the root that expires last."""
    if not roots:
        return None
    last = max(roots, key=lambda root: root.not_valid_after_utc)
    return Window(last.not_valid_before_utc, last.not_valid_after_utc)


def _domain(item: TrustDomainReading) -> dict[str, Any]:
    """Return one trust domain; ``roots`` is the window of the root that expires last."""
    lasting, last = item.lasting, item.misses.last
    return {
        "name": item.name,
        "authority": item.authority,
        "jwt_keys": item.jwt_keys,
        "x509_roots": item.x509_roots,
        "roots_from": None if lasting is None else rfc3339(lasting.not_before),
        "roots_until": None if lasting is None else rfc3339(lasting.not_after),
        "unknown_keys": item.misses.count,
        "unknown_key_last": None if last is None else rfc3339(last),
    }


def _by_digest(item: Rejected) -> str:
    return item.file_digest


def _reading(
    status: AuthorityStatus,
    now: datetime,
    announced: tuple[Withdrawal, ...],
    withdrew: datetime | None,
) -> AuthorityReading:
    return AuthorityReading(
        name=status.name,
        age=status.age(now),
        expires=status.expires,
        failing=status.error is not None,
        stale=bool(status.stale(now)),
        version=status.version,
        withdrawals=status.withdrawals,
        announced=tuple(entry.effective for entry in announced if entry.effective is not None),
        withdrew=withdrew,
    )


def _authority(status: AuthorityStatus, grants: tuple[Grant, ...], now: datetime) -> dict[str, Any]:
    """Return one authority; ``silence`` states what its staleness does, for each grant."""
    return {
        "name": status.name,
        "version": status.version,
        "expires": None if status.expires is None else rfc3339(status.expires),
        "refreshed": None if status.refreshed is None else rfc3339(status.refreshed),
        "age_seconds": round(status.age(now), 1),
        "error": status.error,
        "stale": status.stale(now) or None,
        "withdrawals": status.withdrawals,
        "grants": [
            {"role": grant.role, "silence": "denies" if grant.silence_denies else "ignored"}
            for grant in grants
        ],
    }
