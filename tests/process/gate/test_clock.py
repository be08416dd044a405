"""A clock that was moved brings nothing back: it is not believed until it is right again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from sidecar.gate.clock import SETTLE_SECONDS, SKEW_SECONDS, Clock, Reading
from tests.support.gate.bench import Stuck, reason_of, running
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import NOW

START = 1_800_000_000.0
BOOT = 500.0
HOUR = 3600.0


@dataclass
class Hands:
    """Both clocks of a machine, moved by hand."""

    wall: float = START
    boot: float = BOOT

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds

    def clock(self, latest: float = 0.0) -> Clock:
        return Clock(latest, lambda: self.wall, lambda: self.boot)


def at(wall: float) -> datetime:
    return datetime.fromtimestamp(wall, UTC)


def test_a_clock_that_only_goes_on_is_believed() -> None:
    hands = Hands()
    clock = hands.clock()
    for _ in range(100):
        hands.pass_(977.0)
        assert clock.read() == Reading(at(hands.wall))
    assert clock.latest == hands.wall


def test_a_clock_that_was_years_ahead_is_relied_on_again_once_it_is_right() -> None:
    """While it was, all trust metadata had expired: such a time admits nothing, and is not kept."""
    hands = Hands()
    clock = hands.clock()
    clock.bound = START + HOUR
    hands.pass_(10)
    clock.read()
    hands.wall += 3 * 365 * 24 * HOUR
    settled(hands, clock)
    assert clock.latest == START + 10
    hands.wall -= 3 * 365 * 24 * HOUR
    settled(hands, clock)
    # A time that metadata reaches is kept, as before.
    hands.wall = clock.bound - 100
    settled(hands, clock)
    assert clock.latest == hands.wall
    hands.wall = START + 100
    assert "behind" in clock.read().problem


def test_a_gate_that_starts_years_ahead_keeps_no_such_time() -> None:
    hands = Hands(wall=START + 3 * 365 * 24 * HOUR)
    clock = Clock(START, lambda: hands.wall, lambda: hands.boot, bound=0.0)
    assert (clock.read().problem, clock.latest) == ("", START)
    clock.bound = START + HOUR
    assert (clock.read().problem, clock.latest) == ("", START)


def settled(hands: Hands, clock: Clock) -> None:
    """After a jump, wait until both clocks have agreed for long enough."""
    assert clock.read().problem != ""
    for _ in range(3):
        hands.pass_(SETTLE_SECONDS / 3)
        reading = clock.read()
    assert reading.problem == ""


@pytest.mark.parametrize("jump", [SKEW_SECONDS + 1, 30 * 24 * HOUR, -SKEW_SECONDS - 1, -HOUR])
def test_a_jump_is_refused_until_it_is_undone(jump: float) -> None:
    hands = Hands()
    clock = hands.clock()
    hands.pass_(10)
    believed = clock.read().at.timestamp()
    hands.wall += jump
    for _ in range(3):
        hands.pass_(SETTLE_SECONDS / 3 if jump > 0 else 1)
        assert clock.read().problem != ""
    assert clock.latest == believed
    hands.wall -= jump
    assert clock.read() == Reading(at(hands.wall))


def test_case_15_a_machine_that_was_paused_is_relied_on_again_when_its_clocks_agree() -> None:
    """A hypervisor stops both clocks; then NTP sets the wall clock right, perhaps in two steps."""
    hands = Hands()
    clock = hands.clock()
    hands.pass_(10)
    assert clock.read().problem == ""
    hands.wall += HOUR
    assert clock.read().problem == (
        "the clock has jumped by +3600 s against the time since boot; "
        "it is relied on again after 30 s without another jump"
    )
    hands.pass_(SETTLE_SECONDS - 1)
    assert clock.read().problem.endswith("after 1 s without another jump")
    hands.wall += 2
    assert clock.read().problem.endswith("after 30 s without another jump")
    hands.pass_(SETTLE_SECONDS - 1)
    assert clock.read().problem != ""
    hands.pass_(1)
    assert clock.read() == Reading(at(hands.wall))
    hands.pass_(HOUR)
    assert clock.read() == Reading(at(hands.wall))
    assert clock.latest == hands.wall


def test_a_clock_that_goes_on_jumping_is_never_relied_on() -> None:
    hands = Hands()
    clock = hands.clock()
    for _ in range(20):
        hands.wall += SKEW_SECONDS + 1
        hands.pass_(SETTLE_SECONDS / 2)
        assert clock.read().problem != ""


def test_a_clock_that_was_set_back_is_relied_on_only_past_what_it_was_relied_on_for() -> None:
    """Going on evenly is not enough: what ended before the jump would come back."""
    hands = Hands()
    clock = hands.clock()
    hands.pass_(10)
    relied_on = clock.read().at.timestamp()
    hands.wall -= HOUR
    for _ in range(3599 - int(SKEW_SECONDS)):
        hands.pass_(1)
        assert clock.read().problem.startswith("the clock is behind ")
    hands.pass_(2)
    assert clock.read().problem.startswith("the clock has jumped by -3600 s")
    hands.pass_(SETTLE_SECONDS)
    assert clock.read().problem == ""
    assert clock.latest == hands.wall > relied_on - SKEW_SECONDS


def test_a_correction_within_the_skew_is_believed() -> None:
    hands = Hands()
    clock = hands.clock()
    for correction in (SKEW_SECONDS, -SKEW_SECONDS):
        hands.pass_(2 * HOUR)
        clock.read()
        hands.wall += correction
        assert clock.read().problem == ""


def test_a_slewed_clock_drifts_for_weeks_and_is_believed() -> None:
    hands = Hands()
    clock = hands.clock()
    for _ in range(24 * 60):
        hands.pass_(HOUR / 2)
        hands.wall += HOUR / 2 * 500e-6
        assert clock.read().problem == ""


def test_a_machine_that_slept_is_believed() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.pass_(9 * HOUR)
    assert clock.read().problem == ""


def test_a_clock_set_back_before_a_start_is_seen() -> None:
    hands = Hands()
    clock = hands.clock(latest=START + HOUR)
    assert clock.read().problem == (
        "the clock is behind 2027-01-15T09:00:00Z, a time that was already relied on;"
        " correct the machine's clock"
    )
    hands.pass_(10)
    assert (clock.latest, clock.read().problem != "") == (START + HOUR, True)
    hands.wall = START + HOUR + 10
    assert clock.read() == Reading(at(hands.wall))


def test_a_start_after_the_latest_time_seen_is_relied_on() -> None:
    hands = Hands()
    assert hands.clock(latest=START - HOUR).read() == Reading(at(START))


def test_nothing_is_decided_by_a_clock_that_is_not_believed() -> None:
    async def story() -> str:
        engine = Stuck()
        async with running(engine, clock=lambda: Reading(NOW, "it jumped")) as gate:
            return reason_of(await gate.ask(as_check_request(credential="x")))

    assert asyncio.run(story()) == "clock_unreliable"
