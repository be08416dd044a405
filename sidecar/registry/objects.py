"""Resolves stored objects to their models on the request path, and registers new ones.

Files are read and written by threads of their own, with a time limit: a folder that hangs denies
calls that use stored objects, and delays no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sidecar.core.call import Call, Credential, Reference
from sidecar.core.reasons import AdmissibilityError, EvidenceError, Reason
from sidecar.core.window import Window
from sidecar.providers import CHANGING, creation, fetches, updated_by
from sidecar.registry.errors import RegistryResult, UnregisteredError
from sidecar.registry.lookups import UNKNOWN, find_each, look_up
from sidecar.registry.made_by import as_call, holds_no_calls, made_by
from sidecar.registry.record import TYPE, AdmittedUse, Key, Registration, united
from sidecar.registry.refusals import foreign_input, unregistered, without_calls
from sidecar.registry.store import RegistrationStore
from sidecar.registry.tickets import FIELD, AdmissionTicket, sign, verify

log = logging.getLogger("sidecar.gate")

WRITE_SECONDS = 2.0
_THREADS = 4
_SET_UP = frozenset({"agent", "session"})
"""Kinds that have tools of their own, which change independently of their models."""

_LATER = _SET_UP | {"file"}
"""Kinds whose models run under the registered operations, not under that of the later call."""


def _uncounted(_: RegistryResult) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class ResolvedCall:
    """A call whose references are replaced by the registered models.

    Attributes:
        call: The call with every model, and without references.
        later: Calls that it will cause under other operations, such as a batch's lines, or whose
            answers it fetches.
        uses: Its own uses and those of its references: what an object that it creates may reach.
        updated: Registrations of the objects to which it adds its models.
        sources: Its references to objects that may change.
    """

    call: Call
    later: tuple[Call, ...] = ()
    uses: tuple[AdmittedUse, ...] = ()
    updated: tuple[Registration, ...] = ()
    sources: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Objects:
    """The registry, as the request path uses it.

    Attributes:
        store: The folder of registrations.
        lifetime: Time until a registration expires.
        looked_up: Called with the result of each look-up.
        written: Called with the result of each registration.
        keeping: Whether registrations are written; false in a dry run.
        unregistered_inputs: Whether a call may name an input that no gate registered.
    """

    store: RegistrationStore
    lifetime: timedelta
    looked_up: Callable[[RegistryResult], None] = _uncounted
    written: Callable[[RegistryResult], None] = _uncounted
    keeping: bool = True
    unregistered_inputs: bool = False
    _readers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, "lookup"), repr=False
    )
    _writers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, "register"), repr=False
    )

    async def resolve(self, call: Call, api: str, environment: str, now: datetime) -> ResolvedCall:
        """Replace the references of a call by the models that were registered with them.

        Args:
            call: The call as extracted.
            api: Name of the upstream's table of operations.
            environment: SPIFFE ID of the caller.
            now: The decision's reference time.

        Raises:
            AdmissibilityError: ``object_unregistered`` if a reference has no valid registration,
                or an input is not the environment's.
        """
        if call.inputs:
            where = dict.fromkeys(call.inputs, "")
            await self.check_inputs(call.provider, api, where, environment, now)
            call = replace(call, inputs=())
        created, updates = creation(api, call.operation), updated_by(api, call.operation)
        lasting = bool(updates) or (created is not None and not created.upload)
        if not call.references and not call.owned:
            return ResolvedCall(call, uses=(AdmittedUse.of(call),) if call.named or lasting else ())
        wanted = (*call.owned, *call.references)
        entries = await self._find(call, api, wanted, environment, now)
        if call.modelless:
            made = made_by(call.provider, entries) if fetches(api, call.operation) else ()
            return replace(_modelless(call, entries, lasting=lasting), later=made)
        found = entries[len(call.owned) :]
        if any(map(holds_no_calls, found)):
            raise without_calls(call.references)
        held = [use for entry in found for use in entry.uses]
        whole = _with_uses(call, found)
        if not whole.named:
            raise without_calls(call.references)
        # A call that names no model itself runs the models of the objects it refers to.
        own = (AdmittedUse.of(call if call.named else whole),) if call.named or lasting else ()
        try:
            uses = united(own, held)
        except EvidenceError as error:
            raise AdmissibilityError(Reason.OBJECT_UNREGISTERED, str(error)) from error
        updated = tuple(entry for entry in found if entry.kind in updates)
        sources = tuple(each for each in call.references if each.kind in CHANGING)
        return ResolvedCall(whole, _later_calls(call.provider, found), uses, updated, sources)

    async def add_uses(self, resolved: ResolvedCall) -> None:
        """Add an admitted call's uses to the registrations of the objects that it updates.

        The gate does not see whether such a call succeeded, nor which of two came last. So earlier
        uses stay in the registration.

        Raises:
            AdmissibilityError: ``object_unregistered`` if they cannot be written: a later call
                would not be checked against this call's models.
        """
        for entry in resolved.updated:
            if not self.keeping or set(resolved.uses) <= set(entry.uses):
                continue
            result = await self._put(replace(entry, uses=resolved.uses))
            self.written(result)
            if result is not RegistryResult.WRITTEN:
                raise unregistered(Reference(entry.kind, entry.id))

    async def check_inputs(
        self,
        provider: str,
        api: str,
        inputs: Mapping[Reference, str],
        environment: str,
        now: datetime,
    ) -> None:
        """Require that the stored objects which an input names are the environment's.

        Args:
            provider: The provider whose manifests name the models.
            api: Name of the upstream's table of operations.
            inputs: The objects, each with text for its refusal; may be empty.
            environment: SPIFFE ID of the caller.
            now: The decision's reference time.

        Raises:
            AdmissibilityError: ``object_unregistered`` if one is not.
        """
        passing = UNKNOWN if self.unregistered_inputs else frozenset()
        keys = {each: Key(provider, api, each.kind, each.id) for each in inputs}
        loop = asyncio.get_running_loop()
        results = await loop.run_in_executor(
            self._readers, look_up, self.store, keys, environment, now, passing
        )
        for reference, result in results.items():
            self.looked_up(result)
            if result is not RegistryResult.FOUND and result not in passing:
                log.info("%s %s, named as input: %s", reference.kind, reference.id, result)
                raise foreign_input(reference, inputs[reference])

    async def _find(
        self,
        call: Call,
        api: str,
        references: Sequence[Reference],
        environment: str,
        now: datetime,
    ) -> list[Registration]:
        """Look all of them up in one turn of a thread, since a conversation has many items."""
        keys = [Key(call.provider, api, each.kind, each.id) for each in references]
        loop = asyncio.get_running_loop()
        found, error = await loop.run_in_executor(
            self._readers, find_each, self.store, keys, environment, now
        )
        for _ in found:
            self.looked_up(RegistryResult.FOUND)
        if error is not None:
            reference = references[len(found)]
            self.looked_up(error.result)
            log.info("%s %s: %s", reference.kind, reference.id, error)
            raise unregistered(reference) from error
        return found

    async def _read(
        self, provider: str, api: str, reference: Reference, environment: str, now: datetime
    ) -> Registration:
        wanted = Key(provider, api, reference.kind, reference.id)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self.store.find, wanted, environment, now)

    def metadata(
        self, resolved: ResolvedCall, api: str, caller: Credential, decision: str, now: datetime
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
                creates=created.kind or "",
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
            self.store.key.ticket_key,
        )
        return {FIELD: signed}

    def verify_ticket(self, text: str, now: datetime) -> AdmissionTicket:
        """Read a ticket of this registry.

        Raises:
            EvidenceError: Not a ticket by this registry, or an expired one.
        """
        return verify(text, self.store.key.ticket_key, now)

    async def register(
        self,
        ticket: AdmissionTicket,
        created: Reference,
        uses: Sequence[AdmittedUse],
        now: datetime,
    ) -> RegistryResult:
        """Register a created object; never raises, because its creation was already admitted.

        Args:
            ticket: Ticket of the call whose response names it.
            created: Its kind, and the provider's id of it.
            uses: The uses that it may reach.
            now: Time of its creation.

        Returns:
            The result; with any but ``written``, later calls on the object are denied.
        """
        start = now.replace(microsecond=0)
        try:
            uses = united(uses, await self._meanwhile(ticket, now))
        except (UnregisteredError, TimeoutError, EvidenceError) as error:
            self._lost(
                ticket.decision,
                created.kind,
                str(error) or "the registration folder does not respond",
            )
            self.written(RegistryResult.FAILED)
            return RegistryResult.FAILED
        registration = Registration(
            type=TYPE,
            provider=ticket.provider,
            api=ticket.api,
            kind=created.kind,
            id=created.id,
            environment=ticket.spiffe_id,
            uses=uses,
            window=Window(start, start + self.lifetime),
            decision=ticket.decision,
        )
        result = await self._put(registration)
        self.written(result)
        return result

    async def _meanwhile(self, ticket: AdmissionTicket, now: datetime) -> list[AdmittedUse]:
        """Return the current uses of the objects that another object is created from.

        One may have been changed after it was resolved, and before the provider created the other.
        """
        async with asyncio.timeout(WRITE_SECONDS):
            found = [
                await self._read(ticket.provider, ticket.api, source, ticket.spiffe_id, now)
                for source in ticket.sources
            ]
        return [use for entry in found for use in entry.uses]

    async def _put(self, registration: Registration) -> RegistryResult:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await loop.run_in_executor(self._writers, self.store.put, registration)
        except UnregisteredError as error:
            result, why = error.result, str(error)
        except TimeoutError:
            result, why = RegistryResult.FAILED, "the registration folder does not respond"
        except (OSError, EvidenceError) as error:
            result, why = RegistryResult.FAILED, str(error)
        else:
            return RegistryResult.WRITTEN
        self._lost(registration.decision, registration.kind, why)
        return result

    def _lost(self, decision: str, kind: str, why: str) -> None:
        log.warning(
            "decision %s: its %s is not registered, so later calls on it are denied: %s",
            decision,
            kind,
            why,
        )

    def unread(self, ticket: AdmissionTicket, why: str) -> None:
        """Count and log that no object could be read from a response."""
        self.written(RegistryResult.UNREADABLE)
        what = ticket.creates or "object"
        log.warning("decision %s: no %s is registered: %s", ticket.decision, what, why)

    def close(self) -> None:
        """Shut the threads down; writes in progress are finished."""
        for pool in (self._readers, self._writers):
            pool.shutdown(wait=False, cancel_futures=True)


def _modelless(call: Call, entries: Sequence[Registration], *, lasting: bool) -> ResolvedCall:
    """Resolve a call that runs no model: its objects are the caller's, and nothing else counts.

    What its response names, such as the items of a response that is read, can reach what the
    objects can reach.
    """
    bare = replace(call, references=(), owned=())
    if not lasting:
        return ResolvedCall(bare)
    try:
        uses = united((AdmittedUse.of(bare),), (use for entry in entries for use in entry.uses))
    except EvidenceError as error:
        raise AdmissibilityError(Reason.OBJECT_UNREGISTERED, str(error)) from error
    return ResolvedCall(bare, uses=uses)


def _with_uses(call: Call, entries: Sequence[Registration]) -> Call:
    """Return a call with every model that its objects were registered with, in their place."""
    held = [use for entry in entries for use in entry.uses]
    tools = [use.tool_types for entry in entries if entry.kind in _SET_UP for use in entry.uses]
    return replace(
        call,
        models=_together(call.models, (use.models for use in held)),
        tuned=_together(call.tuned, (use.tuned for use in held)),
        deployments=_together(call.deployments, (use.deployments for use in held)),
        tool_types=tuple(sorted(_together(call.tool_types, tools))),
        references=(),
        owned=(),
    )


def _later_calls(provider: str, entries: Sequence[Registration]) -> tuple[Call, ...]:
    """Return the calls that objects will cause under the operations they were registered with."""
    later = [
        as_call(provider, use)
        for entry in entries
        if entry.kind in _LATER
        for use in entry.uses
        if use.models or use.tuned
    ]
    return tuple(dict.fromkeys(later))


def _together(own: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*own, *(name for names in others for name in names))))
