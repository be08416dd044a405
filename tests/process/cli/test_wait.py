"""``withdraw --wait`` publishes first, and then names the gates that have it not in force."""

from __future__ import annotations

import json
from pathlib import Path

from sidecar.authority.home import load
from sidecar.authority.withdrawing import edition_with
from sidecar.fleet import fleet_file
from sidecar.fleet.fleet_file import PinnedGate
from sidecar.registry.keys import open_or_create
from tests.process.cli.admit import admit, told
from tests.process.cli.parties import Parties
from tests.unit.fleet.statements import publish


def test_the_exit_status_says_whether_every_gate_has_it(parties: Parties, tmp_path: Path) -> None:
    fleet, home = tmp_path / "fleet.yaml", str(parties.home("eu-regulator"))
    ours = open_or_create(tmp_path / "one.pem")
    version = told("withdraw", "run", "job-1", "--reason", "r", ADMIT_HOME=home)["version"]
    digest = edition_with(load(Path(home)), ())
    assert digest is not None
    status, next_version = tmp_path / "one.json", int(version) + 1
    publish(status, ours, "eu-regulator", next_version, digest)
    fleet_file.pin(fleet, PinnedGate("one", ours.public, str(tmp_path / "one.json")))
    wait = ("--reason", "r", "--wait", "--timeout", "0", "--fleet", fleet)
    done = told("withdraw", "run", "job-1", *wait, ADMIT_HOME=home)
    assert [(each["name"], each["in_force"]) for each in done["fleet"]] == [("one", True)]

    # A gate that follows the repository from before this one, whose versions are higher.
    publish(status, ours, "eu-regulator", 500, "0e" * 32)
    other = admit("withdraw", "run", "job-1", *wait, code=1, ADMIT_HOME=home)
    assert "has other withdrawals of eu-regulator than are published" in other.stdout.decode()
    publish(status, ours, "eu-regulator", next_version, digest)

    late = admit("withdraw", "run", "job-2", *wait, code=1, ADMIT_HOME=home)
    assert "one   NO" in late.stdout.decode()
    assert late.stderr.decode().endswith("! not in force yet: one\n")

    fleet.unlink()
    unread = admit("withdraw", "run", "job-3", *wait, "--json", code=2, ADMIT_HOME=home)
    assert json.loads(unread.stdout)["fleet"] is None
    assert "published, but the fleet cannot be read: " in unread.stderr.decode()
    admit("withdraw", "run", "job-3", "--reinstate", ADMIT_HOME=home)
