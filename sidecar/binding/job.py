"""Assembles the manifest of an adapted model, whatever provider or trainer made it. Pure.

An adapter module (``openai``, ``lora``) reads what a provider or a trainer wrote into an
``AdaptedModel``; ``bind_model`` adds the declarations and checks everything that is the same for
all of them: parent, superseded manifest, specification, times and window.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sidecar.binding import specified
from sidecar.binding.errors import BindingError
from sidecar.binding.specified import KnownSpecification
from sidecar.core.evidence import Statement
from sidecar.core.predicates import (
    MANIFEST,
    Corpus,
    Document,
    EnvironmentSpec,
    EvaluationEnvelope,
    EvaluationOutput,
    Manifest,
    ModelClaim,
    RequiredApprovals,
    Run,
    Subject,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet

CLOCK_SKEW = timedelta(minutes=5)
"""How far the clock that a run's record was made with may be ahead of this machine's."""


@dataclass(frozen=True, slots=True)
class AdaptedModel:
    """A model that a finished run made.

    Attributes:
        id: The model's id, as calls name it.
        base: Id of the model that it was tuned from.
        base_is_adapted: Whether the base's id is that of an adapted model, which needs a parent.
        run: The run, as the manifest states it.
        artifact: The bytes whose SHA-256 is the manifest's subject.
        output: Evaluation output that the provider's record itself contains; ``None`` without one.
        specification: Digest of the specification that the run names; ``None`` without one.
    """

    id: str
    base: str
    base_is_adapted: bool
    run: Run
    artifact: bytes
    output: EvaluationOutput | None = None
    specification: str | None = None


@dataclass(frozen=True, slots=True)
class KnownManifest:
    """Another manifest with its digest (SHA-256 of its payload)."""

    digest: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Declared:
    """Everything in the manifest that the record of the run does not contain.

    ``supersedes`` is a digest where the manifest itself is not at hand; its model is then not
    compared.
    """

    corpora: tuple[Corpus, ...]
    outputs: tuple[EvaluationOutput, ...]
    envelope: EvaluationEnvelope
    environments: tuple[EnvironmentSpec, ...]
    required_roles: tuple[str, ...]
    window: Window
    provider: str
    parent: KnownManifest | None = None
    supersedes: KnownManifest | DigestSet | None = None
    specification: KnownSpecification | None = None
    shutdown: datetime | None = None
    documents: tuple[Document, ...] = ()
    declarations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Binding:
    """A manifest's statement, and the bytes whose SHA-256 is its subject."""

    statement: Statement[Manifest]
    artifact: bytes


def bind_model(model: AdaptedModel, declared: Declared) -> Binding:
    """Return the manifest of an adapted model.

    Raises:
        BindingError: Model and base are the same; the run ended before it began, or in the future;
            the parent is missing or of another model; ``supersedes`` is of another
            model; the specification is not the one that the run names, or differs from the
            declarations; the window ends before it begins.
    """
    _check_run(model, declared.window.not_before)
    output = () if model.output is None else (model.output,)
    manifest = Manifest(
        model=ModelClaim(
            provider=declared.provider,
            id=model.id,
            base=model.base,
            parent=_parent(model, declared),
            shutdown=declared.shutdown,
        ),
        corpora=declared.corpora,
        run=model.run,
        evaluations=(*declared.outputs, *output),
        envelope=declared.envelope,
        environments=declared.environments,
        approvals=RequiredApprovals(declared.required_roles),
        window=_window(declared),
        supersedes=_supersedes(model.id, declared),
        specification=_specification(model, declared),
        documents=declared.documents,
        declarations=declared.declarations,
    )
    digest = DigestSet(hashlib.sha256(model.artifact).hexdigest())
    return Binding(Statement(Subject(model.id, digest), MANIFEST, manifest), model.artifact)


def _check_run(model: AdaptedModel, now: datetime) -> None:
    if model.id == model.base:
        raise BindingError(f"run {model.run.id}: {model.id} is named as the model and as its base")
    if model.run.finished < model.run.started:
        raise BindingError(f"run {model.run.id}: it finished before it began")
    if model.run.finished > now + CLOCK_SKEW:
        raise BindingError(
            f"run {model.run.id}: it finished at {model.run.finished.isoformat()}, but now it is "
            f"{now.isoformat()}; compare the clocks, and bind the run after it has finished"
        )


def _parent(model: AdaptedModel, declared: Declared) -> DigestSet | None:
    """Return the digest of the base's manifest, required if the base is an adapted model."""
    parent = declared.parent
    if parent is None:
        if model.base_is_adapted:
            raise BindingError(f"{model.base} is itself adapted: give its manifest as the parent")
        return None
    claim = parent.manifest.model
    if (claim.provider, claim.id) != (declared.provider, model.base):
        raise BindingError(
            f"the parent manifest is of {claim.provider}/{claim.id}, but the job was tuned from "
            f"{declared.provider}/{model.base}"
        )
    return DigestSet(parent.digest)


def _supersedes(model: str, declared: Declared) -> DigestSet | None:
    known = declared.supersedes
    if known is None or isinstance(known, DigestSet):
        return known
    claim = known.manifest.model
    if (claim.provider, claim.id) != (declared.provider, model):
        raise BindingError(
            f"the manifest to supersede is of {claim.provider}/{claim.id}, not of "
            f"{declared.provider}/{model}"
        )
    return DigestSet(known.digest)


def _specification(model: AdaptedModel, declared: Declared) -> DigestSet | None:
    """Return the specification's digest; declarations that differ from it are an error."""
    known = declared.specification
    if known is None:
        if model.specification is not None:
            raise BindingError(f"the job names the specification {model.specification}: give it")
        return None
    chain = specified.chain(known)
    specified.check_named(chain, model.specification)
    specified.check_declared(known, declared.environments, declared.envelope)
    specified.check_base(known, f"{declared.provider}/{model.base}")
    specified.check_times(chain, model.run.started, declared.window.not_before)
    return DigestSet(known.digest)


def _window(declared: Declared) -> Window:
    """Return the requested window, cut at the model's shutdown."""
    end = declared.shutdown
    if end is None or declared.window.not_after <= end:
        return declared.window
    if end <= declared.window.not_before:
        raise BindingError(f"the provider shut the model down at {end.isoformat()}")
    return Window(declared.window.not_before, end)
