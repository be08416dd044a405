"""Signs and verifies admission tickets, which ext_authz passes to ext_proc through Envoy.

ext_authz reads the request and decides; ext_proc reads the response, or an upload, and needs the
decision. Envoy passes the ticket between them as dynamic metadata. A ticket has a MAC with the
registry's key and expires in seconds, so another client of the gate's port can neither forge one
nor replay an old one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from sidecar.core.call import Credential, Reference
from sidecar.core.reasons import EvidenceError
from sidecar.core.wire import WIRE, read, write
from sidecar.registry.record import MAX_RECORD_BYTES, Uses

NAMESPACE = "envoy.filters.http.ext_authz"
"""Namespace of the dynamic metadata that Envoy emits from a ``CheckResponse``."""

FIELD = "admissibility_ticket"
GOOD_FOR = timedelta(seconds=30)
SKEW = timedelta(seconds=5)

_Word = Annotated[str, Field(min_length=1, max_length=512)]


@dataclass(frozen=True, slots=True)
class AdmissionTicket:
    """The ticket of one admitted request.

    Attributes:
        type: The version of this document.
        provider: The provider whose manifests name the models.
        api: Name of the upstream's table of operations.
        operation: Name of the admitted operation.
        creates: Kind of the object that the response names; empty if it only names others.
        upload: Whether ext_authz did not see the body, so that ext_proc reads it.
        uses: The uses that the object may reach; empty for an upload, whose lines state them.
        spiffe_id: SPIFFE ID of the environment.
        trust_domain: Its trust domain.
        credential: ``jwt-svid`` or ``x509-svid``.
        expires: Expiry of the credential.
        authority: The authority whose trust bundle verified it.
        decision: Id of the decision.
        issued: Time of the decision.
        sources: References to stored objects, of kinds that change, used to create the object.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    type: Literal["urn:admissibility:ticket:v1"]
    provider: _Word
    api: _Word
    operation: _Word
    creates: Annotated[str, Field(max_length=512)]
    upload: bool
    uses: Annotated[Uses, Field(min_length=0)]
    spiffe_id: Annotated[str, Field(min_length=1, max_length=4096)]
    trust_domain: _Word
    credential: _Word
    expires: datetime
    authority: _Word
    decision: _Word
    issued: datetime
    sources: Annotated[tuple[Reference, ...], Field(max_length=16)] = ()

    @property
    def caller(self) -> Credential:
        """Return the verified credential of the request."""
        return Credential(
            self.spiffe_id, self.trust_domain, self.credential, self.expires, self.authority
        )


def sign(ticket: AdmissionTicket, key: bytes) -> str:
    """Write a ticket with its MAC (HMAC-SHA256).

    Args:
        ticket: The ticket.
        key: The registry's key for tickets; see ``RegistryKey.ticket_key``.
    """
    payload = write(ticket)
    return f"{base64.b64encode(payload).decode('ascii')}.{_tag(payload, key)}"


def verify(text: str, key: bytes, now: datetime) -> AdmissionTicket:
    """Verify a ticket, and parse its payload only after that.

    Raises:
        EvidenceError: The MAC is not by ``key``, the payload is no ticket, or it expired.
    """
    encoded, _, tag = text.partition(".")
    try:
        payload = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EvidenceError("ticket: not base64") from error
    if not hmac.compare_digest(_tag(payload, key).encode("ascii"), tag.encode("utf-8")):
        raise EvidenceError("ticket: the MAC is not by this registry's key")
    ticket = read(AdmissionTicket, payload, max_bytes=MAX_RECORD_BYTES, what="ticket")
    if not -SKEW <= now - ticket.issued <= GOOD_FOR:
        raise EvidenceError("ticket: issued too long ago, or in the future")
    return ticket


def _tag(payload: bytes, key: bytes) -> str:
    return hmac.new(key, b"ticket\x00" + payload, hashlib.sha256).hexdigest()
