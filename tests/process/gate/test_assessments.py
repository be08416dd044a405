"""A question is assessed once, until anything that the assessment read changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from sidecar.core.assess import assess
from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from sidecar.gate import assessments
from sidecar.gate.assessments import Assessments, CallAssessment
from sidecar.gate.snapshot_holder import Snapshot, SnapshotHolder
from tests.support.simulator.constants import BASE, DAY, MODEL, NOW, OPERATION
from tests.support.simulator.world import World, admitted_world, credential

CALL = Call("openai", OPERATION, (MODEL,))
LATER = NOW + timedelta(seconds=20)


@dataclass
class Scene:
    """A world, the assessments of a gate, and how often the predicate was asked."""

    world: World = field(default_factory=admitted_world)
    kept: Assessments = field(default_factory=Assessments)
    holder: SnapshotHolder = field(default_factory=SnapshotHolder)
    assessed: int = 0

    def publish(self) -> Snapshot:
        self.holder.publish(self.world.state())
        return self.holder.current()

    def ask(
        self, at: datetime = NOW, call: Call = CALL, expires: datetime = NOW + DAY
    ) -> tuple[Reason | None, int, CallAssessment]:
        caller, snapshot = credential(expires=expires), self.holder.current()
        before = self.assessed
        made = self.kept.assess(call, caller, snapshot, at)
        found = made.assessment
        times = self.assessed - before
        expected = assess(call, caller, snapshot.state, at)
        assert replace(found, valid_until=NOW) == replace(expected, valid_until=NOW)
        assert found.valid_until <= expected.valid_until
        return found.reason, times, made


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene()

    def counted(*words: object) -> object:
        made.assessed += 1
        return assess(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(assessments, "assess", counted)
    made.publish()
    return made


def test_callers_and_calls_that_the_predicate_does_not_tell_apart_share_it(scene: Scene) -> None:
    assert scene.ask()[:2] == (None, 1)
    assert scene.ask(LATER, replace(CALL, stream=True))[:2] == (None, 0)
    assert scene.ask(LATER, expires=LATER + timedelta(seconds=1))[:2] == (None, 0)
    assert scene.ask(LATER, replace(CALL, models=(BASE,)))[1] == 1


def test_an_expired_credential_is_not_admitted_by_another_ones(scene: Scene) -> None:
    scene.ask()
    assert scene.ask(LATER, expires=LATER)[:2] == (Reason.CREDENTIAL_EXPIRED, 1)


def test_a_withdrawal_ends_it_and_an_unrelated_change_does_not(scene: Scene) -> None:
    regulator = scene.world.parties["regulator"]
    regulator.withdraw("corpus", "f" * 64)
    scene.publish()
    assert scene.ask()[1] == 1
    regulator.withdraw("corpus", "e" * 64)
    scene.publish()
    assert scene.ask()[:2] == (None, 0)
    regulator.withdraw("manifest", scene.world.digests["manifest"])
    scene.publish()
    assert scene.ask()[:2] == (Reason.WITHDRAWN, 1)


def test_it_ends_at_the_next_instant_that_it_read_and_does_not_hold_before_it(scene: Scene) -> None:
    digest = scene.world.digests["manifest"]
    scene.world.parties["regulator"].withdraw("manifest", digest, effective=LATER)
    scene.publish()
    assert scene.ask()[:2] == (None, 1)
    assert scene.ask(LATER - timedelta(microseconds=1))[1] == 0
    assert scene.ask(NOW - timedelta(seconds=1))[1] == 1
    assert scene.ask(LATER)[:2] == (Reason.WITHDRAWN, 1)


def test_a_refusal_is_assessed_each_time(scene: Scene) -> None:
    scene.world.evidence.pop("manifest")
    scene.publish()
    assert [scene.ask()[1], scene.ask()[1]] == [1, 1]


def test_no_more_are_kept_than_the_bound_and_none_after_the_clock_jumped(scene: Scene) -> None:
    scene.kept = Assessments(1)
    base = replace(CALL, models=(BASE,))
    assert [scene.ask()[1], scene.ask(call=base)[1], scene.ask()[1]] == [1, 1, 1]
    scene.kept.clear()
    assert scene.ask()[1] == 1


def test_facts_are_proven_once_and_restated_for_the_next_call(scene: Scene) -> None:
    caller, other = credential(), credential(expires=NOW + DAY)
    first = scene.ask()[2].facts(CALL, caller, NOW, "n-1")
    second = scene.ask()[2].facts(replace(CALL, stream=True), other, LATER, "n-2")
    assert (first.nonce, second.nonce, second.request.stream) == ("n-1", "n-2", True)
    assert (first.now, second.now) == ("2026-06-01T12:00:00Z", "2026-06-01T12:00:20Z")
    assert second.environment.credential.expires == "2026-06-02T12:00:00Z"
    assert second.adaptations is first.adaptations
    again = scene.ask(LATER, replace(CALL, stream=True))[2]
    thrice = [again.facts(replace(CALL, stream=True), other, LATER, "n-3") for _ in range(2)]
    assert thrice == [replace(second, nonce="n-3")] * 2
    assert thrice[0].request is thrice[1].request
