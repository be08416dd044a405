"""The request path, as one straight line.

    CheckRequest → read → extract → credential → assess → policy → decide

A stage that refuses raises, and the server makes the denial. The trust state is read once; if it
was replaced while OPA thought, the verdict is on yesterday's facts, so the line is walked again
from the credential on, as often as the server's deadline allows.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.assess import assess
from sidecar.core.call import Call
from sidecar.core.decide import Decision, decide, inadmissible
from sidecar.core.facts import prove
from sidecar.core.window import rfc3339
from sidecar.gate import credential, envoy
from sidecar.gate.extract import extract
from sidecar.gate.holder import Holder, Snapshot
from sidecar.gate.http_request import HttpRequest
from sidecar.gate.opa import PolicyEngine
from sidecar.gate.passage import Passage


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator sets for the request path.

    Attributes:
        audience: Of JWT-SVIDs.
        credential_header: Lower-case name of the header with a JWT-SVID.
        max_body_bytes: The longest body that is read.
    """

    audience: str
    credential_header: str
    max_body_bytes: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, wired."""

    settings: Settings
    trust: Holder
    policies: PolicyEngine

    async def check(self, message: pb.CheckRequest, passage: Passage) -> Decision:
        """Decide about one request.

        Args:
            message: Envoy's question.
            passage: Carries the decision's id and reference time; notes how far it came.

        Raises:
            AdmissibilityError: A stage refused.
        """
        request = envoy.read(message, credential_header=self.settings.credential_header)
        passage.request = request
        passage.reached("read")
        call = extract(request, max_bytes=self.settings.max_body_bytes)
        passage.reached("extract", call=call)
        while True:
            snapshot = self.trust.current()
            decision = await self._under(snapshot, request, call, passage)
            if not decision.allowed or self.trust.current() is snapshot:
                return decision

    async def _under(
        self, snapshot: Snapshot, request: HttpRequest, call: Call, passage: Passage
    ) -> Decision:
        """Everything that depends on the trust state."""
        now = passage.progress.at
        passage.note(epoch=snapshot.state.epoch)
        caller = credential.verify(
            request,
            snapshot.keyring,
            header=self.settings.credential_header,
            audience=self.settings.audience,
            now=now,
        )
        passage.reached("credential", credential=caller)
        assessment = assess(call, caller, snapshot.state, now)
        passage.reached("assess", assessment=assessment)
        if not assessment.admissible:
            return inadmissible(passage.progress)
        facts = prove(call, caller, assessment, rfc3339(now), secrets.token_hex(16))
        passage.facts = facts
        verdict = await self.policies.ask(facts)
        passage.reached("policy")
        return decide(passage.progress, verdict)
