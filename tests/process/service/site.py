"""A whole installation on disk, with real repositories: what an operator would have.

The world of the simulator is moved to the present, each party gets a TUF repository of its own,
and ``sidecar.yaml`` asks for ports of the kernel's choice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from admissibility_devtools.demo.gate_process import GateProcess
from sidecar.core.grants import Grant
from tests.support.simulator.constants import ENV
from tests.support.simulator.party import Party
from tests.support.simulator.svid import Issuer
from tests.support.simulator.world import World, admitted_world, present
from tests.support.site.envoy import PATIENT_MS
from tests.support.site.forked_gate import ForkedGate
from tests.unit.trust.repository import Repository

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Site:
    """One installation below ``folder``; ``serve`` runs the real command on it."""

    folder: Path
    world: World
    issuer: Issuer
    repositories: dict[str, Repository] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "sidecar.yaml"

    @property
    def trust(self) -> Path:
        return self.folder / "trust.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "decisions.jsonl"

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def token(self) -> str:
        return self.issuer.jwt_svid(ENV, self.now)

    def write(self) -> None:
        """Write everything an operator and the authorities would have written."""
        for name, party in self.world.parties.items():
            self.repositories[name] = Repository(self.folder / "repositories" / name, name)
            self.publish(party)
            (self.folder / f"{name}.root.json").write_bytes(self.repositories[name].first_root)
        (self.folder / "evidence").mkdir()
        for number, data in enumerate(self.world.evidence.values()):
            (self.folder / "evidence" / f"{number}.dsse.json").write_bytes(data)
        self.trust.write_text(yaml.safe_dump(self._trust_yaml()))
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Write ``sidecar.yaml`` with changes."""
        self.settings |= changes
        self.config.write_text(yaml.safe_dump(self.settings))

    def publish(self, party: Party) -> None:
        """Publish what the party says now."""
        view = party.view()
        documents = {
            "authority.json": json.dumps(_authority(party)).encode(),
            "withdrawals.json": json.dumps(
                {"type": view.withdrawals.type, "entries": party.withdrawals}
            ).encode(),
        }
        self.repositories[party.name].publish(documents)

    def _trust_yaml(self) -> dict[str, Any]:
        return {
            "version": 1,
            "state": "state",
            "poll_seconds": 1,
            "evidence": ["evidence"],
            "specification": "optional",
            "authorities": [
                {
                    "name": name,
                    "root": f"{name}.root.json",
                    "source": {"directory": f"repositories/{name}"},
                    "grants": [_grant(grant) for grant in self.world.grants[name]],
                }
                for name in self.world.parties
            ],
        }

    def start(self) -> Running:
        """Run ``admit serve`` and return once it says it is ready."""
        return Running(self).start()


class Running(ForkedGate):
    """The real command on a site, in a process of its own."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.folder)
        self.site = site


def in_the_present(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], World] = admitted_world,
    **settings: Any,
) -> Site:
    """A world as of now, in ``folder``, with everybody's files written."""
    now = present(monkeypatch)
    world, issuer = make(), Issuer()
    world.parties["customer"].trust_domains = [issuer.document(now)]
    site = Site(folder, world, issuer)
    site.settings = GateProcess.settings(ROOT / "policies", deadline_ms=PATIENT_MS, **settings)
    site.write()
    return site


def _authority(party: Party) -> dict[str, Any]:
    return {
        "type": "urn:admissibility:authority:v1",
        "name": party.name,
        "keys": [
            {
                "pem": key.pem,
                "window": party.key_window,
                "predicateTypes": list(party.predicate_types),
                "status": "retired" if key in party.retired else "active",
            }
            for key in (party.key, *party.retired)
        ],
        "trustDomains": party.trust_domains,
    }


def _grant(grant: Grant) -> dict[str, Any]:
    value: dict[str, Any] = {
        "role": grant.role,
        "jurisdictions": list(grant.jurisdictions),
        "sectors": list(grant.sectors),
        "models": list(grant.models),
        "environments": list(grant.environments),
    }
    if grant.base_models:
        value["base_models"] = list(grant.base_models)
    if grant.trust_domains:
        value["trust_domains"] = list(grant.trust_domains)
    return value
