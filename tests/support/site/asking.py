"""One call put to a gate of its own over real OPA, and what came of it.

The parties' evidence is signed by simulated authorities, the gate is asked over gRPC at the
simulator's reference time, and the policies answer from the server the caller names.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sidecar.gate.pipeline import Pipeline
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.observe.outcome import Outcome
from sidecar.opa.client import Address, Opa
from tests.process.policies.opa import REVISION, OpaServer
from tests.process.policy.lawful import Lawful
from tests.support.gate.bench import SETTINGS, Book, reason_of, running
from tests.support.gate.requests import CHAT, as_check_request, json_body
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import Issuer
from tests.support.simulator.world import World


@dataclass(frozen=True, slots=True)
class Said:
    """What the caller was told, and what the policies said."""

    reason: str
    outcome: Outcome

    @property
    def violations(self) -> set[str]:
        return {violation.code for violation in self.outcome.decision.violations}

    @property
    def warnings(self) -> set[str]:
        return {violation.code for violation in self.outcome.decision.warnings}


def address_of(server: OpaServer) -> Address:
    """Where a gate finds a server, and the revision it expects there."""
    return Address(f"unix://{server.socket}", REVISION)


def ask(address: Address, lawful: Lawful) -> Said:
    """Put one call to a gate that knows exactly this evidence."""
    return ask_in(address, lawful.world(), lawful.model)


def ask_in(address: Address, world: World, model: str, path: str = CHAT, **body: object) -> Said:
    """The same with whatever else was signed in a world, and whatever else is asked for."""

    async def story() -> Said:
        issuer, holder, book = Issuer(), SnapshotHolder(), Book()
        world.parties["customer"].trust_domains = [issuer.document(NOW)]
        holder.publish(world.state())
        assert not holder.current().state.rejected
        engine = Opa(address, connections=2)
        pipeline = Pipeline(SETTINGS, holder, engine)
        try:
            async with running(engine, pipeline=pipeline, book=book) as gate:
                token = issuer.jwt_svid(ENV, NOW)
                content = json_body(model=model, **body)
                reply = await gate.ask(as_check_request(credential=token, path=path, body=content))
        finally:
            await engine.close()
        (outcome,) = book.ended
        assert outcome is not None
        return Said(reason_of(reply), outcome)

    return asyncio.run(story())
