"""A denial names what was signed about the call and counts for nothing now, and why."""

from __future__ import annotations

from sidecar.cli import not_counting
from sidecar.cli.not_counting import NotCounting
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import ENV, MODEL, NOW, OPERATION
from tests.support.simulator.world import World, admitted_world

CALL = Call("openai", OPERATION, (MODEL,))


def asked(world: World) -> tuple[Assessment, tuple[NotCounting, ...]]:
    assessment = world.ask()
    found = not_counting.not_counting(assessment, CALL, ENV, world.state(), NOW)
    return assessment, found


def test_an_approval_by_a_retired_key_is_named_with_the_command_that_renews_it() -> None:
    world = admitted_world()
    world.parties["regulator"].rotate()
    assessment, found = asked(world)
    assert assessment.reason is Reason.APPROVAL_MISSING
    (one,) = found
    assert (one.kind, one.authorities) == ("approval", ("regulator",))
    assert one.problem == "the key of regulator is retired or outside its window"
    assert one.remedy == "If it should count, have regulator sign it again: admit resign FILE."
    assert [str(line) for line in not_counting.lines(found)] == [
        f"not counting: approval {one.digest[:12]} by regulator: {one.problem}",
        f"→ {one.remedy}",
    ]


def test_an_admitted_call_and_one_that_nobody_signed_for_name_nothing() -> None:
    assert asked(admitted_world())[1] == ()
    world = admitted_world()
    del world.evidence["approval:regulator"]
    assessment, found = asked(world)
    assert (assessment.reason, found) == (Reason.APPROVAL_MISSING, ())


def test_more_than_a_screen_of_them_is_counted() -> None:
    one = NotCounting("approval", "ab" * 32, ("regulator",), "it ended", "Sign anew.")
    last = [str(line) for line in not_counting.lines((one,) * 10)][-1]
    assert last == "and 2 more, see --json"
