"""Obtains the pinned Regal, the linter of Rego, by building it with Go; only tests need it."""

from __future__ import annotations

from pathlib import Path

from admissibility_devtools.tools import pins
from admissibility_devtools.tools.find import REGAL
from admissibility_devtools.tools.go_module import GoBuild, obtain_built

_BUILD = GoBuild(
    program=REGAL,
    title="Regal",
    module=pins.REGAL_MODULE,
    digest=pins.REGAL_SUM,
    version_variable="github.com/open-policy-agent/regal/pkg/version.Version",
)


def obtain_regal(tools: Path, go: Path) -> Path:
    """Take the pinned Regal from ``tools`` or PATH, or build it.

    Args:
        tools: The folder to keep it in.
        go: The Go toolchain that builds it.

    Raises:
        ProgramError: It cannot be downloaded or built, or its digest is not the pinned one.
    """
    return obtain_built(_BUILD, tools, go)
