"""Statements of a history's steps, completed by the defaults that keep a history short."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.predicates import (
    APPROVAL,
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    MANIFEST,
    RESULT,
    Approval,
    Corpus,
    DeploymentBinding,
    Environment,
    EnvironmentSpec,
    EvaluationEnvelope,
    EvaluationOutput,
    Manifest,
    ModelClaim,
    Predicate,
    RequiredApprovals,
    Result,
    Run,
    Subject,
    Suite,
    SuiteAnnotations,
    SuiteResult,
    base_model_digest,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from sidecar.simulate.entries import Approve, Bind, Declare, Deploy, EnvironmentEntry, Judge, Signed
from sidecar.simulate.party import EvidenceFile
from sidecar.simulate.world import World

THRESHOLD = 0.9
_PASSING, _FAILING = 0.95, 0.4


def sha256(text: str) -> str:
    """Hex SHA-256 of a text: the digest of an artifact that only has a name here."""
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_of(file: EvidenceFile) -> Manifest:
    """Return the predicate of a manifest's file."""
    predicate = parse_statement(file.payload).predicate
    if not isinstance(predicate, Manifest):
        raise TypeError(f"{file.named} is not a manifest")
    return predicate


def jurisdictions(world: World) -> tuple[str, ...]:
    """Return every jurisdiction that an environment or a floor names, sorted."""
    found = {name for entry in world.environments.values() for name in entry.jurisdictions}
    found |= {name for floor in world.operator.floors for name in floor.jurisdictions}
    return tuple(sorted(found))


def bound(world: World, entry: Bind) -> Statement[Predicate]:
    """Return a manifest for every environment of the history, unless it is narrowed."""
    old = None if entry.supersedes is None else world.manifests[entry.supersedes]
    parent = None if entry.parent is None else world.manifests[entry.parent]
    where = entry.jurisdictions or jurisdictions(world)
    claim = _claim(world, entry, old, parent)
    specs = tuple(
        EnvironmentSpec(spec.id or "", where, spec.sector, spec.purpose, entry.operations)
        for name, spec in world.environments.items()
        if not entry.environments or name in entry.environments
    )
    predicate = Manifest(
        model=claim,
        corpora=tuple(
            Corpus("training", name, DigestSet(sha256(f"corpus {name}")), 1000, 10)
            for name in entry.corpora or (f"{entry.manifest}-corpus",)
        ),
        run=Run(
            f"ftjob-{entry.manifest}",
            "supervised",
            {},
            world.now - timedelta(days=2),
            world.now - timedelta(days=1),
        ),
        evaluations=(
            EvaluationOutput("metrics.csv", DigestSet(sha256(f"metrics {entry.manifest}")), {}),
        ),
        envelope=EvaluationEnvelope(
            (
                _suite("adversarial", None),
                *(_suite("compliance", name) for name in where),
            )
        ),
        environments=specs,
        approvals=RequiredApprovals(entry.requires),
        window=window(world, entry),
        supersedes=None if old is None else DigestSet(old.digest),
    )
    subject = Subject(claim.id, DigestSet(sha256(f"job {entry.manifest}")))
    return Statement(subject, MANIFEST, predicate)


def _claim(
    world: World, entry: Bind, old: EvidenceFile | None, parent: EvidenceFile | None
) -> ModelClaim:
    settings = world.history.settings
    before = None if old is None else manifest_of(old).model
    base = settings.base if parent is None else manifest_of(parent).model.id
    above = None if parent is None else DigestSet(parent.digest)
    if before is not None and parent is None:
        base, above = before.base, before.parent
    name = entry.model or (f"ft:{settings.base}:{entry.manifest}" if before is None else before.id)
    return ModelClaim(settings.provider, name, base, above)


def _suite(kind: str, jurisdiction: str | None) -> Suite:
    name = kind if jurisdiction is None else f"{kind}-{jurisdiction}"
    digest = DigestSet(sha256(f"suite {name}"))
    if jurisdiction is None:
        return Suite("adversarial", name, digest, THRESHOLD)
    return Suite("compliance", name, digest, THRESHOLD, jurisdiction)


def judged(world: World, entry: Judge, *, passed: bool) -> Statement[Predicate]:
    """Return a test result for the named suites of a manifest, or for all of them."""
    file = world.manifests[entry.manifest]
    manifest = manifest_of(file)
    rows = tuple(
        SuiteResult(
            suite.name,
            suite.digest,
            SuiteAnnotations(
                suite.kind, suite.threshold, _PASSING if passed else _FAILING, suite.jurisdiction
            ),
        )
        for suite in manifest.envelope.suites
        if not entry.suites or suite.name in entry.suites
    )
    predicate = Result("PASSED" if passed else "FAILED", rows, window(world, entry))
    return Statement(Subject(manifest.model.id, DigestSet(file.digest)), RESULT, predicate)


def approved(world: World, entry: Approve, role: str) -> Statement[Predicate]:
    """Return an approval for every environment of the manifest."""
    file = world.manifests[entry.manifest]
    manifest = manifest_of(file)
    where = {name for spec in manifest.environments for name in spec.jurisdictions}
    predicate = Approval(
        role=role,
        jurisdictions=entry.jurisdictions or tuple(sorted(where)),
        environments=tuple(spec.id for spec in manifest.environments),
        operations=entry.operations,
        window=window(world, entry),
    )
    return Statement(Subject(manifest.model.id, DigestSet(file.digest)), APPROVAL, predicate)


def declared(world: World, entry: Declare) -> Statement[Predicate]:
    """Return a declaration; what the step leaves out is as the environment was first declared."""
    first: EnvironmentEntry = world.environments[entry.environment]
    spiffe_id = first.id or ""
    bases = first.base_models if entry.base_models is None else entry.base_models
    predicate = Environment(
        jurisdictions=entry.jurisdictions or first.jurisdictions,
        sector=entry.sector or first.sector,
        purpose=entry.purpose or first.purpose,
        risk_class="limited",
        owner=entry.by,
        window=window(world, entry),
        base_models=bases,
    )
    return Statement(Subject(spiffe_id, DigestSet(sha256(spiffe_id))), ENVIRONMENT, predicate)


def deployed(world: World, entry: Deploy) -> Statement[Predicate]:
    """Return a binding of a deployment to a manifest or to a base model."""
    provider = world.history.settings.provider
    if entry.manifest is not None:
        file = world.manifests[entry.manifest]
        model, digest = manifest_of(file).model.id, file.digest
    else:
        model = entry.base or ""
        digest = base_model_digest(provider, model)
    predicate = DeploymentBinding(provider, entry.deployment, model, window(world, entry))
    return Statement(Subject(entry.deployment, DigestSet(digest)), DEPLOYMENT_BINDING, predicate)


def window(world: World, entry: Signed) -> Window:
    """Return the window that begins now, or after ``in``, and is as long as ``for``."""
    begins = world.now + entry.in_
    return Window(begins, begins + entry.for_)
