"""Runs the demo on this machine, or leaves its admitted state running."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from admissibility_devtools.demo.authorities import (
    HOSTED,
    OPEN_WEIGHTS,
    UNLISTED_BASE,
    UNLISTED_OPEN_BASE,
    Scenario,
)
from admissibility_devtools.demo.lora_story import LoraStory
from admissibility_devtools.demo.scenes import Scenes
from admissibility_devtools.demo.show import Line, StoryPrinter
from admissibility_devtools.demo.stage import Stage
from admissibility_devtools.demo.story import Story
from admissibility_devtools.tools.obtain import ensure
from sidecar.durable.files import write_atomically

HEARTBEAT_SECONDS = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Production:
    """A story, its organisations, a base model that its environments may not call, and settings."""

    scenario: Scenario
    scenes: Callable[[Stage, StoryPrinter], Scenes]
    denied: str
    settings: Mapping[str, Any] = field(default_factory=dict)


STORIES = {
    "hosted": Production(
        # A tuning job is submitted through Envoy, and so are its files.
        *(HOSTED, Story, UNLISTED_BASE),
        settings={"open_operations": ["files.create"]},
    ),
    "lora": Production(OPEN_WEIGHTS, LoraStory, UNLISTED_OPEN_BASE),
}
"""By the name that ``admit demo --story`` takes."""


def run(folder: Path, *, keep: bool, as_json: bool, story: str = "hosted") -> bool:
    """Run every scene of the demo, or only those up to the admitted state.

    Args:
        folder: Where everything is written; emptied first.
        keep: Whether to stop at the admitted state and run until interrupted.
        as_json: Whether to print every call as JSON instead of the story.
        story: Which of ``STORIES``.

    Returns:
        Whether every call ended as stated.

    Raises:
        StageError: A part did not start.
        ProgramError: OPA or Envoy cannot be had, or Envoy did not start.
    """
    # A SIGTERM must run the same clean-up as Ctrl-C: children are stopped, nothing is left over.
    # SIGINT as well: a shell starts background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    ensure()
    chosen = STORIES[story]
    settings = chosen.settings
    with Stage(folder.absolute(), settings=settings, scenario=chosen.scenario) as stage:
        printer = StoryPrinter(quiet=as_json)
        scenes = chosen.scenes(stage, printer)
        if keep:
            scenes.prepare()
            _keep(stage, scenes, chosen.denied)
        else:
            scenes.play()
        good = printer.end()
    if as_json:
        print(json.dumps([_line(line) for line in printer.lines], indent=2))
    return good


def _keep(stage: Stage, story: Scenes, denied: str) -> None:
    """Write ``demo.json``, then renew every authority's timestamp until interrupted."""
    value = stage.describe(model=story.model, denied_model=denied)
    path = stage.folder / "demo.json"
    console = Console(highlight=False)
    stop = threading.Event()
    try:
        write_atomically(path, json.dumps(value, indent=2).encode() + b"\n", mode=0o600)
        console.print(f"\n[bold green]Ready.[/] gateway {stage.gateway}, see {path}")
        console.print(
            f"Look at every part: admit doctor --config {stage.folder / 'sidecar.yaml'}"
            f" --envoy-admin {stage.envoy_admin} --gateway {stage.gateway.removesuffix('/v1')}",
            soft_wrap=True,
        )
        console.print(
            f"What is in force: admit status --config {stage.folder / 'sidecar.yaml'}",
            soft_wrap=True,
        )
        console.print("Interrupt (Ctrl-C) to stop.")
        while not stop.wait(HEARTBEAT_SECONDS):
            story.heartbeat()
    except KeyboardInterrupt:
        console.print("Stopping.")


def _line(line: Line) -> dict[str, object]:
    return {
        "tried": line.tried,
        "expected": line.expected,
        "as_stated": line.as_stated,
        "status": line.outcome.status,
        "reason": line.outcome.reason,
        "message": line.outcome.text,
        "seconds": round(line.outcome.seconds, 4),
    }
