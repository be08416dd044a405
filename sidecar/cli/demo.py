"""``admit demo``: the whole story, or (``--keep``) its admitted state left running."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli.extras import missing_extra

Keep = Annotated[
    bool, typer.Option("--keep", help="Stop at the admitted state and run until interrupted.")
]
Folder = Annotated[Path, typer.Option("--folder", help="Where everything lives; emptied first.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print every call as JSON instead.")]


def demo(keep: Keep = False, folder: Folder = Path(".demo"), as_json: AsJson = False) -> None:
    """Run the demo with real Envoy, OPA, keys and repositories on this machine.

    Exit status 0 only if every call ended as stated.
    """
    try:
        from admissibility_devtools.demo.run import run  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise missing_extra("admit demo", "demo", error) from error
    raise typer.Exit(0 if run(folder, keep=keep, as_json=as_json) else 1)
