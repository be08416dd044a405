"""Names the programs that the demo and the tests run beside OPA, such as Envoy, Node and Go.

``locate`` finds each at its pinned version, and Go is found by ``go_path``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from admissibility_devtools.tools import pins
from admissibility_devtools.tools.places import tools_folder
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import Program

_READERS = "make unit"
_KUBERNETES = "make kubernetes"

ENVOY = Program(
    "envoy", pins.ENVOY, "ADMIT_ENVOY", ("--version",), r"version: [0-9a-f]+/([^/\s]+)/"
)
NODE = Program("node", pins.NODE, "ADMIT_NODE", ("--version",), r"^v(\S+)$", _READERS)
REGAL = Program("regal", pins.REGAL, "ADMIT_REGAL", ("version",), r"^Version:\s+(\S+)$", _READERS)
NATS = Program(
    "nats-server",
    pins.NATS,
    "ADMIT_NATS_SERVER",
    ("--version",),
    r"^nats-server: v(\S+)$",
    _READERS,
)
HELM = Program(
    "helm", pins.HELM, "ADMIT_HELM", ("version", "--short"), r"^v?([0-9.]+)", _KUBERNETES
)
EGCTL = Program(
    "egctl",
    pins.EGCTL,
    "ADMIT_EGCTL",
    ("version", "--remote=false"),
    r"^v?([0-9][0-9.]*)$",
    _KUBERNETES,
)


def go_path() -> Path:
    """Return the path of Go: any version on PATH, else the pinned one; only builds need it.

    Raises:
        ProgramError: It is not found.
    """
    on_path = shutil.which("go")
    local = pinned_go(tools_folder())
    if on_path is None and not local.exists():
        raise ProgramError(f"go is not here; run `{_READERS}`, or install Go ≥ 1.26")
    return local if on_path is None else Path(on_path)


def pinned_go(tools: Path) -> Path:
    """Return where the pinned Go is kept, whether it exists or not."""
    return tools / f"go-{pins.GO}" / "go" / "bin" / "go"
