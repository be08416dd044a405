"""Parses and writes in-toto Statements, and pairs them with the keys that signed them.

The predicate type alone decides which dataclass the predicate is read as (``kinds``; cosign
CVE-2022-35929).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import ConfigDict, Field

from sidecar.core import kinds, strict_json, wire
from sidecar.core.kinds import EvidenceKind
from sidecar.core.predicates import P, Predicate, Subject
from sidecar.core.reasons import EvidenceError
from sidecar.core.wire import WIRE

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_PAYLOAD_BYTES = 1 << 19

Inside = TypeVar("Inside")


@dataclass(frozen=True, slots=True)
class _Frame(Generic[Inside]):
    """A statement, and what its predicate is read as."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    type: Annotated[str, Field(alias="_type")]
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: str
    predicate: Inside


@dataclass(frozen=True, slots=True)
class Statement(Generic[P]):
    """An in-toto Statement v1 with exactly one subject and a predicate of a known type."""

    subject: Subject
    predicate_type: str
    predicate: P


@dataclass(frozen=True, slots=True, order=True)
class Signer:
    """An authority and the fingerprint of the key of its that signed."""

    authority: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Evidence(Generic[P]):
    """A statement with the keys of known authorities that signed it.

    Attributes:
        digest: Lower-case hex SHA-256 of the payload: the evidence's identity.
        statement: The parsed payload.
        signers: Whose keys signed exactly these bytes, and may sign this predicate type; never
            empty. Whether they were *granted* anything is for the predicate to ask.
    """

    digest: str
    statement: Statement[P]
    signers: tuple[Signer, ...]

    @property
    def predicate(self) -> P:
        """The statement's predicate."""
        return self.statement.predicate


def parse_statement(payload: bytes) -> Statement[Predicate]:
    """Parse the payload of an envelope whose signature was verified.

    Raises:
        EvidenceError: Not a Statement v1, not exactly one subject with a ``sha256``, an unknown
            predicate type, or a predicate that breaks its type's rules.
    """
    try:
        value = strict_json.loads_object(payload, max_bytes=MAX_PAYLOAD_BYTES)
    except strict_json.StrictJsonError as error:
        raise EvidenceError(f"statement: {error}") from error
    if value.get("_type") != STATEMENT_TYPE:
        raise EvidenceError(f"statement: _type is not exactly {STATEMENT_TYPE}")
    return plain_statement(payload, value, wire.read_directly) or _explained(value)


def plain_statement(
    payload: bytes, value: Mapping[str, Any], read: Callable[[Any, bytes], Any]
) -> Statement[Predicate] | None:
    """Parse a statement in one pass.

    Args:
        payload: Its bytes.
        value: What they hold, as the strict parser reads it, with the ``_type`` of a statement.
        read: ``wire.read_directly``, or ``wire.read_plain`` where the numbers were looked at.

    Returns:
        ``None`` where something may be wrong with it.
    """
    urn, inside = value.get("predicateType"), value.get("predicate")
    kind = kinds.BY_URN.get(urn) if isinstance(urn, str) else None
    if kind is None or not isinstance(inside, dict) or "critical" in value or "critical" in inside:
        return None
    whole: Any = read(_frame(kind.urn), payload)
    return None if whole is None else _checked(kind, whole)


@cache
def plain_reader(urn: str) -> Callable[[bytes], Statement[Predicate] | None]:
    """Return a function that reads payloads of a kind as ``plain_statement`` does.

    Args:
        urn: Their predicate type. They must be strict JSON without a ``critical`` list, with
            numbers that are read as they are written, and have the ``_type`` of a statement.
    """
    kind = kinds.BY_URN[urn]
    read: Callable[[bytes], Any] = wire.plain_reader(_frame(urn))

    def statement(payload: bytes) -> Statement[Predicate] | None:
        whole = read(payload)
        return None if whole is None else _checked(kind, whole)

    return statement


def _checked(kind: EvidenceKind[Any], whole: _Frame[Any]) -> Statement[Predicate]:
    """Return the statement in a frame; raises ``EvidenceError`` as ``check_subject`` does."""
    subject = whole.subject[0]
    kind.check_subject(subject, whole.predicate)
    return Statement(subject, kind.urn, whole.predicate)


@cache
def _frame(urn: str) -> Any:  # noqa: ANN401 - a type that is known only here
    frame: Any = _Frame
    return frame[kinds.BY_URN[urn].predicate]


def _explained(value: dict[str, Any]) -> Statement[Predicate]:
    """Parse a statement part by part, and raise what is wrong with it."""
    inside: Any = value.get("predicate")
    if isinstance(inside, dict):
        value = {**value, "predicate": {}}  # the predicate is read once, below
    frame = wire.read_value(_Frame[dict[str, Any]], value, what="statement")
    kind = kinds.BY_URN.get(frame.predicate_type)
    if kind is None:
        raise EvidenceError(f"statement: predicate type {frame.predicate_type!r} is not known")
    predicate: Predicate = wire.read_value(kind.predicate, inside, what="predicate")
    kind.check_subject(frame.subject[0], predicate)
    return Statement(frame.subject[0], frame.predicate_type, predicate)


def write_statement(statement: Statement[Predicate]) -> bytes:
    """Write a statement as the canonical JSON that is signed as an envelope's payload.

    Raises:
        EvidenceError: Reading it back would refuse it.
    """
    value = {
        "_type": STATEMENT_TYPE,
        "subject": [wire.plain(statement.subject)],
        "predicateType": statement.predicate_type,
        "predicate": wire.plain(statement.predicate),
    }
    payload = wire.canonical(value)
    parse_statement(payload)
    return payload
