"""Options of what a manifest declares beside the model, and how each of them is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import records
from sidecar.authority.open_home import Home
from sidecar.binding import declared, files
from sidecar.binding.job import Declared, KnownManifest
from sidecar.binding.specified import KnownSpecification
from sidecar.cli import common, manifests
from sidecar.cli.common import CliError, DeclarationOption
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
    Path | None, typer.Option(help="Environments in which the model may run (YAML, JSON).")
]
SpecificationOption = Annotated[
    Path | None,
    typer.Option(
        help="The specification (*.dsse.json) the job was submitted under, or an extension of it; "
        "it states environments and envelope."
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
