"""Defines the facts: OPA's ``input``, and the only data that a policy reads from a decision.

Every value here was proven by the structural predicate before it was written down: it comes from
the request's bytes or from verified evidence, never from a header a client chose. The JSON Schema
under ``policies/schemas/`` is generated from these types, so a policy that reads a field that does
not exist fails ``opa check``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What was asked for.

    Attributes:
        provider: The provider the route leads to, e.g. ``openai``.
        operation: A name of the operation table, e.g. ``chat.completions``.
        models: Every model id the request names, in order of appearance, without repeats; empty
            only for a modelless operation.
        run: Those of ``models`` that it would run.
        tuned: Those of ``models`` that it would tune; one that also grades the outcome is in both.
        specification: Digest of the specification under which it would tune them, else null.
        modelless: Whether the operation can reach no model at all, such as reading a file back.
        sandbox: Whether an evaluator calls models that need not be active yet; their suites and
            approvals are then empty.
        stream: Whether the reply is asked for as a stream.
        modalities: Output modalities asked for, e.g. ``text``, ``audio``; lower case, sorted.
        tool_types: Types of the tools offered to the model, e.g. ``function``; sorted. A key beside
            the tools that offers one counts by its name, e.g. ``web_search_options``.
    """

    provider: str
    operation: str
    models: tuple[str, ...]
    run: tuple[str, ...]
    tuned: tuple[str, ...]
    specification: str | None
    modelless: bool
    sandbox: bool
    stream: bool
    modalities: tuple[str, ...]
    tool_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """How the environment proved itself: ``jwt-svid`` or ``x509-svid``; ``expires`` is RFC 3339."""

    kind: str
    expires: str


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    """The environment as its customer declared it.

    ``id`` is a SPIFFE ID (SPIFFE-ID §2); ``owner`` the authority that signed the declaration's
    owner field; ``jurisdictions`` is never empty.
    """

    id: str
    trust_domain: str
    jurisdictions: tuple[str, ...]
    sector: str
    purpose: str
    risk_class: str
    owner: str
    declarations: dict[str, str]
    credential: CredentialFacts


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """One corpus: ``digest`` is lower-case hex SHA-256, the numbers are counts.

    ``irregular`` lines are no JSON object of their own; the provider made the model with them.
    """

    role: str
    name: str
    digest: str
    bytes: int
    records: int
    classes: tuple[str, ...]
    irregular: int


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """A document the producer bound to the manifest, e.g. ``technical-documentation``."""

    kind: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """One evaluation output of the training run itself, with its metrics by name."""

    name: str
    digest: str
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, order=True)
class ResultFacts:
    """One result that counts for a suite: PASSED, in its window, and by a usable evaluator.

    ``performed`` is the RFC 3339 start of the result's window.
    """

    performed: str
    score: float
    evaluator: str


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """One suite of the declared envelope with every result that counts for it, oldest first.

    ``kind`` is ``adversarial``, ``regression`` or ``compliance``; ``jurisdiction`` is null unless
    the suite is a compliance suite; ``results`` is never empty, and no score is below
    ``threshold``. A rule asks whether there is a result that satisfies it.
    """

    kind: str
    jurisdiction: str | None
    name: str
    threshold: float
    results: tuple[ResultFacts, ...]


@dataclass(frozen=True, slots=True)
class ApprovalFacts:
    """One approval that counts for a required role; of one role there may be several.

    ``jurisdictions`` are those of the environment for which it counts: the approval names them and
    the authority is granted the role there. ``of_record`` is true where the operator lets another
    organisation speak for a provider that does not sign for itself yet. A rule asks whether there
    is an approval that satisfies it.
    """

    role: str
    authority: str
    of_record: bool
    jurisdictions: tuple[str, ...]
    conditions: tuple[str, ...]
    declarations: dict[str, str]
    not_after: str


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """A half-open interval [not_before, not_after), both RFC 3339."""

    not_before: str
    not_after: str


@dataclass(frozen=True, slots=True)
class AdaptationFacts:
    """One adapted model with everything its evidence proved.

    ``model`` is what the request names, which is a deployment where ``deployments`` has it;
    ``specification`` is the digest of the one it was tuned under, if its manifest names one. A base
    model that the environment lists un-adapted has no entry here.
    """

    model: str
    base: str
    parent: str | None
    manifest: str
    specification: str | None
    producer: str
    method: str
    corpora: tuple[CorpusFacts, ...]
    hyperparameters: dict[str, Any]
    evaluations: tuple[EvaluationFacts, ...]
    suites: tuple[SuiteFacts, ...]
    approvals: tuple[ApprovalFacts, ...]
    documents: tuple[DocumentFacts, ...]
    declarations: dict[str, str]
    window: WindowFacts


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """The model behind one of ``request.models``: ``name`` is bound to run ``model``.

    ``authority`` is the provider that says so, ``of_record`` as in an approval; ``not_after`` is
    when its binding ends. ``declarations`` are what its API states of the deployment: for Azure
    ``sku``, e.g. ``GlobalStandard``, and ``processing``: ``global``, ``data-zone`` or ``region``.
    """

    name: str
    model: str
    authority: str
    of_record: bool
    not_after: str
    declarations: dict[str, str]


@dataclass(frozen=True, slots=True)
class WaiverFacts:
    """A regulator's waiver of one rule, in force here and now.

    ``subject`` is the environment's SPIFFE ID, or the model it was given for as the request names
    it.
    """

    rule: str
    jurisdiction: str
    subject: str
    authority: str
    reason: str
    not_after: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The whole input. ``now`` is the decision's one reference time; ``nonce`` is echoed."""

    request: RequestFacts
    environment: EnvironmentFacts
    adaptations: tuple[AdaptationFacts, ...]
    deployments: tuple[DeploymentFacts, ...]
    waivers: tuple[WaiverFacts, ...]
    now: str
    nonce: str


def to_input(facts: Facts) -> dict[str, Any]:
    """Return ``facts`` as the JSON object that OPA gets as ``input``; to be read only."""
    return {field.name: plain(getattr(facts, field.name)) for field in dataclasses.fields(facts)}


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON is any value
    """Return a part of the facts as a JSON value; ``dataclasses.asdict`` copies every leaf."""
    names = _names(value.__class__)
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return tuple([plain(item) for item in value])
    return value


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """Return the field names of a dataclass; ``None`` for any other type."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple(field.name for field in dataclasses.fields(kind))
