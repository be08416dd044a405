"""Options that name the files of a training run: what went into it, and what it measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sidecar.binding import corpora, files, slsa
from sidecar.binding.corpora import CorpusReading
from sidecar.binding.slsa import Provenance
from sidecar.cli import common
from sidecar.cli.common import CliError
from sidecar.cli.hashing_progress import hashing, sizes
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import Corpus, EvaluationOutput

ValidationOption = Annotated[
    list[Path] | None, typer.Option(help="A validation file (JSONL); repeatable.")
]
ResultFileOption = Annotated[
    list[Path] | None, typer.Option(help="A metrics file (CSV) of the run; repeatable.")
]
NameOf = Callable[[str, list[Path], Path], str]
"""Role, every file of that role, and one of them → the file's name in the manifest."""


@dataclass(frozen=True, slots=True)
class RunFileOptions:
    """Options of a run's files; an option group."""

    training: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file that it was trained on (JSONL); repeatable. Needed without --from-slsa."
        ),
    ] = None
    validation: ValidationOption = None
    result_file: ResultFileOption = None
    from_slsa: Annotated[
        Path | None,
        typer.Option(
            help="Signed SLSA provenance v1 (DSSE) of the run, which states its corpora; files "
            "given beside it must match."
        ),
    ] = None
    slsa_key: Annotated[
        Path | None, typer.Option(help="PEM public key that must have signed the provenance.")
    ] = None
    slsa_builder: Annotated[
        str | None, typer.Option(help="The builder's id that the provenance must have.")
    ] = None

    def provenance(self, classes: tuple[str, ...]) -> Provenance | None:
        """Verify and read the provenance, if one is given.

        Raises:
            CliError: It is given without key or builder, or they without it.
            BindingError: As ``slsa.read``.
        """
        if self.from_slsa is None or self.slsa_key is None or self.slsa_builder is None:
            if (self.from_slsa, self.slsa_key, self.slsa_builder) == (None, None, None):
                return None
            raise CliError("--from-slsa, --slsa-key and --slsa-builder: give all three, or none")
        key = PublicKey.from_pem(common.read(self.slsa_key).decode("ascii", errors="replace"))
        return slsa.read(common.read(self.from_slsa), key, self.slsa_builder, classes)

    def corpora_of(
        self,
        found: Provenance | None,
        classes: tuple[str, ...],
        *,
        quiet: bool,
        name_of: NameOf = lambda _r, _a, p: p.name,
    ) -> tuple[Corpus, ...]:
        """Return the corpora of files and provenance, which must agree if both are given.

        Raises:
            CliError: Neither is given.
            BindingError: As ``corpora``, or they do not agree.
        """
        if found is None and not self.training:
            raise CliError("what was it trained on? give --training, or --from-slsa")
        given = self.corpora(classes, quiet=quiet, name_of=name_of)
        if found is None:
            return given
        if given:
            slsa.check_corpora(found, given)
        return given or found.corpora

    def corpora(
        self, classes: tuple[str, ...], *, quiet: bool, name_of: NameOf = lambda _r, _a, p: p.name
    ) -> tuple[Corpus, ...]:
        """Hash and count the corpora; warn about irregular lines.

        Raises:
            BindingError: One cannot be read, or has no records.
        """
        given = (("training", self.training or []), ("validation", self.validation or []))
        total = sizes([path for _, paths in given for path in paths])
        with hashing("corpora", total, quiet=quiet) as advance:
            return tuple(
                recorded(
                    path,
                    corpora.read_corpus(
                        path,
                        role=role,
                        name=name_of(role, paths, path),
                        classes=classes,
                        progress=advance,
                    ),
                )
                for role, paths in given
                for path in paths
            )

    def outputs(self) -> tuple[EvaluationOutput, ...]:
        """Hash the metrics files.

        Raises:
            BindingError: One is no CSV of numbers.
        """
        return outputs(self.result_file)


def outputs(paths: list[Path] | None) -> tuple[EvaluationOutput, ...]:
    """Hash metrics files that have no name but their own."""
    return tuple(files.run_output(path, name=path.name) for path in paths or ())


def recorded(path: Path, reading: CorpusReading) -> Corpus:
    """Return the corpus of a run that has succeeded; warn about its irregular lines."""
    if reading.irregular:
        common.warn(f"{path}: {corpora.described(reading)}; the run succeeded with them")
    return reading.corpus
