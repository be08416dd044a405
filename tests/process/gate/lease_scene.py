"""A running gate whose engine and clock a test sets, to see what it answers from a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sidecar.core.facts import Facts
from sidecar.core.verdict import JurisdictionVerdict, Verdict
from sidecar.gate.clock import Reading
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.snapshot_holder import SnapshotHolder
from tests.support.gate.bench import SETTINGS, Gate, reason_of, running
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import ENV, NOW

LEASE = 30


class Agreeing:
    """A policy engine that allows, counts what it is asked, and can be replaced by another."""

    def __init__(self, lease_seconds: int = LEASE, *, allows: bool = True) -> None:
        self.asked = 0
        self.lease_seconds, self.allows = lease_seconds, allows
        self.mark: object | None = object()

    def identity(self) -> object | None:
        return self.mark

    async def ask(self, facts: Facts) -> Verdict:
        self.asked += 1
        await asyncio.sleep(0)
        names = facts.environment.jurisdictions
        each = {name: JurisdictionVerdict(self.allows, ()) for name in names}
        return Verdict(self.allows, facts.nonce, "r-1", (), (), each, self.lease_seconds)


@dataclass
class Time:
    """A clock that a test sets."""

    at: datetime = NOW
    problem: str = ""

    def read(self) -> Reading:
        return Reading(self.at, self.problem)


@dataclass
class Scene:
    """A running gate with its engine, its clock and its pipeline."""

    gate: Gate
    engine: Agreeing
    time: Time
    pipeline: Pipeline

    async def ask(self, **changes: Any) -> str:
        token = changes.pop("token", None) or self.gate.issuer.jwt_svid(ENV, NOW)
        reply = await self.gate.ask(as_check_request(**{"credential": token, **changes}))
        return reason_of(reply)

    async def asks(self, **changes: Any) -> tuple[str, bool]:
        """Ask; return the reason, and whether the policies were asked or the call assessed."""
        before = self.pipeline.leases.counts.hits
        reason = await self.ask(**changes)
        return reason, self.pipeline.leases.counts.hits == before

    def publish(self, epoch: int = 2) -> None:
        self.gate.holder.publish(self.gate.world.state(epoch))


def play(story: Callable[[Scene], Awaitable[None]], engine: Agreeing | None = None) -> None:
    """Run a story on a gate over an admitted world."""

    async def run() -> None:
        holder, policies, time = SnapshotHolder(), engine or Agreeing(), Time()
        pipeline = Pipeline(replace(SETTINGS, max_leases=8, max_credentials=8), holder, policies)
        async with running(policies, pipeline=pipeline, clock=time.read) as gate:
            gate.holder = holder
            scene = Scene(gate, policies, time, pipeline)
            scene.publish(1)
            await story(scene)

    asyncio.run(run())


FRESH, REUSED = ("admitted", True), ("admitted", False)
