"""``admit simulate`` answers as a gate does that reads the same things from real sources.

Each history is played twice: in memory, and over TUF repositories and a folder of evidence that a
gate's own control path follows, through its store and with its threads. After each step both are
asked every question, at the history's time; step, reason and message must be alike. What a gate
does besides is not part of a history: credentials, extraction and policies.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.core.documents import AuthorityDocument, WithdrawalsDocument
from sidecar.core.snapshot import TrustState
from sidecar.core.wire import write
from sidecar.simulate import history_file
from sidecar.simulate.acts import take
from sidecar.simulate.entries import Declare
from sidecar.simulate.history_file import History, Step
from sidecar.simulate.party import Party
from sidecar.simulate.statements import declared
from sidecar.simulate.world import STEP, World
from sidecar.trust.config import TrustConfig
from sidecar.trust.control import ControlPath
from sidecar.trust.source_config import DirectorySourceConfig
from tests.unit.simulate.pages import HISTORIES
from tests.unit.trust.operator import Published, first_refresh
from tests.unit.trust.repository import ROLES, Repository

PATIENCE_SECONDS = 60.0
EVERYTHING = """
title: What the laws do not play
authorities:
  openai: {role: provider, base-models: ["openai/gpt-*"]}
  acme: {role: customer}
  acme-ml: {role: producer}
  lab: {role: evaluator}
  regulator: {role: regulator, jurisdictions: [eu, uk]}
  auditor: {role: auditor, silence: ignored}
environments:
  prod: {by: acme, jurisdictions: [eu], base-models: ["openai/gpt-*"]}
setup:
  - bind: {by: acme-ml, manifest: support}
  - all-agree: support
  - deploy: {by: openai, manifest: support, deployment: live}
questions:
  support in prod: {environment: prod, model: support}
  live in prod: {environment: prod, deployment: live}
  base in prod: {environment: prod, model: gpt-4o-2024-08-06}
steps:
  - stops-publishing: auditor
  - wait: 2d
  - withdraw: {by: regulator, corpus: support-corpus, in: 3d, because: "a complaint"}
  - wait: 4d
  - mirror-hangs: regulator
  - take-back: {by: regulator, corpus: support-corpus}
  - mirror-answers: regulator
  - lose: {result: support}
  - find: {result: support}
  - fail: {by: lab, manifest: support}
  - take-back: {by: lab, failure: support}
  - pass: {by: lab, manifest: support}
  - floors: [{environments: ["spiffe://acme.example/env/*"], jurisdictions: [uk]}]
  - floors: []
  - grants: {authority: auditor}
  - grants: {authority: lab, grants: {role: evaluator, models: ["openai/other"]}}
  - restart: gate
  - grants: {authority: lab, grants: {role: evaluator}}
  - mirror-hangs: regulator
  - restart: gate
  - mirror-answers: regulator
  - stops-publishing: acme
  - wait: 2d
  - restart: gate
  - publishes-again: acme
"""


@dataclasses.dataclass
class Gate:
    """A gate's control path over what the parties of a history publish."""

    folder: Path
    world: World
    repositories: dict[str, Repository] = dataclasses.field(default_factory=dict)
    published: Published = dataclasses.field(default_factory=Published)
    versions: dict[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "evidence").mkdir()
        for name in self.world.parties:
            made = Repository(self.folder / "repositories" / name, name)
            far = self.world.now + timedelta(days=4000)
            made.expires = dict.fromkeys(ROLES, far)
            self.repositories[name] = made
        self.publish()

    @property
    def config(self) -> TrustConfig:
        return TrustConfig(
            path=self.folder / "trust.yaml",
            operator=self.world.operator,
            authorities=tuple(
                made.trusted()
                for name, made in self.repositories.items()
                if name in self.world.operator.grants
            ),
            evidence=(DirectorySourceConfig(self.folder / "evidence"),),
            state_dir=self.folder / "state",
            poll_seconds=0.2,
        )

    def publish(self) -> None:
        """Write what the parties publish, where the gate can reach it, and the evidence."""
        world, present = self.world, set[Path]()
        for file in world.files.values():
            path = self.folder / "evidence" / f"{file.digest}.dsse.json"
            present.add(path)
            if not path.exists() or path.read_bytes() != file.envelope:
                draft = self.folder / "draft"
                draft.write_bytes(file.envelope)
                draft.replace(path)
        for path in set((self.folder / "evidence").iterdir()) - present:
            path.unlink()
        for name, party in world.parties.items():
            made, away = self.repositories[name], self.folder / "away" / name
            if name in world.hanging:
                if not away.exists():
                    away.parent.mkdir(exist_ok=True)
                    made.folder.rename(away)
                continue
            if away.exists():
                away.rename(made.folder)
            if self.versions.get(name) != party.version:
                self.versions[name] = party.version
                made.expires["timestamp"] = party.expires or world.now
                made.publish(documents(party))

    def settle(self, control: ControlPath) -> None:
        """Wait until the control path has taken in everything that it can reach."""
        reachable = {
            name: self.repositories[name].versions["timestamp"]
            for name in self.world.operator.grants
            if name not in self.world.hanging
        }
        present = {
            hashlib.sha256(each.envelope).hexdigest(): each.digest
            for each in self.world.files.values()
        }

        def taken_in() -> tuple[dict[str, int], dict[str, str]]:
            # A trust state has no list of its files: what is refused is in none of its parts.
            files = control._assembler._verified.tables.files
            found = {name: self.published.versions().get(name, 0) for name in reachable}
            return found, dict(files.items())

        waiting = threading.Event()
        for _ in range(int(PATIENCE_SECONDS / 0.01)):
            if taken_in() == (reachable, present):
                return
            waiting.wait(0.01)
        assert taken_in() == (reachable, present)

    def answers(self) -> dict[str, tuple[object, ...]]:
        """Answer every question by the state that the control path published last."""
        return answers(self.world, self.published.last)


def documents(party: Party) -> dict[str, bytes]:
    keys = tuple(key.entry for key in party.keys)
    noes = tuple(party.entries), tuple(party.failures), tuple(party.supersessions)
    return {
        "authority.json": write(
            AuthorityDocument("urn:admissibility:authority:v1", party.name, keys)
        ),
        "withdrawals.json": write(WithdrawalsDocument("urn:admissibility:withdrawals:v1", *noes)),
    }


def answers(world: World, state: TrustState | None) -> dict[str, tuple[object, ...]]:
    """Answer every question of a history by a trust state: step, reason and message of each."""
    kept, world.gate.state = world.gate.state, state
    try:
        failed = {
            name: world.ask(question).failed
            for name, question in world.history.settings.questions.items()
        }
    finally:
        world.gate.state = kept
    return {
        name: () if each is None else (each.step, each.reason, each.detail)
        for name, each in failed.items()
    }


@contextmanager
def control_path(gate: Gate) -> Iterator[ControlPath]:
    gate.published = Published()
    control = ControlPath(gate.config, gate.published)
    control.start()
    try:
        first_refresh(control)
        yield control
    finally:
        control.stop()


def needs_a_new_gate(step: Step) -> bool:
    """Whether a gate is started for it: it was restarted, or its trust.yaml was changed."""
    return step.verb in {"restart", "grants", "floors"}


def differences(history: History, folder: Path) -> list[tuple[int, object, object]]:
    """Play a history both ways; each step after which the answers differ, with both."""
    start = datetime.now(UTC).replace(microsecond=0)
    settings = history.settings.model_copy(update={"start": start})
    world = World.of(dataclasses.replace(history, settings=settings))
    for name, entry in world.environments.items():
        statement = declared(world, Declare(by=entry.by, environment=name))
        world.put(world.parties[entry.by].sign(statement, "declaration", name))
    world.refresh()
    gate = Gate(folder, world)
    found: list[tuple[int, object, object]] = []
    with ExitStack() as running:
        control = running.enter_context(control_path(gate))
        for number, step in enumerate((*history.setup, *history.steps)):
            world.now += STEP
            take(world, step)
            gate.publish()
            if needs_a_new_gate(step):
                running.close()
                control = running.enter_context(control_path(gate))
            gate.settle(control)
            simulated, real = answers(world, world.gate.state), gate.answers()
            if simulated != real:
                found.append((number, simulated, real))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_law_is_played_as_a_gate_decides(path: Path, tmp_path: Path) -> None:
    assert differences(history_file.read(path.read_bytes()), tmp_path) == []


@pytest.mark.slow
def test_other_steps_are_played_as_a_gate_decides(tmp_path: Path) -> None:
    assert differences(history_file.read(EVERYTHING.encode()), tmp_path) == []
