"""Reads signed SLSA provenance v1 as the source of a run's corpora. Pure.

https://slsa.dev/spec/v1.1/provenance, "Verifying artifacts": the signature by a key of the builder,
the statement's type, the builder's id, and that the subject is what is bound. What it states must
agree with everything that is known otherwise; where it does not, or lacks what a manifest states,
nothing is bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from sidecar.binding import records
from sidecar.binding.errors import BindingError
from sidecar.binding.job import AdaptedModel
from sidecar.binding.records import Identifier, Record, Time
from sidecar.core import dsse
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import Corpus, Document
from sidecar.core.reasons import EvidenceError
from sidecar.core.wire import DigestSet

DOCUMENT = "slsa-provenance"
"""Kind of the document that the provenance is in the manifest."""

_CORPORA = ("training", "validation")
_BASE, _PARENT, _GRADER, _ASKED = "base-model", "parent", "grader", "asked-model"


class _Camel(Record):
    model_config = ConfigDict(alias_generator=to_camel)


class _Resource(_Camel):
    """An in-toto ResourceDescriptor."""

    name: Identifier | None = None
    digest: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, Any] = Field(default_factory=dict)


class _Subject(_Camel):
    name: Identifier | None = None
    digest: dict[str, str]


class _Definition(_Camel):
    external_parameters: dict[str, Any]
    resolved_dependencies: tuple[_Resource, ...] = Field(strict=False)


class _Builder(_Camel):
    id: Identifier


class _Metadata(_Camel):
    invocation_id: Identifier
    started_on: Time
    finished_on: Time


class _Details(_Camel):
    builder: _Builder
    metadata: _Metadata


class _Predicate(_Camel):
    build_definition: _Definition
    run_details: _Details


class _Statement(Record):
    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    predicate_type: Literal["https://slsa.dev/provenance/v1"] = Field(alias="predicateType")
    subject: Annotated[tuple[_Subject, ...], Field(strict=False, min_length=1)]
    predicate: _Predicate


class _Counts(Record):
    """What a corpus states of itself beside its digest, as ``admit export`` writes it."""

    bytes: Annotated[int, Field(ge=0)]
    records: Annotated[int, Field(ge=1)]
    classes: tuple[str, ...] = Field(default=(), strict=False)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Provenance whose signature and builder were verified.

    Attributes:
        digest: SHA-256 of its payload.
        builder: The builder's id.
        subjects: Hex SHA-256 of what the run made, by name.
        corpora: What it was trained on.
        base: The base model, as ``provider/id``.
        run: The run's id.
        started: When it began.
        finished: When it ended.
        parent: Digest of the base's manifest, if it names one.
        graders: Hex SHA-256 of what graded.
        asked: Models that were asked, as ``provider/id``.
    """

    digest: str
    builder: str
    subjects: tuple[str, ...]
    corpora: tuple[Corpus, ...]
    base: str
    run: str
    started: datetime
    finished: datetime
    parent: str | None = None
    graders: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()

    @property
    def document(self) -> Document:
        """Return the provenance as a document of the manifest."""
        return Document(DOCUMENT, self.builder, DigestSet(self.digest))


def read(data: bytes, key: PublicKey, builder: str, classes: tuple[str, ...] = ()) -> Provenance:
    """Verify and read a provenance.

    Args:
        data: The DSSE envelope.
        key: The builder's key, pinned by whoever binds.
        builder: The id that the key is pinned for.
        classes: Data classes of the corpora beside those that it states.

    Raises:
        BindingError: Another key signed it, or nobody; it is no such statement, is of another
            builder, or does not state what a manifest needs.
    """
    try:
        envelope = dsse.parse(data)
    except EvidenceError as error:
        raise BindingError(f"provenance: {error}") from error
    if not dsse.verified_by(envelope, [key]):
        raise BindingError("provenance: not signed by the given key")
    value = records.parse_object(envelope.payload, "provenance")
    statement = records.validate(_Statement, value, "provenance")
    found, subjects = statement.predicate, statement.subject
    details = found.run_details
    if details.builder.id != builder:
        raise BindingError(f"provenance: is of builder {details.builder.id!r}, not {builder!r}")
    by_role: dict[str, list[_Resource]] = {}
    for each in found.build_definition.resolved_dependencies:
        by_role.setdefault(str(each.annotations.get("role")), []).append(each)
    corpora = tuple(
        _corpus(role, each, classes) for role in _CORPORA for each in by_role.get(role, ())
    )
    if not any(each.role == "training" for each in corpora):
        raise BindingError(
            "provenance: no resolved dependency has the annotation role: training, so what it was "
            "trained on is not stated"
        )
    parents = [_digest(each) for each in by_role.get(_PARENT, ())]
    if len(parents) > 1:
        raise BindingError(f"provenance: names {len(parents)} manifests of its base")
    return Provenance(
        digest=envelope.digest,
        builder=builder,
        subjects=tuple(_digest(each) for each in subjects),
        corpora=corpora,
        base=_base(by_role.get(_BASE, []), found.build_definition.external_parameters),
        run=details.metadata.invocation_id,
        started=details.metadata.started_on,
        finished=details.metadata.finished_on,
        parent=parents[0] if parents else None,
        graders=frozenset(_digest(each) for each in by_role.get(_GRADER, ())),
        asked=frozenset(_name(each) for each in by_role.get(_ASKED, ())),
    )


def check(
    found: Provenance,
    model: AdaptedModel,
    provider: str,
    artifact: str,
    files: Mapping[str, str] | None = None,
    parent: str | None = None,
) -> None:
    """Require that a provenance is of what is bound.

    Args:
        found: The provenance.
        model: The model, as its record or its files state it.
        provider: The provider's name in manifests.
        artifact: Hex SHA-256 of what is bound.
        files: Of open weights: name → hex SHA-256 of each file, which may be subjects instead.
        parent: Digest of the manifest of the base model, where one was given.

    Raises:
        BindingError: It is not; names what differs.
    """
    made = set(found.subjects)
    if artifact not in made and not (files and set(files.values()) <= made):
        raise BindingError(
            f"provenance: its subjects are {', '.join(sorted(made))}; neither the artifact "
            f"{artifact} nor every file of it is among them"
        )
    run = model.run
    pairs: tuple[tuple[str, object, object], ...] = (
        ("base", found.base, f"{provider}/{model.base}"),
        ("run", found.run, run.id),
        ("startedOn", found.started, run.started),
        ("finishedOn", found.finished, run.finished),
        ("parent", found.parent, parent),
        ("graders", found.graders, frozenset(each.digest.sha256 for each in run.graders or ())),
        ("asked models", found.asked, frozenset(run.models or ())),
    )
    for what, stated, known in pairs:
        if stated != known:
            raise BindingError(f"provenance: its {what} is {_shown(stated)}, not {_shown(known)}")


def check_corpora(found: Provenance, given: tuple[Corpus, ...]) -> None:
    """Require that files at hand are exactly the corpora of a provenance.

    Raises:
        BindingError: They are not.
    """
    stated = sorted((each.role, each.digest.sha256) for each in found.corpora)
    known = sorted((each.role, each.digest.sha256) for each in given)
    if stated != known:
        raise BindingError(f"provenance: its corpora are {stated}, but the files are {known}")


def _corpus(role: str, resource: _Resource, classes: tuple[str, ...]) -> Corpus:
    name = _name(resource)
    counts = records.validate(_Counts, resource.annotations, f"provenance: corpus {name}")
    every = tuple(dict.fromkeys((*counts.classes, *classes)))
    digest = DigestSet(_digest(resource))
    return Corpus(role, name, digest, counts.bytes, counts.records, every)


def _base(named: list[_Resource], parameters: Mapping[str, Any]) -> str:
    names = {_name(each) for each in named}
    if len(names) != 1:
        raise BindingError(
            f"provenance: {len(names)} resolved dependencies have the annotation role: {_BASE}, "
            "expected one, whose name is PROVIDER/ID"
        )
    (name,) = names
    stated = parameters.get("base")
    if stated is not None and name.partition("/")[2] != stated:
        raise BindingError(f"provenance: its parameter base is {stated!r}, its dependency {name!r}")
    return name


def _name(resource: _Resource) -> str:
    if resource.name is None:
        raise BindingError("provenance: a resolved dependency with a role has no name")
    return resource.name


def _digest(resource: _Resource | _Subject) -> str:
    found = resource.digest.get("sha256", "")
    if len(found) != 64 or not set(found) <= set("0123456789abcdef"):
        raise BindingError(f"provenance: {resource.name}: has no digest sha256 (64 hex digits)")
    return found


def _shown(value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value))) or "none"
    return value.isoformat() if isinstance(value, datetime) else repr(value)
