"""An operator's ``trust.yaml`` over real repositories, below one folder."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Event
from typing import Any

import yaml

from sidecar.core.predicates import MANIFEST
from sidecar.core.snapshot import TrustState
from sidecar.trust.config import TrustConfig, load
from sidecar.trust.control import ControlPath
from tests.support.simulator.constants import MODEL
from tests.support.simulator.keys import SimKey, envelope
from tests.support.simulator.predicates import manifest_predicate, sha, statement
from tests.unit.trust.repository import Repository

EVERYWHERE = {
    "jurisdictions": ["**"],
    "sectors": ["**"],
    "models": ["**"],
    "environments": ["**"],
}
ONE = {"acme": 1, "maker": 1, "office": 1}
"""The versions after everybody's first publication."""

GRANTS: dict[str, dict[str, Any]] = {
    "acme": {"role": "customer", **EVERYWHERE, "trust_domains": ["acme.example"]},
    "maker": {"role": "provider", **EVERYWHERE, "base_models": ["openai/**"], "of_record": True},
    "office": {"role": "regulator", **EVERYWHERE},
}


@dataclass
class Operator:
    """``trust.yaml`` as a value, ready to be changed and written; and its authorities."""

    folder: Path
    repositories: dict[str, Repository] = field(default_factory=dict)
    value: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "evidence").mkdir(parents=True)
        (self.folder / "roots").mkdir()
        for name in GRANTS:
            repo = Repository(self.folder / "authorities" / name, name)
            (self.folder / f"roots/{name}.json").write_bytes(repo.first_root)
            self.repositories[name] = repo
        self.value = {
            "version": 1,
            "state": "state",
            "poll_seconds": 0.2,
            "evidence": ["evidence"],
            "specification": "optional",
            "authorities": [
                {
                    "name": name,
                    "root": f"roots/{name}.json",
                    "source": {"directory": f"authorities/{name}"},
                    "grants": [copy.deepcopy(grant)],
                }
                for name, grant in GRANTS.items()
            ],
        }

    @property
    def path(self) -> Path:
        return self.folder / "trust.yaml"

    def load(self) -> TrustConfig:
        self.path.write_text(yaml.safe_dump(self.value))
        return load(self.path)


@dataclass
class Published:
    """Collects what a control path publishes, and waits for what should come."""

    states: list[TrustState] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)

    def __call__(self, state: TrustState) -> None:
        with self.changed:
            self.states.append(state)
            self.changed.notify_all()

    @property
    def last(self) -> TrustState:
        return self.states[-1]

    def versions(self) -> dict[str, int]:
        """Authority → version of its timestamp, in the newest state."""
        if not self.states:
            return {}
        return {name: view.version for name, view in self.last.authorities.items()}

    def wait(self, versions: dict[str, int]) -> None:
        """Wait for a state with these versions; a minute is for ever."""
        with self.changed:
            self.changed.wait_for(lambda: self.versions() == versions, 60)
            assert self.versions() == versions

    def wait_manifests(self, *digests: str) -> None:
        """Wait for a state with exactly these manifests."""
        with self.changed:
            self.changed.wait_for(
                lambda: bool(self.states) and {*self.last.manifests_by_digest} == {*digests}, 60
            )
            assert {*self.last.manifests_by_digest} == {*digests}


@contextmanager
def running(config: TrustConfig) -> Iterator[tuple[ControlPath, Published]]:
    """A control path that follows until the block ends."""
    published = Published()
    control = ControlPath(config, published)
    control.start()
    try:
        yield control, published
    finally:
        control.stop()


def signed_manifest(key: SimKey, model: str = MODEL) -> tuple[bytes, str]:
    """A manifest's envelope and its payload digest."""
    payload = statement(MANIFEST, model, sha("job"), manifest_predicate(model))
    return envelope(payload, key), hashlib.sha256(payload).hexdigest()


def wait_refused(control: ControlPath, count: int) -> None:
    """Wait until so many files of evidence are refused; a minute is for ever."""
    waiting = Event()
    for _ in range(6000):
        if len(control.evidence().report.rejected) == count:
            return
        waiting.wait(0.01)
    assert len(control.evidence().report.rejected) == count


def first_refresh(control: ControlPath) -> None:
    """Wait until the first refresh is done; a minute is for ever."""
    waiting = Event()
    for _ in range(6000):
        if control.first_refresh_done():
            return
        waiting.wait(0.01)
    raise AssertionError("the first refresh never ended")
