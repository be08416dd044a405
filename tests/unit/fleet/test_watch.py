"""Statuses that are read again and again: a gate that hangs holds up no other."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from sidecar.fleet.fleet_file import PinnedGate
from sidecar.fleet.reading import GateReading
from sidecar.fleet.watch import FleetWatch
from sidecar.registry.keys import open_or_create
from tests.unit.fleet.statements import statement


class Gates:
    """Two gates: one answers at once; the other one has no status, and hangs from then on."""

    def __init__(self, folder: Path) -> None:
        self.key = open_or_create(folder / "key.pem").public
        self.hangs = PinnedGate("hangs", self.key, "http://127.0.0.1:1")
        self.answers = PinnedGate("answers", self.key, "http://127.0.0.1:2")
        self.asked = Counter[str]()
        self.released = Event()

    def read(self, gate: PinnedGate) -> GateReading:
        self.asked[gate.name] += 1
        if gate is self.answers:
            return GateReading(gate, datetime.now(UTC), statement(self.key))
        if self.asked[gate.name] > 1:
            self.released.wait(60)
        return GateReading(gate, datetime.now(UTC), None, "no answer")


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    return Gates(tmp_path)


def test_a_gate_that_hangs_holds_up_no_other(gates: Gates) -> None:
    both = (gates.hangs, gates.answers)
    with FleetWatch(both, read=gates.read, again_seconds=0.0, askers=1) as watch:
        found = [each for _ in range(40) for each in watch.read(0.01)]
        gates.released.set()
    named = Counter(each.gate.name for each in found)
    assert named["hangs"] == 1
    assert named["answers"] > 3


def test_a_gate_that_is_left_is_asked_no_more(gates: Gates) -> None:
    with FleetWatch([gates.answers], read=gates.read, again_seconds=0.0) as watch:
        (found,) = watch.read(20)
        watch.leave(found.gate)
        assert watch.read(0.01) == []
    assert gates.asked == {"answers": 1}


def test_each_gate_rests_between_two_readings(gates: Gates) -> None:
    with FleetWatch([gates.answers], read=gates.read, again_seconds=60) as watch:
        assert [len(watch.read(0.02)) for _ in range(3)] == [1, 0, 0]
