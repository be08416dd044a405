"""Defines the values that the steps of the predicate pass on: findings, chains, the assessment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sidecar.core.call import Call, Credential
from sidecar.core.eligibility import signed_by
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.floors import EffectiveEnvironment, effective_environment
from sidecar.core.grants import CUSTOMER, Scope
from sidecar.core.memory import LineageNode
from sidecar.core.predicates import (
    Approval,
    DeploymentBinding,
    Environment,
    Manifest,
    Result,
    Specification,
    Suite,
    Waiver,
)
from sidecar.core.reasons import Reason
from sidecar.core.snapshot import TrustState

STEPS: tuple[str, ...] = (
    "the request is well formed and names its models",
    "the credential names one declared environment",
    "each model resolves to one manifest",
    "the manifest is signed, in window, and covers the call",
    "the declared envelope was run, passed and countersigned",
    "every required role approved",
    "nothing relied on is withdrawn",
    "every constituent's trust metadata is fresh",
)
"""What each numbered step of the predicate asserts."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A withdrawal that is in effect for something the decision relies on."""

    node: LineageNode
    authority: str
    reason: str
    effective: datetime | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One step's outcome for one subject.

    Attributes:
        step: 0 … 7, as in ``STEPS``.
        subject: The model id, the environment, or the authority it is about.
        reason: ``None`` where the step holds.
        detail: One sentence for people.
        missing: Roles, suites or authorities that are lacking.
        withdrawn: Set for ``Reason.WITHDRAWN``.
    """

    step: int
    subject: str
    reason: Reason | None
    detail: str
    missing: tuple[str, ...] = ()
    withdrawn: Withdrawn | None = None

    @property
    def holds(self) -> bool:
        """Whether the step holds for this subject."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked, against which state, at which one instant.

    ``known`` holds what several steps derive from one declaration, by its digest.
    """

    call: Call
    credential: Credential
    state: TrustState
    now: datetime
    known: dict[str, tuple[EffectiveEnvironment, tuple[Signer, ...]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def effective(self, item: Evidence[Environment]) -> EffectiveEnvironment:
        """Return a declaration with the operator's floors."""
        return self._declared(item)[0]

    def customers(self, item: Evidence[Environment]) -> tuple[Signer, ...]:
        """Return the signers of a declaration that are granted it, as signed."""
        return self._declared(item)[1]

    def _declared(
        self, item: Evidence[Environment]
    ) -> tuple[EffectiveEnvironment, tuple[Signer, ...]]:
        found = self.known.get(item.digest)
        if found is None:
            operator = self.state.operator
            known = self.state.declared.get(item.statement.subject.name, ())
            effective = effective_environment(operator, item, known)
            scope = Scope(effective.environment, effective.sector)
            # The grant must cover the jurisdictions that floors add as well.
            signers = signed_by(operator, item, CUSTOMER, scope, effective.jurisdictions)
            found = self.known[item.digest] = (effective, signers)
        return found


@dataclass(frozen=True, slots=True)
class Question:
    """An inquiry about one model in its declared environment.

    ``model`` is what the call names; where that is a deployment, ``bound_to`` is the model that it
    runs. ``effective`` is the declaration with the operator's floors; ``scope`` is what a grant
    must cover to count here.
    """

    inquiry: Inquiry
    environment: Evidence[Environment]
    model: str
    bound_to: str | None = None
    effective: EffectiveEnvironment = field(init=False)
    scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        """Derive once what every step needs."""
        effective = self.inquiry.effective(self.environment)
        object.__setattr__(self, "effective", effective)
        scope = Scope(
            environment=self.environment.statement.subject.name,
            sector=self.environment.predicate.sector,
            model=self.name,
        )
        object.__setattr__(self, "scope", scope)

    @property
    def target(self) -> str:
        """The id of the model that would run, by whatever name it is called."""
        return self.model if self.bound_to is None else self.bound_to

    @property
    def name(self) -> str:
        """The model as grants and withdrawals name it: ``provider/id``."""
        return f"{self.inquiry.call.provider}/{self.target}"


@dataclass(frozen=True, slots=True)
class SuitePass:
    """A declared suite and the countersigned result that satisfied it."""

    suite: Suite
    score: float
    result: Evidence[Result]
    signer: Signer


@dataclass(frozen=True, slots=True)
class RolePass:
    """A required role and an approval that fills it, or a part of it.

    ``jurisdiction`` is the one a regulator answers for; other roles answer for all, with one
    approval or with several that add up.
    """

    role: str
    jurisdiction: str | None
    approval: Evidence[Approval]
    signer: Signer
    of_record: bool


@dataclass(frozen=True, slots=True)
class Counting:
    """An approval that counts for a required role, whether or not it was chosen to fill it.

    ``jurisdictions`` are those of the environment for which it does, in their order.
    """

    role: str
    jurisdictions: tuple[str, ...]
    approval: Evidence[Approval]
    authority: str
    of_record: bool


@dataclass(frozen=True, slots=True)
class Deployed:
    """The binding of a deployment to the model that it runs, and its signer.

    ``until`` is when this ceases to be the answer: with its window, its signer's key, or because a
    newer binding begins.
    """

    binding: Evidence[DeploymentBinding]
    signer: Signer
    of_record: bool
    until: datetime


@dataclass(frozen=True, slots=True)
class Specified:
    """A specification under which a model is or was tuned, and the customer relied on for it.

    ``extended`` are the specifications that it extends, each with its customer, nearest first.
    """

    specification: Evidence[Specification]
    signer: Signer
    extended: tuple[tuple[Evidence[Specification], Signer], ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """Everything one model's admission relies on.

    ``model`` is what the call names, and ``deployed`` says which one that is where it is a
    deployment. ``manifest`` is ``None`` for a base model that the environment lists un-adapted;
    ``parents`` runs from the manifest's parent to the first manifest made from a base model;
    ``specifications`` are those that any of these manifests names.

    ``suites`` and ``approvals`` were chosen, one for each slot, and say until when the admission
    holds. ``results`` (for each of the suites) and ``counting`` are everything that counts beside
    them: what a policy is asked about, so that losing the chosen one shows it nothing new.
    """

    model: str
    base: str
    manifest: Evidence[Manifest] | None
    producer: Signer | None
    parents: tuple[tuple[Evidence[Manifest], Signer], ...]
    suites: tuple[SuitePass, ...]
    approvals: tuple[RolePass, ...]
    deployed: Deployed | None = None
    specifications: tuple[Specified, ...] = ()
    results: tuple[tuple[SuitePass, ...], ...] = ()
    counting: tuple[Counting, ...] = ()


@dataclass(frozen=True, slots=True)
class Waived:
    """A waiver in force, with the regulator's signer that counts. Only policies read it."""

    waiver: Evidence[Waiver]
    signer: Signer


ANNOUNCED = "announced withdrawal"
SHUTDOWN = "shutdown of the model"
"""Endings whose date was published beforehand and holds for every caller of the model."""

NOTICE = timedelta(days=90)
"""How long ahead an announced end is reported with each admitted call."""


class Ending(NamedTuple):
    """The end of one thing that a decision relies on, or the start of what changes the answer.

    A tuple and not a dataclass: every decision makes about twenty.
    """

    at: datetime
    what: str
    whose: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """The structural predicate's answer.

    Attributes:
        findings: Every step's outcome, in step order; the first that fails gives ``reason``.
        reason: ``None`` where every step holds.
        environment: The declaration relied on, if one was found.
        chains: One per model; complete only where every step holds.
        constituents: Authorities that signed what the decision rests on, sorted.
        objectors: Every authority whose withdrawals count here, sorted.
        must_be_fresh: Those of them whose silence denies, by a grant in scope, sorted.
        manifests: Digests of the manifests relied on, sorted.
        valid_until: The earliest end of anything relied on.
        waivers: Waivers of policy rules that stand here; no step depends on them.
        specification: What a model would be tuned under, where the call is to tune one.
        jurisdictions: The declared ones, and those of the operator's floors.
        floor_roles: Roles that the operator's floors add, sorted.
        endings: Everything that ends it, with its time; empty where nothing was relied on.
    """

    findings: tuple[Finding, ...]
    reason: Reason | None
    environment: Evidence[Environment] | None
    chains: tuple[Chain, ...]
    constituents: tuple[str, ...]
    manifests: tuple[str, ...]
    valid_until: datetime
    waivers: tuple[Waived, ...] = ()
    specification: Specified | None = None
    objectors: tuple[str, ...] = ()
    must_be_fresh: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    floor_roles: tuple[str, ...] = ()
    endings: tuple[Ending, ...] = field(default=(), compare=False)

    @property
    def admissible(self) -> bool:
        """Whether every step holds. Policies may still refuse."""
        return self.reason is None

    @property
    def floor_jurisdictions(self) -> tuple[str, ...]:
        """Jurisdictions that the operator's floors add to the declared ones, in their order."""
        declared = () if self.environment is None else self.environment.predicate.jurisdictions
        return tuple(name for name in self.jurisdictions if name not in declared)

    @property
    def of_record(self) -> tuple[str, ...]:
        """Authorities that spoke for a provider which does not sign for itself, sorted."""
        approving = {r.signer.authority for c in self.chains for r in c.approvals if r.of_record}
        binding = {
            c.deployed.signer.authority
            for c in self.chains
            if c.deployed is not None and c.deployed.of_record
        }
        return tuple(sorted(approving | binding))

    def announced_end(self, now: datetime) -> Ending | None:
        """Return what is announced to end it within ``NOTICE``, the earliest; ``None`` if nothing.

        An admissible call is denied from then on, whatever else is renewed.
        """
        ahead = (end for end in self.endings if end.what in {ANNOUNCED, SHUTDOWN})
        return min((end for end in ahead if end.at <= now + NOTICE), default=None)

    @property
    def failed(self) -> Finding | None:
        """The finding that decided a refusal."""
        return next((finding for finding in self.findings if not finding.holds), None)
