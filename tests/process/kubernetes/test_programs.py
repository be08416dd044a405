"""What `make kubernetes` builds is what the tests find."""

from __future__ import annotations

import pytest

from admissibility_devtools.tools.go_module import GoBuild
from admissibility_devtools.tools.kubernetes import BUILDS
from sidecar.opa.location import version_of
from tests.process.kubernetes.programs import program

pytestmark = pytest.mark.kubernetes


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.program.name)
def test_a_program_has_the_pinned_version(build: GoBuild) -> None:
    assert version_of(build.program, program(build.program)) == build.program.version
