"""An assessment's reason is that of the first step that failed, and only none admits."""

from __future__ import annotations

from sidecar.core.assessment import STEPS
from sidecar.core.reasons import Reason
from tests.support.simulator.world import admitted_world


def test_an_admissible_assessment_has_every_step_and_no_failed_one() -> None:
    found = admitted_world().ask()
    assert (found.admissible, found.failed, found.reason) == (True, None, None)
    assert {finding.step for finding in found.findings} == set(range(len(STEPS)))


def test_the_first_failed_step_gives_the_reason_and_later_ones_are_still_told() -> None:
    world = admitted_world()
    del world.evidence["result"], world.evidence["approval:regulator"]
    found = world.ask()
    failed = [finding.reason for finding in found.findings if not finding.holds]
    assert (found.admissible, found.reason) == (False, Reason.PREACTIVATION_MISSING)
    assert failed[:2] == [Reason.PREACTIVATION_MISSING, Reason.APPROVAL_MISSING]
