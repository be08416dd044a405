"""Obtains the programs that read `deploy/` in a cluster, by building them with Go.

Only ``make kubernetes`` needs them. One that cannot be built is named with the reason, and the
tests that run it are skipped.
"""

from __future__ import annotations

import sys
from pathlib import Path

from admissibility_devtools.tools import pins
from admissibility_devtools.tools.find import EGCTL, HELM
from admissibility_devtools.tools.go_module import GoBuild, obtain_built
from sidecar.opa.errors import ProgramError

BUILDS: tuple[GoBuild, ...] = (
    GoBuild(
        program=HELM,
        title="Helm",
        module=pins.HELM_MODULE,
        digest=pins.HELM_SUM,
        package="./cmd/helm",
        version_variable="helm.sh/helm/v3/internal/version.version",
        minutes="about three minutes",
    ),
    GoBuild(
        program=EGCTL,
        title="egctl of Envoy Gateway",
        module=pins.EGCTL_MODULE,
        digest=pins.EGCTL_SUM,
        package="./cmd/egctl",
        version_variable="github.com/envoyproxy/gateway/internal/cmd/version.envoyGatewayVersion",
        minutes="about ten minutes",
    ),
)


def obtain_kubernetes(tools: Path, go: Path) -> int:
    """Obtain each program of `BUILDS`; print its path, or why there is none.

    Args:
        tools: The folder to keep them in.
        go: The Go toolchain that builds them.

    Returns:
        0, also where one cannot be had.
    """
    for build in BUILDS:
        name = build.program.name
        try:
            sys.stdout.write(f"{name:16} {obtain_built(build, tools, go)}\n")
        except ProgramError as error:
            sys.stderr.write(f"tools: no {name}, its tests are skipped: {error}\n")
    return 0
