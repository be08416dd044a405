"""The request path, as one straight line.

    CheckRequest → read → extract → credential → (objects) → assess → policy → decide

A stage that refuses raises, and the server makes the denial. The trust state is read once; if it
was replaced while OPA thought, the verdict is on yesterday's facts, so the line is walked again
from the credential on, as often as the server's deadline allows.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sidecar.core.assess import assess
from sidecar.core.call import Call, Credential
from sidecar.core.decide import Decision, decide, inadmissible
from sidecar.core.facts import prove
from sidecar.core.reasons import AdmissibilityError
from sidecar.core.window import rfc3339
from sidecar.gate import credential, envoy
from sidecar.gate.doors import creation
from sidecar.gate.extract import extract
from sidecar.gate.holder import Holder, Snapshot
from sidecar.gate.http_request import HttpRequest
from sidecar.gate.objects import Objects, Resolved, unregistered
from sidecar.gate.opa import PolicyEngine
from sidecar.gate.passage import Passage
from sidecar.gate.refusals import unsupported
from sidecar.gate.room import Room
from sidecar.gate.told import Large, Question, Terms, Told, tell


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator sets for the request path.

    Attributes:
        audience: Of JWT-SVIDs.
        credential_header: Lower-case name of the header with a JWT-SVID.
        max_body_bytes: The longest body that is read.
        opened: Operations that are shut unless the operator opens them.
    """

    audience: str
    credential_header: str
    max_body_bytes: int
    opened: frozenset[str] = frozenset()

    @property
    def terms(self) -> Terms:
        """What is needed to read a question."""
        return Terms(self.credential_header, self.max_body_bytes, self.opened)


class Teller(Protocol):
    """Whoever reads large questions: this process, or another (``heavy``)."""

    async def __call__(self, large: Large, terms: Terms) -> Told:
        """See ``told.tell``."""
        ...


async def tell_here(large: Large, terms: Terms) -> Told:
    """``tell`` in this process, whatever the size."""
    return tell(large.data, terms)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, wired; without ``objects``, nothing can build on what is stored upstream."""

    settings: Settings
    trust: Holder
    policies: PolicyEngine
    teller: Teller = tell_here
    room: Room = field(default_factory=lambda: Room(sys.maxsize))
    objects: Objects | None = None

    async def check(self, message: Question, passage: Passage) -> Decision:
        """Decide about one request.

        Args:
            message: Envoy's question.
            passage: Carries the decision's id and reference time; notes how far it came.

        Raises:
            AdmissibilityError: A stage refused.
        """
        if isinstance(message, Large):
            with self.room.take(len(message.data)):
                told = await self.teller(message, self.settings.terms)
                return await self._decide(*_understood(told, passage), passage)
        request = envoy.read(message, credential_header=self.settings.credential_header)
        passage.request = request
        passage.reached("read")
        with self.room.take(len(request.raw_body) + len(request.text_body)):
            settings = self.settings
            call = extract(request, max_bytes=settings.max_body_bytes, opened=settings.opened)
            return await self._decide(request, call, passage)

    async def _decide(self, request: HttpRequest, call: Call, passage: Passage) -> Decision:
        """Everything after the message was read."""
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
        resolved = await self._resolved(call, request, caller, passage)
        # Last the call itself: the log and the reply tell of it.
        calls = (*resolved.later, resolved.call)
        decision = await self._each(snapshot, calls, caller, passage)
        if decision.allowed and self.objects is not None:
            await self.objects.grow(resolved)
            passage.slip = self.objects.slip(resolved, request.api, caller, decision.id, now)
        return decision

    async def _resolved(
        self, call: Call, request: HttpRequest, caller: Credential, passage: Passage
    ) -> Resolved:
        if self.objects is None:
            return _unregistered(call, request.api)
        now = passage.progress.at
        return await self.objects.resolve(call, request.api, caller.spiffe_id, now)

    async def judge(self, calls: Sequence[Call], caller: Credential, passage: Passage) -> Decision:
        """Decide about calls that are made together, such as the lines of a batch.

        Args:
            calls: At least one.
            caller: Their verified credential.
            passage: As for ``check``; tells which call was refused.

        Returns:
            The first refusal, or the allow of the last.

        Raises:
            AdmissibilityError: A stage refused.
        """
        passage.note(credential=caller)
        while True:
            snapshot = self.trust.current()
            passage.note(epoch=snapshot.state.epoch)
            decision = await self._each(snapshot, calls, caller, passage)
            if not decision.allowed or self.trust.current() is snapshot:
                return decision

    async def _each(
        self, snapshot: Snapshot, calls: Sequence[Call], caller: Credential, passage: Passage
    ) -> Decision:
        if not calls:
            raise ValueError("no call to decide about")
        for call in calls:
            decision = await self._one(snapshot, call, caller, passage)
            if not decision.allowed:
                break
        return decision

    async def _one(
        self, snapshot: Snapshot, call: Call, caller: Credential, passage: Passage
    ) -> Decision:
        now = passage.progress.at
        passage.note(call=call)
        assessment = assess(call, caller, snapshot.state, now)
        passage.reached("assess", assessment=assessment)
        if not assessment.admissible:
            return inadmissible(passage.progress)
        facts = prove(call, caller, assessment, rfc3339(now), secrets.token_hex(16))
        passage.facts = facts
        verdict = await self.policies.ask(facts)
        passage.reached("policy")
        return decide(passage.progress, verdict)


def _understood(told: Told, passage: Passage) -> tuple[HttpRequest, Call]:
    """What a reader told, as if it had been read here."""
    passage.request = told.request
    passage.reached("read")
    if not isinstance(told.found, Call):
        raise AdmissibilityError(*told.found)
    assert told.request is not None
    return told.request, told.found


def _unregistered(call: Call, api: str) -> Resolved:
    """A call where registration is off: it may build on nothing, nor make what would run again."""
    if call.references:
        raise unregistered(call.references[0])
    created = creation(api, call.operation)
    if created is not None and created.registered:
        raise unsupported(
            f"{call.operation} is refused where registration is off: what it makes runs later, with"
            " models that the later request does not name"
        )
    return Resolved(call)
