"""``admit demo``: the whole story, or (``--keep``) its admitted state left running."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli.extras import missing_extra


class StoryName(Enum):
    """Stories of the demo."""

    HOSTED = "hosted"
    LORA = "lora"


StoryOption = Annotated[
    StoryName,
    typer.Option(help="A fine-tuning job of OpenAI, or a LoRA adapter behind a server of its own."),
]
Keep = Annotated[
    bool, typer.Option("--keep", help="Stop at the admitted state and run until interrupted.")
]
Folder = Annotated[
    Path, typer.Option("--folder", help="Folder of all the demo's files; emptied first.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print every call as JSON instead.")]


def demo(
    story: StoryOption = StoryName.HOSTED,
    keep: Keep = False,
    folder: Folder = Path(".demo"),
    as_json: AsJson = False,
) -> None:
    """Run the demo with real Envoy, OPA, keys and repositories on this machine.

    Exit status 0 only if every call ended as stated.

    Examples:
        admit demo
        admit demo --story lora --folder /tmp/lora
    """
    try:
        from admissibility_devtools.demo.run import run  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise missing_extra("admit demo", "demo", error) from error
    good = run(folder, keep=keep, as_json=as_json, story=story.value)
    raise typer.Exit(0 if good else 1)
