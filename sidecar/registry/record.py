"""Defines a registration: which models a stored object may reach, and from which environment.

It is a DSSE envelope with a payload type of its own, so that neither evidence nor a registration is
accepted in place of the other. It is valid for one object of one kind at one provider, for one
environment, until it expires.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from sidecar.core import dsse
from sidecar.core.call import Call
from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window
from sidecar.core.wire import WIRE, read, write

PAYLOAD_TYPE = "application/vnd.admissibility.registration+json"
TYPE: Literal["urn:admissibility:registration:v1"] = "urn:admissibility:registration:v1"
MAX_RECORD_BYTES = 1 << 20
MAX_USES = 256

_Word = Annotated[str, Field(min_length=1, max_length=512)]
_Words = Annotated[tuple[_Word, ...], Field(max_length=256)]


@dataclass(frozen=True, slots=True, order=True)
class AdmittedUse:
    """One admitted use of models, with the fields that are checked again later.

    Attributes:
        operation: Name of the operation.
        models: Every model id it runs.
        tuned: Every model id it tunes.
        deployments: Those of both that are names of deployments.
        modalities: Output modalities asked for.
        tool_types: Types of the tools offered.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    operation: _Word
    models: _Words = ()
    tuned: _Words = ()
    deployments: _Words = ()
    modalities: _Words = ()
    tool_types: _Words = ()

    @classmethod
    def of(cls, call: Call) -> AdmittedUse:
        """Return the use of a call, without its references."""
        return cls(
            call.operation,
            call.models,
            call.tuned,
            call.deployments,
            call.modalities,
            call.tool_types,
        )


Uses = Annotated[tuple[AdmittedUse, ...], Field(min_length=1, max_length=MAX_USES)]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Identifies an object: its kind and id, at one API of one provider."""

    provider: str
    api: str
    kind: str
    id: str

    @property
    def digest(self) -> str:
        """Return the lower-case hex SHA-256 of the four parts, each preceded by its length.

        The lengths (in bytes, decimal, then ``:``) make the encoding injective.
        """
        parts = (self.provider, self.api, self.kind, self.id)
        raw = [part.encode("utf-8") for part in parts]
        return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in raw)).hexdigest()


@dataclass(frozen=True, slots=True)
class Registration:
    """The registration of one object.

    Attributes:
        type: The version of this document.
        provider: The provider whose manifests name the models.
        api: Name of the upstream's table of operations.
        kind: Kind of the object, e.g. ``response``.
        id: The provider's id of the object.
        environment: SPIFFE ID of the environment that created it.
        uses: Uses of the call that created it, and of every object that the call referred to.
        window: From its creation to its expiry.
        decision: Id of the decision that admitted its creation.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    type: Literal["urn:admissibility:registration:v1"]
    provider: _Word
    api: _Word
    kind: _Word
    id: _Word
    environment: _Word
    uses: Uses
    window: Window
    decision: _Word

    @property
    def key(self) -> Key:
        """Return the key of its object."""
        return Key(self.provider, self.api, self.kind, self.id)

    def named(self, part: Callable[[AdmittedUse], tuple[str, ...]]) -> tuple[str, ...]:
        """Return one field of all uses together, without duplicates."""
        return tuple(dict.fromkeys(name for use in self.uses for name in part(use)))


def united(*groups: Iterable[AdmittedUse]) -> tuple[AdmittedUse, ...]:
    """Return all of the uses, in order, without duplicates.

    Raises:
        EvidenceError: They are more than ``MAX_USES``.
    """
    found = tuple(dict.fromkeys(use for group in groups for use in group))
    if len(found) > MAX_USES:
        raise EvidenceError(f"registration: more than {MAX_USES} different uses")
    return found


def sign_record(registration: Registration, sign: Callable[[bytes], bytes]) -> bytes:
    """Write a signed registration.

    Args:
        registration: The registration.
        sign: Signs a message; see ``RegistryKey.sign``.

    Returns:
        A DSSE envelope as JSON bytes.

    Raises:
        EvidenceError: Longer than ``MAX_RECORD_BYTES``.
    """
    payload = write(registration)
    signature = sign(dsse.pae(PAYLOAD_TYPE, payload))
    value = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": base64.b64encode(signature).decode("ascii")}],
    }
    data = json.dumps(value).encode("ascii") + b"\n"
    if len(data) > MAX_RECORD_BYTES:
        raise EvidenceError(f"registration: {len(data)} bytes, at most {MAX_RECORD_BYTES}")
    return data


def verify_record(data: bytes, keys: Iterable[PublicKey]) -> Registration:
    """Verify a signed registration, and parse its payload only after that.

    Raises:
        EvidenceError: Not such an envelope, signed by none of ``keys``, or not a registration.
    """
    envelope = dsse.parse(data, PAYLOAD_TYPE)
    if not dsse.verified_by(envelope, keys, PAYLOAD_TYPE):
        raise EvidenceError("registration: not signed by a key of this registry")
    return read(Registration, envelope.payload, max_bytes=MAX_RECORD_BYTES, what="registration")
