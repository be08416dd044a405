"""Two real gates prove when a withdrawal is in force, and one that ended is named."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from sidecar.cli.fleet import wait_in_force
from sidecar.cli.main import app
from sidecar.fleet import fleet_file
from sidecar.fleet.reading import PublishedEdition, read_fleet, read_gate
from tests.process.service.site import Site
from tests.support.simulator.constants import MODEL
from tests.support.site.forked_gate import ForkedGate
from tests.support.site.talk import until


def second(site: Site, folder: Path) -> ForkedGate:
    """A further gate on the same authorities and evidence, with a state folder of its own."""
    folder.mkdir()
    trust = yaml.safe_load(site.trust.read_text())
    for entry in trust["authorities"]:
        entry["root"] = str(site.folder / entry["root"])
        entry["source"]["directory"] = str(site.folder / entry["source"]["directory"])
    trust["evidence"] = [str(site.folder / "evidence")]
    (folder / "trust.yaml").write_text(yaml.safe_dump(trust))
    gate = ForkedGate(folder)
    gate.configure({**site.settings, "status_folder": str(site.folder / "statuses")})
    return gate


def admit(*arguments: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(each) for each in (*arguments, "--json")])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_the_fleet_proves_what_is_in_force_and_names_a_gate_that_ended(site: Site) -> None:
    statuses, fleet = site.folder / "statuses", site.folder / "fleet.yaml"
    statuses.mkdir()
    other = second(site, site.folder / "second")
    with site.start() as first, other.start():
        admit("fleet", "--fleet", fleet, "--pin", f"one={first.metrics}/status/signed")
        (published,) = statuses.glob("*.json")  # not what is just being written beside it
        admit("fleet", "--fleet", fleet, "--pin", f"two={published}")
        gates = fleet_file.load(fleet)
        until(
            lambda: [bool(e.statement and e.statement.ready) for e in read_fleet(gates)], [True] * 2
        )
        found = admit("fleet", "--fleet", fleet)
        assert [(each["name"], each["proven"], each["problem"]) for each in found] == [
            ("one", True, None),
            ("two", False, None),
        ]
        asked = gates[0]
        statement = read_gate(asked).statement
        assert statement is not None
        held = statement.of("regulator")
        assert held is not None
        wanted = held.version + 1
        regulator = site.world.parties["regulator"]

        def digest() -> str:
            document = {"type": regulator.view().withdrawals.type, "entries": regulator.withdrawals}
            return hashlib.sha256(json.dumps(document).encode()).hexdigest()

        before = wait_in_force(fleet, "regulator", wanted, digest, 0, quiet=True)
        assert [each["in_force"] for each in before] == [False, False]
        entry = {"kind": "model", "subject": f"openai/{MODEL}", "reason": "new findings"}
        site.world.parties["regulator"].withdrawals.append(entry)
        site.publish(site.world.parties["regulator"])
        done = wait_in_force(fleet, "regulator", wanted, digest, 30, quiet=True)
        assert [each["in_force"] for each in done] == [True, True]
        first.stop()
        (gone, _) = admit("fleet", "--fleet", fleet, code=1)
        assert gone["problem"] == "no answer (ConnectionError)"
        # Started again, it signs with the same key, and its state folder has the version.
        first.start()
        again = read_gate(replace(asked, status=f"{first.metrics}/status/signed"))
        assert again.proven
        assert again.in_force(PublishedEdition("regulator", wanted, frozenset({digest()})))
