"""What Prometheus gets of a fleet is what its signed statuses prove, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.fleet import fleet_file
from sidecar.fleet.fleet_file import PinnedGate
from sidecar.fleet.metrics import FleetMetrics
from sidecar.fleet.reading import read_fleet
from sidecar.registry.keys import open_or_create
from tests.unit.fleet.statements import publish

NAMES = ("good", "unready", "old", "forged", "silent")


def gates(folder: Path) -> tuple[PinnedGate, ...]:
    """A gate that is well, one that is not ready, and three without a current status."""
    keys = {name: open_or_create(folder / f"{name}.pem", "status key") for name in NAMES}
    publish(folder / "good", keys["good"])
    publish(folder / "unready", keys["unready"], version=6, ready=False)
    publish(folder / "old", keys["old"], version=5, time=datetime(2026, 1, 1, tzinfo=UTC))
    publish(folder / "forged", keys["good"], version=9)
    return tuple(PinnedGate(name, key.public, str(folder / name)) for name, key in keys.items())


EXPECTED = """
admissibility_fleet_current{gate="good"} 1.0
admissibility_fleet_current{gate="unready"} 1.0
admissibility_fleet_current{gate="old"} 0.0
admissibility_fleet_current{gate="forged"} 0.0
admissibility_fleet_current{gate="silent"} 0.0
admissibility_fleet_ready{gate="good"} 1.0
admissibility_fleet_ready{gate="unready"} 0.0
admissibility_fleet_ready{gate="old"} 0.0
admissibility_fleet_ready{gate="forged"} 0.0
admissibility_fleet_ready{gate="silent"} 0.0
admissibility_fleet_trust_version{authority="regulator",gate="good"} 7.0
admissibility_fleet_trust_version{authority="regulator",gate="unready"} 6.0
admissibility_fleet_trust_version{authority="regulator",gate="old"} 5.0
"""


def samples(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_only_what_a_pinned_key_signed_is_shown(tmp_path: Path) -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    shown = FleetMetrics(at, read_fleet(gates(tmp_path))).render().decode()
    first, *rest = samples(shown)
    name, value = first.split(" ")
    assert (name, float(value)) == ("admissibility_fleet_read_timestamp_seconds", at.timestamp())
    assert rest == samples(EXPECTED)


def test_the_command_writes_them_whole_beside_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet, file = tmp_path / "fleet.yaml", tmp_path / "fleet.prom"
    for gate in gates(tmp_path):
        fleet_file.pin(fleet, gate)
    file.write_text("of an earlier reading")
    assert main.run(["fleet", "--fleet", str(fleet), "--metrics", str(file)]) == 1
    assert samples(file.read_text())[1:] == samples(EXPECTED)
    assert "forged" in capsys.readouterr().out
    assert [path.name for path in tmp_path.glob("*.prom*")] == ["fleet.prom"]
