"""What an authority withdraws and takes back is logged once, with its author."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sidecar.service.trust_log import MAX_LINES, TrustLog
from tests.support.simulator.world import World, admitted_world

WHY = "shown to be unfit, effective 2026-05-31T12:00:00Z"


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    caplog.clear()
    return found


def test_a_withdrawal_is_logged_when_it_comes_and_when_it_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "sidecar.trust")
    world, log = admitted_world(), TrustLog()
    regulator = world.parties["regulator"]
    regulator.withdraw("model", "openai/old")
    log.publish(world.state())
    assert logged(caplog) == [("INFO", "regulator: 1 withdrawals in force")]
    log.publish(world.state())
    assert logged(caplog) == []

    regulator.withdraw("model", "openai/m")
    log.publish(world.state())
    assert logged(caplog) == [
        (
            "WARNING",
            f"regulator withdrew model openai/m: {WHY}",
        )
    ]
    del regulator.withdrawals[0]
    log.publish(world.state())
    assert logged(caplog) == [
        (
            "WARNING",
            f"regulator took back model openai/old: {WHY}",
        )
    ]


def test_a_flood_of_withdrawals_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "sidecar.trust")
    world, log = admitted_world(), TrustLog()
    log.publish(world.state())
    flood(world, MAX_LINES + 5)
    log.publish(world.state())
    found = logged(caplog)
    assert (len(found), found[-1]) == (MAX_LINES + 1, ("WARNING", "regulator withdrew 5 more"))


def flood(world: World, count: int) -> None:
    for number in range(count):
        world.parties["regulator"].withdraw("model", f"openai/{number}")


def test_a_new_withdrawal_is_news_also_where_another_is_taken_back_in_its_place() -> None:
    """The number of withdrawals is the same before and after."""
    world, log = admitted_world(), TrustLog()
    regulator = world.parties["regulator"]
    regulator.withdraw("model", "openai/old")
    log.publish(world.state())
    started = dict(log.withdrew)

    del regulator.withdrawals[0]
    log.publish(world.state())
    taken_back = dict(log.withdrew)

    regulator.withdraw("model", "openai/old")
    log.publish(world.state())
    del regulator.withdrawals[0]
    regulator.withdraw("model", "openai/m")
    before = datetime.now(UTC)
    log.publish(world.state())
    assert (started, taken_back, list(log.withdrew)) == ({}, {}, ["regulator"])
    assert log.withdrew["regulator"] >= before
