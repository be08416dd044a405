"""Options that name the files of a training run: what went into it, and what it measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sidecar.binding import corpora, files
from sidecar.cli import binding_options
from sidecar.cli.hashing_progress import hashing, sizes
from sidecar.core.evidence import Corpus, EvaluationOutput

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
        list[Path], typer.Option(help="A file that it was trained on (JSONL); repeatable.")
    ]
    validation: ValidationOption = None
    result_file: ResultFileOption = None

    def corpora(
        self, classes: tuple[str, ...], *, quiet: bool, name_of: NameOf = lambda _r, _a, p: p.name
    ) -> tuple[Corpus, ...]:
        """Hash and count the corpora; warn about irregular lines.

        Raises:
            BindingError: One cannot be read, or has no records.
        """
        given = (("training", self.training), ("validation", self.validation or []))
        total = sizes([path for _, paths in given for path in paths])
        with hashing("corpora", total, quiet=quiet) as advance:
            return tuple(
                binding_options.recorded(
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
