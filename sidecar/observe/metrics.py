"""Defines the Prometheus metrics, in a registry of their own.

Every label has few values: outcomes, reasons and operations are enumerations, jurisdictions are
those of the policies or grants, authorities those of the operator. A model id or an environment is
never a label (CVE-2023-45142); the decision log has those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.process_collector import ProcessCollector

from sidecar.core.decide import Decision
from sidecar.core.reasons import Reason
from sidecar.observe.lease_metrics import LeaseCollector
from sidecar.observe.outcome import STAGES, UNKNOWN, LeasedOutcome, Outcome
from sidecar.observe.trust_metrics import TrustCollector, TrustReading
from sidecar.observe.unknown_keys import UnknownKeys

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the number of series

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
NONE = "none"
REGISTRATION_RESULTS = ("written", "failed", "unreadable", "foreign", "invalid")
LOOKUP_RESULTS = ("found", "missing", "expired", "foreign", "invalid")
MAX_RULE_CODES = 512
MAX_JURISDICTION_SETS = 64
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """All metrics of one gate.

    Args:
        operations: Names of all operations.
        jurisdictions: Jurisdictions of the policies and grants.
        trust: Returns the trust state's numbers; called at each scrape.
        unknown_keys: Counts credentials with unknown keys, for ``trust``.
    """

    def __init__(
        self,
        *,
        operations: Iterable[str],
        jurisdictions: Iterable[str],
        trust: Callable[[], TrustReading],
        unknown_keys: UnknownKeys | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self.decisions = 0
        """How many decisions were counted: whether anything did change since a look."""
        self._operations = frozenset(operations)
        self._jurisdictions = frozenset(jurisdictions)
        self._sets: set[str] = set()
        self._unknown_keys = UnknownKeys() if unknown_keys is None else unknown_keys
        self._decisions = Counter(
            "admissibility_decisions",
            "Decisions: one for each request, a second one where an upload is read. "
            "`jurisdiction` is the environment's, joined by `+`; `none` without an environment, "
            "`other` if unknown to policies and grants. `operation` is `unknown` if the request "
            "was refused before its operation was known.",
            ("outcome", "reason", "jurisdiction", "operation"),
            registry=self.registry,
        )
        self._denials = Counter(
            "admissibility_denials",
            "Denials by reason alone, each from 0 on: an alert on an increase sees the first one.",
            ("reason",),
            registry=self.registry,
        )
        for reason in Reason:
            if reason is not Reason.ADMITTED:
                self._denials.labels(reason.value)
        self._stages = Histogram(
            "admissibility_stage_seconds",
            "Time in `parse`, `credential`, `assess` and `policy`, and in all of it: `total`. Of a "
            "decision made from a lease only `total` is measured.",
            ("stage",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._observe_stage = {stage: self._stages.labels(stage).observe for stage in STAGES}
        self._observe_total = self._stages.labels("total").observe
        self._watch_engine()
        self._watch_policies()
        self._watch_logs()
        self._watch_registrations()
        self.leases = LeaseCollector()
        self.registry.register(self.leases)
        self.registry.register(TrustCollector(trust))
        ProcessCollector(registry=self.registry)

    def _watch_engine(self) -> None:
        self.in_flight = Gauge(
            "admissibility_in_flight", "Requests being decided.", registry=self.registry
        )
        self.ready = Gauge(
            "admissibility_ready",
            "1 once every authority's first refresh ended and the policy engine answered.",
            registry=self.registry,
        )
        self.clock_sound = Gauge(
            "admissibility_clock_sound",
            "1 while the wall clock agrees with the time since boot and with the latest time "
            "relied on before; 0 denies everything.",
            registry=self.registry,
        )
        self.engine_up = Gauge(
            "admissibility_policy_engine_up",
            "1 while the policy engine answers its health check.",
            registry=self.registry,
        )
        self.engine_restarts = Counter(
            "admissibility_policy_engine_restarts",
            "Restarts of the managed policy engine.",
            registry=self.registry,
        )

    def _watch_policies(self) -> None:
        self.policy_load_failures = Counter(
            "admissibility_policy_load_failures",
            "Changed policies that could not be used; the last good ones stayed in force.",
            registry=self.registry,
        )
        self._findings = Counter(
            "admissibility_policy_findings",
            "Rules that refused (`enforced`) or only warned (`pending`, `shadow`, `waived`, "
            "`advisory`).",
            ("code", "state"),
            registry=self.registry,
        )
        self._codes: set[str] = set()
        self._policy_revision = Gauge(
            "admissibility_policy_revision_info",
            "1 for the policy revision in force; one series at a time.",
            ("revision",),
            registry=self.registry,
        )

    def _watch_logs(self) -> None:
        self.facts_lost = Counter(
            "admissibility_facts_log_lost_lines",
            "Calls that are missing from the log of facts.",
            registry=self.registry,
        )
        self.log_writable = Gauge(
            "admissibility_decision_log_writable",
            "1 while the decision log can be written; 0 denies every call that would be admitted.",
            registry=self.registry,
        )
        self.log_lost = Counter(
            "admissibility_decision_log_lost_lines",
            "Denials that are missing from the decision log; no call is admitted without a line.",
            registry=self.registry,
        )

    def _watch_registrations(self) -> None:
        self._registrations = Counter(
            "admissibility_registrations",
            "Objects created through the gate: `written`, or `failed` (the folder), `unreadable` "
            "(the response), `foreign` (registered for another environment), `invalid` (the "
            "existing record does not verify).",
            ("result",),
            registry=self.registry,
        )
        for result in REGISTRATION_RESULTS:
            self._registrations.labels(result)
        self._lookups = Counter(
            "admissibility_registration_lookups",
            "Registrations looked up for calls that refer to a stored object: `found`, `missing`,"
            " `expired`, `foreign`, `invalid`.",
            ("result",),
            registry=self.registry,
        )
        for result in LOOKUP_RESULTS:
            self._lookups.labels(result)

    def registration_written(self, result: str) -> None:
        """Count one registration; ``result`` is a value of ``registry.errors.RegistryResult``."""
        self._registrations.labels(result).inc()

    def registration_looked_up(self, result: str) -> None:
        """Count one look-up; ``result`` is a value of ``registry.errors.RegistryResult``."""
        self._lookups.labels(result).inc()

    def add_jurisdictions(self, jurisdictions: Iterable[str]) -> None:
        """Add jurisdictions that may be label values."""
        self._jurisdictions |= frozenset(jurisdictions)

    def can_record(self) -> bool:
        """Return whether the decision log can be written, by this process."""
        return bool(self.registry.get_sample_value("admissibility_decision_log_writable"))

    def set_policy_revision(self, revision: str) -> None:
        """Set the policy revision in force, as the only series of its metric."""
        self._policy_revision.clear()
        self._policy_revision.labels(revision).set(1)

    def count(self, outcome: Outcome) -> None:
        """Count one decision and its timings."""
        self.decisions += 1
        for counter in self._counters(outcome):
            counter.inc()
        if outcome.shared is None or outcome.asked:
            for stage, seconds in outcome.stages.items():
                self._observe_stage[stage](seconds)
        self._observe_total(outcome.seconds)
        if outcome.key_unknown_in:
            self._unknown_keys.add(outcome.key_unknown_in, outcome.decision.at)

    def count_leased(self, outcome: LeasedOutcome) -> None:
        """Count one allow that was made from a lease, and how long it took."""
        self.decisions += 1
        for counter in outcome.shared.counters:
            counter.inc()
        self._observe_total(outcome.seconds)

    def _counters(self, outcome: Outcome) -> tuple[Counter, ...]:
        """Return the counters of a decision; those of recurring ones are looked up once."""
        shared = outcome.shared
        if shared is None:
            return tuple(self._find_counters(outcome.decision))
        if not shared.counters:
            shared.counters = tuple(self._find_counters(outcome.decision))
        return shared.counters

    def _find_counters(self, decision: Decision) -> Iterator[Counter]:
        operation = UNKNOWN if decision.call is None else decision.call.operation
        yield self._decisions.labels(
            "allow" if decision.allowed else "deny",
            decision.reason.value,
            self._jurisdiction(decision),
            operation if operation in self._operations else UNKNOWN,
        )
        if not decision.allowed:
            yield self._denials.labels(decision.reason.value)
        for finding in (*decision.violations, *decision.warnings):
            yield self._findings.labels(self._code(finding.code), finding.state or UNKNOWN)

    def render(self) -> bytes:
        """Return the exposition text, in the format ``CONTENT_TYPE``."""
        return generate_latest(self.registry)

    def _code(self, code: str) -> str:
        """Return a rule's code as label value; ``other`` beyond ``MAX_RULE_CODES``."""
        if code not in self._codes and len(self._codes) >= MAX_RULE_CODES:
            return OTHER
        self._codes.add(code)
        return code

    def _jurisdiction(self, decision: Decision) -> str:
        """Return the jurisdictions as a label: ``eu``, ``eu+us``, ``none``, ``other``."""
        environment = None if decision.assessment is None else decision.assessment.environment
        if environment is None:
            return NONE
        names = set(environment.predicate.jurisdictions)
        if not names <= self._jurisdictions:
            return OTHER
        value = "+".join(sorted(names))
        if value not in self._sets and len(self._sets) >= MAX_JURISDICTION_SETS:
            return OTHER
        self._sets.add(value)
        return value
