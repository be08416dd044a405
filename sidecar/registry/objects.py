"""Stored objects on the request path: looked up when a call builds on them, written when created.

The files are read and written by threads of their own, and never for longer than a bound: a folder
that hangs denies what builds on it, and holds nobody else up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sidecar.core.call import Call, Credential, Reference
from sidecar.core.reasons import AdmissibilityError, EvidenceError, Reason
from sidecar.core.window import Window
from sidecar.providers import CHANGING, creation, updated_by
from sidecar.registry.errors import Result, UnregisteredError
from sidecar.registry.record import TYPE, Key, Registration, Use, united
from sidecar.registry.store import Store
from sidecar.registry.tickets import FIELD, AdmissionTicket, sign, verify

log = logging.getLogger("sidecar.gate")

WRITE_SECONDS = 2.0
_THREADS = 4
_SET_UP = frozenset({"agent", "session"})
"""Kinds that bring tools along, and whose models and tools change one without the other."""

_LATER = _SET_UP | {"file"}
"""Kinds whose models run as they were set up, and not as the call that builds on the object."""


def _uncounted(_: Result) -> None:
    """Where nobody keeps account."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A call with everything that its references stand for.

    Attributes:
        call: Names every model, and refers to nothing any more.
        later: What will be run because of it under other operations, such as a batch's lines.
        uses: Its own and those of its references: what an object that it creates may reach.
        growing: Registrations of what takes this call up.
        sources: What it referred to that may change.
    """

    call: Call
    later: tuple[Call, ...] = ()
    uses: tuple[Use, ...] = ()
    updated: tuple[Registration, ...] = ()
    sources: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Objects:
    """The registry, as the request path uses it.

    Attributes:
        store: Where registrations are.
        lifetime: How long one is good for.
        looked_up: Told how each look-up came out.
        written: Told how each registration came out.
        keeping: Whether anything is written at all; not in a rehearsal.
    """

    store: Store
    lifetime: timedelta
    looked_up: Callable[[Result], None] = _uncounted
    written: Callable[[Result], None] = _uncounted
    keeping: bool = True
    _readers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, "lookup"), repr=False
    )
    _writers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, "register"), repr=False
    )

    async def resolve(self, call: Call, api: str, environment: str, now: datetime) -> Resolved:
        """Replace references by the models that were registered with them.

        Args:
            call: As extracted.
            api: Which table of operations the upstream has.
            environment: SPIFFE ID of the caller.
            now: The decision's reference time.

        Raises:
            AdmissibilityError: ``object_unregistered`` where one of them does not count.
        """
        created, updates = creation(api, call.operation), updated_by(api, call.operation)
        lasting = bool(updates) or (created is not None and not created.upload)
        if not call.references:
            return Resolved(call, uses=(Use.of(call),) if call.named or lasting else ())
        found = [await self._find(call, api, each, environment, now) for each in call.references]
        held = [use for entry in found for use in entry.uses]
        tools = [use.tool_types for entry in found if entry.kind in _SET_UP for use in entry.uses]
        whole = replace(
            call,
            models=_together(call.models, (use.models for use in held)),
            tuned=_together(call.tuned, (use.tuned for use in held)),
            deployments=_together(call.deployments, (use.deployments for use in held)),
            tool_types=tuple(sorted(_together(call.tool_types, tools))),
            references=(),
        )
        # One that names no model itself sets to work those of what it refers to.
        own = (Use.of(call if call.named else whole),) if call.named or lasting else ()
        try:
            uses = united(own, held)
        except EvidenceError as error:
            raise AdmissibilityError(Reason.OBJECT_UNREGISTERED, str(error)) from error
        later = [
            _as_call(call.provider, use)
            for entry in found
            if entry.kind in _LATER
            for use in entry.uses
        ]
        updated = tuple(entry for entry in found if entry.kind in updates)
        sources = tuple(each for each in call.references if each.kind in CHANGING)
        return Resolved(whole, tuple(dict.fromkeys(later)), uses, updated, sources)

    async def add_uses(self, resolved: Resolved) -> None:
        """Remember, before an admitted call goes on, what it brings into what takes it up.

        The gate never learns whether such a call succeeded, nor which of two came last. So what was
        reached before stays in.

        Raises:
            AdmissibilityError: ``object_unregistered`` where that cannot be written: a later call
                would not be asked about this one's models.
        """
        for entry in resolved.updated:
            if not self.keeping or set(resolved.uses) <= set(entry.uses):
                continue
            result = await self._put(replace(entry, uses=resolved.uses))
            self.written(result)
            if result is not Result.WRITTEN:
                raise unregistered(Reference(entry.kind, entry.id))

    async def _find(
        self, call: Call, api: str, reference: Reference, environment: str, now: datetime
    ) -> Registration:
        try:
            found = await self._read(call.provider, api, reference, environment, now)
        except UnregisteredError as error:
            self.looked_up(error.result)
            log.info("%s %s: %s", reference.kind, reference.id, error)
            raise unregistered(reference) from error
        self.looked_up(Result.FOUND)
        return found

    async def _read(
        self, provider: str, api: str, reference: Reference, environment: str, now: datetime
    ) -> Registration:
        wanted = Key(provider, api, reference.kind, reference.id)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self.store.find, wanted, environment, now)

    def metadata(
        self, resolved: Resolved, api: str, caller: Credential, decision: str, now: datetime
    ) -> dict[str, str]:
        """Return the ticket of an admitted call as dynamic metadata; none if it creates nothing."""
        call = resolved.call
        created = creation(api, call.operation)
        if created is None:
            return {}
        signed = sign(
            AdmissionTicket(
                type="urn:admissibility:ticket:v1",
                provider=call.provider,
                api=api,
                operation=call.operation,
                creates=created.kind,
                upload=created.upload,
                uses=resolved.uses,
                spiffe_id=caller.spiffe_id,
                trust_domain=caller.trust_domain,
                credential=caller.kind,
                expires=caller.expires,
                authority=caller.authority,
                decision=decision,
                issued=now,
                sources=resolved.sources,
            ),
            self.store.key.notes,
        )
        return {FIELD: signed}

    def verify_ticket(self, text: str, now: datetime) -> AdmissionTicket:
        """Read a ticket of this registry.

        Raises:
            EvidenceError: Not a ticket by this registry, or an expired one.
        """
        return verify(text, self.store.key.notes, now)

    async def register(
        self, ticket: AdmissionTicket, name: str, uses: Sequence[Use], now: datetime
    ) -> Result:
        """Remember an object; never raises, because its creation was admitted already.

        Args:
            ticket: Of the call that created it.
            name: The provider's id of it.
            uses: What it may reach.
            now: When it was created.

        Returns:
            How it came out; anything but ``written`` leaves the object unusable.
        """
        start = now.replace(microsecond=0)
        try:
            uses = united(uses, await self._meanwhile(ticket, now))
        except (UnregisteredError, TimeoutError, EvidenceError) as error:
            self._lost(ticket.decision, ticket.creates, str(error) or "the folder does not answer")
            self.written(Result.FAILED)
            return Result.FAILED
        registration = Registration(
            type=TYPE,
            provider=ticket.provider,
            api=ticket.api,
            kind=ticket.creates,
            id=name,
            environment=ticket.spiffe_id,
            uses=uses,
            window=Window(start, start + self.lifetime),
            decision=ticket.decision,
        )
        result = await self._put(registration)
        self.written(result)
        return result

    async def _meanwhile(self, ticket: AdmissionTicket, now: datetime) -> list[Use]:
        """What the objects that another is made from have taken up by now.

        One may have been changed after it was asked about, and before the provider made the other.
        """
        async with asyncio.timeout(WRITE_SECONDS):
            found = [
                await self._read(ticket.provider, ticket.api, source, ticket.spiffe_id, now)
                for source in ticket.sources
            ]
        return [use for entry in found for use in entry.uses]

    async def _put(self, registration: Registration) -> Result:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await loop.run_in_executor(self._writers, self.store.put, registration)
        except UnregisteredError as error:
            result, why = error.result, str(error)
        except TimeoutError:
            result, why = Result.FAILED, "the folder does not answer"
        except (OSError, EvidenceError) as error:
            result, why = Result.FAILED, str(error)
        else:
            return Result.WRITTEN
        self._lost(registration.decision, registration.kind, why)
        return result

    def _lost(self, decision: str, kind: str, why: str) -> None:
        log.warning(
            "decision %s: its %s is not registered, so nothing can be built on it: %s",
            decision,
            kind,
            why,
        )

    def unread(self, ticket: AdmissionTicket, why: str) -> None:
        """Note that an answer named no object that could be registered."""
        self.written(Result.UNREADABLE)
        log.warning("decision %s: no %s is registered: %s", ticket.decision, ticket.creates, why)

    def close(self) -> None:
        """Let go of the threads; what is being written is written."""
        for pool in (self._readers, self._writers):
            pool.shutdown(wait=False, cancel_futures=True)


def unregistered(reference: Reference) -> AdmissibilityError:
    """The refusal; the same words whether the object exists elsewhere or not."""
    return AdmissibilityError(
        Reason.OBJECT_UNREGISTERED,
        f"the {reference.kind} {reference.id} is not registered for this environment",
    )


def _together(own: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*own, *(name for names in others for name in names))))


def _as_call(provider: str, use: Use) -> Call:
    return Call(
        provider,
        use.operation,
        use.models,
        modalities=use.modalities,
        tool_types=use.tool_types,
        tuned=use.tuned,
        deployments=use.deployments,
    )
