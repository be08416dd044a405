"""Writes keys and values of the trust state's tables as bytes, and reads them back.

A record is ``checksum · length of a long key · that key · value``. The checksum covers the table's
name, the key and the value, so that a record that was torn, flipped or moved is found when it is
read. Values are JSON in the wire form of ``core``. What is read was verified before it was written:
it is decoded here, not judged again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from json.encoder import encode_basestring
from typing import Any

from pydantic import TypeAdapter

from sidecar.core.documents import Failure, WithdrawalKind
from sidecar.core.evidence import Signer, Statement
from sidecar.core.kinds import BY_URN
from sidecar.core.memory import DeclaredScope, LineageNode, Successor, WithdrawnStatement
from sidecar.core.predicates import Subject
from sidecar.core.tables import SignedPayload
from sidecar.core.wire import DigestSet

CHECKSUM_BYTES = 8
SIDE_BYTES = 20
_LONGEST_KEY = 500
"""LMDB's limit is 511 bytes; longer keys are stored under their digest."""
_LENGTH_BYTES = 4
_NO_LONG_KEY = bytes(_LENGTH_BYTES)
_BETWEEN = '","'


class DamagedError(Exception):
    """A record is not what was written; the text names the table."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How one table's keys and values are written.

    Attributes:
        name: Of the table.
        write: Value → JSON bytes.
        read: JSON bytes → value.
        read_key: JSON value → key.
    """

    name: str
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    read_key: Callable[[Any], Any]

    def key(self, key: Any) -> bytes:  # noqa: ANN401 - keys of any table
        """Return the key's bytes in the database."""
        text = _key_text(key).encode()
        if len(text) <= _LONGEST_KEY:
            return text
        return b"#" + hashlib.blake2b(text, digest_size=32).digest()

    def record(self, at: bytes, key: Any, value: Any) -> bytes:  # noqa: ANN401 - of any table
        """Return the record of a key, whose bytes are ``at``, and a value."""
        body = _NO_LONG_KEY + self.write(value)
        if at[:1] == b"#":
            text = _key_text(key).encode()
            body = len(text).to_bytes(_LENGTH_BYTES, "big") + text + body[_LENGTH_BYTES:]
        return checksum(self.name, at, body) + body

    def value(self, at: bytes, record: bytes) -> Any:  # noqa: ANN401 - of any table
        """Return the value of a record.

        Raises:
            DamagedError: The record is not the one that was written under ``at``.
        """
        _, value = self._body(at, record)
        return self.read(value)

    def key_of(self, at: bytes, record: bytes) -> Any:  # noqa: ANN401 - of any table
        """Return the key of a record; raises ``DamagedError`` as ``value`` does."""
        text, _ = self._body(at, record)
        return self.read_key(json.loads(text or at))

    def _body(self, at: bytes, record: bytes) -> tuple[bytes, bytes]:
        body = record[CHECKSUM_BYTES:]
        if checksum(self.name, at, body) != record[:CHECKSUM_BYTES]:
            raise DamagedError(f"{self.name}: a record is damaged")
        length = int.from_bytes(body[:_LENGTH_BYTES], "big")
        end = _LENGTH_BYTES + length
        return body[_LENGTH_BYTES:end], body[end:]


def _key_text(key: Any) -> str:  # noqa: ANN401 - a text, or a tuple of texts
    """Write a key as JSON; as ``json.dumps`` does, without its set-up."""
    if isinstance(key, tuple):
        return f"[{','.join(map(encode_basestring, key))}]"
    return encode_basestring(key)


def side(left: str, right: str = "") -> bytes:
    """Return the key of a pair, or of the first pair of a left side; ``right`` is hex."""
    return _left(left) + bytes.fromhex(right)


@lru_cache(maxsize=1024)  # a few keys sign nearly everything
def _left(left: str) -> bytes:
    return hashlib.blake2b(left.encode(), digest_size=SIDE_BYTES).digest()


def pair_record(name: str, at: bytes) -> bytes:
    """Return the record of a pair, which has no value."""
    return checksum(name, at, b"")


def checksum(name: str, at: bytes, body: bytes) -> bytes:
    """Return the checksum of a record: of its table, its key and its body."""
    digest = _begun(name).copy()  # faster than another one with these parameters
    digest.update(at + body)
    return digest.digest()


def total(name: str, found: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the sum of the checksums of records of one table, by their keys.

    Raises:
        DamagedError: One is not what was written under its key.
    """
    begun, stamps = _begun(name), 0
    for at, record in found:
        digest = begun.copy()
        digest.update(at + record[CHECKSUM_BYTES:])
        stamp = digest.digest()
        if not record.startswith(stamp):
            raise DamagedError(f"{name}: a record is damaged")
        stamps += int.from_bytes(stamp, "big")
    return stamps


@cache
def _begun(name: str) -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=CHECKSUM_BYTES, person=name.encode()[:16])


def _typed(name: str, kind: Any, key: Callable[[Any], Any] = str) -> Codec:  # noqa: ANN401 - a type
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return Codec(name, _writer(adapter), adapter.validate_json, key)


def _writer(adapter: TypeAdapter[Any]) -> Callable[[Any], bytes]:
    to_json = adapter.serializer.to_json  # without what the adapter looks at each time

    def write(value: Any) -> bytes:  # noqa: ANN401 - of any table
        return to_json(value, by_alias=True)

    return write


def _write_digest(digest: str) -> bytes:
    return f'"{digest}"'.encode()


def _write_signed(value: SignedPayload) -> bytes:
    statement = value.statement
    urn, name = statement.predicate_type, encode_basestring(statement.subject.name)
    # Digests, fingerprints and known types have nothing that JSON escapes.
    files = ",".join(
        [f'["{digest}",["{_BETWEEN.join(sorted(keys))}"]]' for digest, keys in value.files]
    )
    head = f'["{urn}",{name},"{statement.subject.digest.sha256}",[{files}]]\n'
    return head.encode() + _predicate_writer(urn)(statement.predicate)


def _read_signed(data: bytes) -> SignedPayload:
    head, _, predicate = data.partition(b"\n")
    urn, name, digest, files = json.loads(head)
    subject = Subject(name, DigestSet(digest))
    statement = Statement(subject, urn, _predicate(urn).validate_json(predicate))
    return SignedPayload(statement, tuple((one, frozenset(keys)) for one, keys in files))


@cache
def _predicate(urn: str) -> TypeAdapter[Any]:
    return TypeAdapter(BY_URN[urn].predicate)


@cache
def _predicate_writer(urn: str) -> Callable[[Any], bytes]:
    return _writer(_predicate(urn))


def _write_signers(signers: tuple[Signer, ...]) -> bytes:
    pairs = (_key_text((each.authority, each.fingerprint)) for each in signers)
    return f"[{','.join(pairs)}]".encode()


def _read_signers(data: bytes) -> tuple[Signer, ...]:
    return tuple(Signer(*each) for each in json.loads(data))


def _write_successors(found: tuple[Successor, ...]) -> bytes:
    # By hand: one that is only announced names no key, which a remembered one must.
    return json.dumps(
        [[each.manifest, each.by, each.signers, each.nodes] for each in found]
    ).encode()


def _read_successors(data: bytes) -> tuple[Successor, ...]:
    return tuple(
        Successor(
            manifest,
            by,
            tuple((authority, fingerprint) for authority, fingerprint in signers),
            tuple(LineageNode(WithdrawalKind(kind), subject) for kind, subject in nodes),
        )
        for manifest, by, signers, nodes in json.loads(data)
    )


def _pair(key: list[str]) -> tuple[str, str]:
    return key[0], key[1]


def _withdrawn(key: list[str]) -> tuple[WithdrawalKind, str]:
    return WithdrawalKind(key[0]), key[1]


SIGNED = Codec("signed", _write_signed, _read_signed, str)
SIGNERS = Codec("evidence", _write_signers, _read_signers, str)
"""The signers alone; the statement is in ``SIGNED`` under the same digest."""

INDEXES = {
    name: _typed(name, tuple[str, ...], key)
    for name, key in (
        ("manifests", _pair),
        ("approvals", str),
        ("results", str),
        ("environments", str),
        ("waivers", str),
        ("bindings", _pair),
    )
}
"""Tables of evidence by index key; a value is the digests."""

SINGLES = {name: _typed(name, None) for name in ("manifests_by_digest", "specifications")}
"""Tables of evidence by its own digest; there is no value."""

VALUES = {
    codec.name: codec
    for codec in (
        Codec("files", _write_digest, json.loads, str),
        _typed("refused", str),
        _typed("failures", tuple[tuple[str, Failure], ...]),
        Codec("successors", _write_successors, _read_successors, str),
        _typed("statements", tuple[LineageNode, ...]),
        _typed("declared", tuple[tuple[str, str], ...]),
        _typed("adapted", None),
        Codec("lineages", _write_successors, _read_successors, str),
        _typed("succeeds", tuple[str, ...]),
        _typed("taken_over", tuple[str, ...], _pair),
        _typed("took", None, _pair),
        _typed("withdrawn", tuple[WithdrawnStatement, ...], _pair),
        _typed("withdrawn_as", tuple[WithdrawnStatement, ...], _withdrawn),
        _typed("scopes", tuple[DeclaredScope, ...]),
        _typed("patterns", None),
    )
}
"""Every other table that is no relation."""

CODECS = {
    codec.name: codec
    for codec in (SIGNED, SIGNERS, *VALUES.values(), *INDEXES.values(), *SINGLES.values())
}
"""Every table that is no relation."""
