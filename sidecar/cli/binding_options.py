"""Reads what every bind command is given beside the model: declarations, parent and successor."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.authority import records
from sidecar.authority.home import Home
from sidecar.binding import corpora, declared, files, slsa
from sidecar.binding.corpora import CorpusReading
from sidecar.binding.job import AdaptedModel, Binding, Declared, KnownManifest
from sidecar.binding.slsa import Provenance
from sidecar.binding.specified import KnownSpecification
from sidecar.cli import common, manifests
from sidecar.cli.common import CliError, DeclarationOption
from sidecar.cli.signing_checks import SigningOptions
from sidecar.core.evidence import write_statement
from sidecar.core.grants import ALWAYS_REQUIRED
from sidecar.core.predicates import (
    Corpus,
    Document,
    EnvironmentSpec,
    EvaluationEnvelope,
    EvaluationOutput,
    Manifest,
)
from sidecar.core.wire import DigestSet

DataClassOption = Annotated[
    list[str] | None,
    typer.Option(help="A kind of data the files hold, e.g. personal-data; repeatable."),
]
DocumentOption = Annotated[
    list[str] | None,
    typer.Option(help="KIND=FILE, e.g. technical-documentation=td.pdf; repeatable."),
]
SupersedesOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIGEST|FILE",
        help="The manifest of the same model that this one replaces: its digest, or its envelope "
        "(*.dsse.json).",
    ),
]
RequireRoleOption = Annotated[
    list[str] | None, typer.Option(help="A role that must approve as well; repeatable.")
]
EnvelopeOption = Annotated[
    Path | None, typer.Option(help="The declared evaluation envelope (YAML, JSON).")
]
EnvironmentsOption = Annotated[
    Path | None, typer.Option(help="Where the model may run (YAML, JSON).")
]
SpecificationOption = Annotated[
    Path | None,
    typer.Option(
        help="The specification (*.dsse.json) the job was submitted under, or an extension of it; "
        "says both."
    ),
]
ExtendedOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A specification that --specification extends, down to the job's own; repeatable."
    ),
]


ParentOption = Annotated[
    Path | None,
    typer.Option(help="Manifest of the adapted model that this one was tuned from."),
]
DaysOption = Annotated[float, typer.Option(help="Days that the manifest is valid.")]


@dataclass(frozen=True, slots=True)
class DeclaredOptions:
    """Options of what a manifest declares beside the model; an option group."""

    envelope: EnvelopeOption = None
    environments: EnvironmentsOption = None
    specification: SpecificationOption = None
    extended: ExtendedOption = None
    parent: ParentOption = None
    supersedes: SupersedesOption = None
    require_role: RequireRoleOption = None
    data_class: DataClassOption = None
    document: DocumentOption = None
    declaration: DeclarationOption = None
    days: DaysOption = 180

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the data classes of the corpora."""
        return tuple(self.data_class or ())

    def declared(
        self,
        owner: Home,
        at: datetime,
        provider: str,
        read: tuple[Corpus, ...],
        outputs: tuple[EvaluationOutput, ...],
    ) -> Declared:
        """Read what the options name.

        Args:
            owner: The home that signs, which knows what it signed before.
            at: When the manifest's window begins.
            provider: The provider's name in manifests.
            read: The corpora.
            outputs: Metrics files of the run.

        Raises:
            CliError: Something is missing, or cannot be read.
        """
        known = specified(self.specification, self.extended or [])
        return Declared(
            corpora=read,
            outputs=outputs,
            envelope=envelope(self.envelope, known),
            environments=environments(self.environments, known),
            required_roles=tuple(dict.fromkeys((*ALWAYS_REQUIRED, *(self.require_role or [])))),
            window=common.window(at, self.days),
            provider=provider,
            parent=known_manifest(self.parent),
            supersedes=superseded(owner, self.supersedes),
            specification=known,
            documents=documents(self.document),
            declarations=common.pairs(self.declaration, "--declaration"),
        )


def with_provenance(
    found: Provenance,
    model: AdaptedModel,
    known: Declared,
    artifact_files: Mapping[str, str] | None = None,
) -> Declared:
    """Check a provenance against what is bound, and add it as a document.

    Raises:
        BindingError: As ``slsa.check``.
    """
    parent = None if known.parent is None else known.parent.digest
    artifact = hashlib.sha256(model.artifact).hexdigest()
    slsa.check(found, model, known.provider, artifact, artifact_files, parent)
    return replace(known, documents=(*known.documents, found.document))


TRAINING_RUN = "run"
"""What an adapter of open weights comes from, which no provider was asked for."""


def sign(signing: SigningOptions, owner: Home, bound: Binding, what: str) -> None:
    """Sign a manifest, write it and the two files that tools verify it with, and report it.

    Args:
        signing: As the options say.
        owner: The home that signs.
        bound: The manifest's statement, and its artifact.
        what: Noun of what was bound: ``job``, ``checkpoint`` or ``TRAINING_RUN``.

    Raises:
        CliError: As ``signing_checks.check``.
    """
    manifest = bound.statement.predicate
    others = _also_bound(owner, manifest)
    written = signing.issue(owner, bound.statement)
    payload = write_statement(bound.statement)
    facts = {
        **written.facts(),
        "until": common.until(manifest.window),
        "artifact": written.beside(signing.beside, ".artifact.json", bound.artifact),
        "statement": written.beside(signing.beside, ".statement.json", payload),
    }
    common.report(
        f"Bound {what} {manifest.run.id} as {manifest.model.provider}/{manifest.model.id}.",
        facts,
        as_json=signing.as_json,
        model=manifest.model.id,
        base=manifest.model.base,
        provider=manifest.model.provider,
        **written.more(),
    )
    for digest in others:
        if digest != written.digest:
            common.warn(
                f"manifest {digest} of this model was signed here before: results and approvals of "
                "one do not count for the other; --supersedes replaces it"
            )
    if what != TRAINING_RUN and manifest.specification is None:
        common.warn(
            f"the {what} names no specification: its environments and envelope are what its "
            "producer says now, not what a customer declared before it began (admit job submit)"
        )


def _also_bound(owner: Home, manifest: Manifest) -> list[str]:
    """Return digests of manifests of the same model that a home signed before and that still hold.

    What a new one supersedes is left out.
    """
    at, model = common.now(), (manifest.model.provider, manifest.model.id)
    replaced = None if manifest.supersedes is None else manifest.supersedes.sha256
    known = authority.describe(owner).withdrawals
    gone = {replaced, *(entry.subject for entry in known)}
    return [
        each.digest
        for each in records.of_kind(owner.path, "manifest")
        if isinstance(each.statement.predicate, Manifest)
        and (each.statement.predicate.model.provider, each.statement.predicate.model.id) == model
        and each.statement.predicate.window.not_after > at
        and each.digest not in gone
    ]


def recorded(path: Path, reading: CorpusReading) -> Corpus:
    """Return the corpus of a run that has succeeded; warn about its irregular lines."""
    if reading.irregular:
        common.warn(f"{path}: {corpora.described(reading)}; the run succeeded with them")
    return reading.corpus


def documents(texts: list[str] | None) -> tuple[Document, ...]:
    """Hash the files of ``KIND=FILE`` options."""
    named = common.pairs(texts, "--document")
    return tuple(files.document(Path(path), kind=kind) for kind, path in named.items())


def envelope(path: Path | None, known: KnownSpecification | None) -> EvaluationEnvelope:
    """Read the evaluation envelope, or take the specification's.

    Raises:
        CliError: Neither is given.
    """
    if path is not None:
        return declared.envelope(path)
    if known is None:
        raise CliError(
            "the manifest needs an evaluation envelope: give --envelope or --specification"
        )
    return known.specification.envelope


def environments(
    path: Path | None, known: KnownSpecification | None
) -> tuple[EnvironmentSpec, ...]:
    """Read the environments, or take the specification's.

    Raises:
        CliError: Neither is given.
    """
    if path is not None:
        return declared.environments(path)
    if known is None:
        raise CliError(
            "the manifest needs its environments: give --environments or --specification"
        )
    return known.specification.environments


def specified(path: Path | None, extended: list[Path]) -> KnownSpecification | None:
    """Read a specification and those that it extends.

    Raises:
        CliError: Only extended ones are given.
    """
    if path is None:
        if extended:
            raise CliError("--extended: give the extension itself, --specification")
        return None
    known, *others = (
        KnownSpecification(handed.digest, handed.specification)
        for handed in map(manifests.read_specification, (path, *extended))
    )
    return replace(known, others=tuple(others))


def known_manifest(path: Path | None) -> KnownManifest | None:
    """Read a manifest's envelope, if a path is given."""
    if path is None:
        return None
    handed = manifests.read(path)
    return KnownManifest(handed.digest, handed.manifest)


def superseded(home: Home, text: str | None) -> KnownManifest | DigestSet | None:
    """Find a manifest by its file, or by its digest in what the home itself signed.

    Raises:
        CliError: Neither a digest nor a file, or evidence of another kind.
    """
    if text is None:
        return None
    digest = text.removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        if not Path(text).exists():
            raise CliError(
                f"--supersedes {text}: no such file, and no digest (64 hex digits, lower case)"
            )
        return known_manifest(Path(text))
    recorded = records.find(home.path, digest)
    if recorded is None:
        common.warn(
            f"{digest} is not in this home, so its model was not compared: only a manifest of the "
            "same model is superseded; give its file to compare it now"
        )
        return DigestSet(digest)
    predicate = recorded.statement.predicate
    if not isinstance(predicate, Manifest):
        raise CliError(f"--supersedes {text}: is evidence, but not a manifest")
    return KnownManifest(digest, predicate)
