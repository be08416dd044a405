"""Without leases, answers and records of equal calls share their text and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.facts import Facts
from sidecar.core.verdict import JurisdictionVerdict, Verdict, Violation
from sidecar.extract.http_request import HttpRequest
from sidecar.gate import check_response
from sidecar.gate.clock import Reading
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.observe.decision_record import line
from sidecar.observe.outcome import Outcome
from tests.support.gate.bench import SETTINGS, Gate, reason_of, running
from tests.support.gate.requests import HEADER, as_check_request, json_body
from tests.support.simulator.constants import BASE, ENV, NOW

WARNING = Violation("eu.soon", "eu", "soon", state="advisory")


@dataclass
class Engine:
    """Allows with the warnings that a test sets, or denies."""

    warnings: tuple[Violation, ...] = ()
    allows: bool = True
    asked: int = 0

    def identity(self) -> object:
        return self

    async def ask(self, facts: Facts) -> Verdict:
        self.asked += 1
        names = facts.environment.jurisdictions
        each = {name: JurisdictionVerdict(self.allows, ()) for name in names}
        return Verdict(self.allows, facts.nonce, "r-1", (), self.warnings, each, 30)


@dataclass
class Scene:
    """A gate without leases, and what it answered."""

    gate: Gate
    engine: Engine
    at: datetime = NOW
    replies: list[pb.CheckResponse] = field(default_factory=list)

    async def ask(self, at: datetime = NOW, **changes: object) -> Outcome:
        self.at = at
        token = self.gate.issuer.jwt_svid(ENV, NOW)
        content = json_body(**changes) if changes else None
        self.replies.append(await self.gate.ask(as_check_request(credential=token, body=content)))
        outcome = self.gate.book.ended[-1]
        assert isinstance(outcome, Outcome)
        return outcome


def play(story: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        holder, engine = SnapshotHolder(), Engine()
        pipeline = Pipeline(replace(SETTINGS, max_leases=0), holder, engine)
        async with running(engine, pipeline=pipeline, clock=lambda: Reading(scene.at)) as gate:
            scene = Scene(gate, engine)
            gate.world.parties["customer"].trust_domains = [gate.issuer.document(NOW)]
            holder.publish(gate.world.state())
            await story(scene)
            for reply, outcome in zip(scene.replies, gate.book.ended, strict=True):
                assert outcome is not None
                assert isinstance(outcome, Outcome)
                assert reply == anew(outcome)
                assert line(outcome) == line(replace(outcome, shared=None))

    asyncio.run(run())


def anew(outcome: Outcome) -> pb.CheckResponse:
    """The response to a decision, whatever was answered before."""
    path, method = "/v1/chat/completions", "POST"
    return check_response.respond(
        outcome.decision,
        HttpRequest(method, path),
        credential_header=HEADER,
        gate_name=SETTINGS.gate_name,
    )


def test_each_call_has_its_own_id_and_times_whatever_their_length() -> None:
    async def story(scene: Scene) -> None:
        times = [timedelta(seconds=n) for n in (0, 1, 1.5, 2.25, 3)]
        outcomes = [await scene.ask(NOW + each) for each in times]
        assert len({outcome.id for outcome in outcomes}) == 5
        assert [outcome.decision.lease_until for outcome in outcomes] == [
            NOW + each + timedelta(seconds=30) for each in times
        ]
        assert len({id(outcome.shared) for outcome in outcomes[1:]}) == 1

    play(story)


def test_another_answer_of_the_policies_is_recorded_as_such() -> None:
    async def story(scene: Scene) -> None:
        for warnings in ((), (), (WARNING,), (WARNING,), ()):
            scene.engine.warnings = warnings
            await scene.ask()
        scene.engine.allows = False
        denied = await scene.ask()
        assert (denied.decision.allowed, denied.shared) == (False, None)
        scene.engine.allows = True
        assert (await scene.ask()).decision.allowed

    play(story)


def test_another_call_is_recorded_as_such() -> None:
    async def story(scene: Scene) -> None:
        for changes in ({}, {}, {"stream": True}, {"stream": True}, {"model": BASE}, {}):
            await scene.ask(**changes)

    play(story)


def test_an_allow_that_could_not_be_recorded_leaves_nothing_to_later_ones() -> None:
    async def story(scene: Scene) -> None:
        await scene.ask()
        scene.gate.book.recordable = False
        lost = await scene.ask()
        assert (lost.decision.allowed, lost.shared) == (False, None)
        scene.gate.book.recordable = True
        assert (await scene.ask()).decision.allowed

    play(story)


@pytest.mark.parametrize("most", [0, 8])
def test_without_leases_each_call_is_asked_about_and_its_credential_verified_as_configured(
    most: int,
) -> None:
    async def run() -> None:
        holder, engine = SnapshotHolder(), Engine()
        settings = replace(SETTINGS, max_leases=0, max_credentials=most)
        pipeline = Pipeline(settings, holder, engine)
        async with running(engine, pipeline=pipeline) as gate:
            gate.world.parties["customer"].trust_domains = [gate.issuer.document(NOW)]
            holder.publish(gate.world.state())
            token = gate.issuer.jwt_svid(ENV, NOW)
            for _ in range(2):
                reply = await gate.ask(as_check_request(credential=token))
                assert reason_of(reply) == "admitted"
        assert engine.asked == 2
        assert pipeline.credentials.counts.hits == (1 if most else 0)

    asyncio.run(run())
