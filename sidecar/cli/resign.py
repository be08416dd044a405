"""``admit resign``: renew this authority's signature on evidence, under the same digest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.authority.resigning import Resigned, ResignOutcome
from sidecar.cli import common
from sidecar.cli.common import CliError, HomeOption, JsonOption

NOT_SIGNED = 3
"""Exit code where a file that was named, or that a key of this authority signed, was left out."""


def resign(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Envelopes (*.dsse.json), or folders of them.", show_default=False),
    ],
    home: HomeOption,
    unrecorded: Annotated[
        bool,
        typer.Option(
            "--unrecorded",
            help="Also sign evidence that this home has no record of. Inspect each file first: a "
            "thief of the old key could have made it.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign evidence again with the current attestation key, after a rotation.

    The payload, its digest and everybody else's signatures stay. What was withdrawn or has ended is
    left as it is.

    Examples:
        admit resign evidence --home eu-regulator
    """
    named = {path for path in paths if not path.is_dir()}
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise CliError(f"no *.json below {', '.join(map(str, paths))}")
    done = authority.resign(authority.load(home), files, common.now(), unrecorded=unrecorded)
    signed = [one for one in done if one.outcome is ResignOutcome.SIGNED]
    left = [one for one in done if _left_out(one, named)]
    common.report(
        f"Re-signed {len(signed)} of {len(done)} files.",
        {} if as_json else {str(one.path): one.outcome for one in done if _shown(one, named)},
        as_json=as_json,
        files=[{"file": str(o.path), "outcome": o.outcome, "digest": o.digest} for o in done],
    )
    for one in left:
        common.warn(f"{one.path}: not signed: {one.outcome}")
    if left:
        raise typer.Exit(NOT_SIGNED)


def _files(path: Path) -> list[Path]:
    """Return the files below a folder, in order, without hidden (temporary) ones."""
    if not path.is_dir():
        return [path]
    return [file for file in sorted(path.rglob("*.json")) if not file.name.startswith(".")]


def _left_out(one: Resigned, named: set[Path]) -> bool:
    if one.outcome is ResignOutcome.UNRECORDED:
        return True
    return one.path in named and one.outcome not in {ResignOutcome.SIGNED, ResignOutcome.CURRENT}


def _shown(one: Resigned, named: set[Path]) -> bool:
    return one.path in named or one.outcome not in {
        ResignOutcome.FOREIGN,
        ResignOutcome.NO_EVIDENCE,
    }
