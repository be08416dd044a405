"""An envelope is bytes until a key has spoken for exactly those bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.core import dsse
from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError
from tests.support.simulator.keys import SimKey, envelope

PAYLOAD = b'{"hello": "w\xc3\xb6rld"}'


def fields(**changes: Any) -> bytes:
    value: dict[str, Any] = {
        "payload": base64.b64encode(PAYLOAD).decode(),
        "payloadType": dsse.PAYLOAD_TYPE,
        "signatures": [{"sig": "AAAA"}],
    }
    return json.dumps({k: v for k, v in {**value, **changes}.items() if v is not None}).encode()


def public(key: SimKey) -> PublicKey:
    return PublicKey.from_pem(key.pem)


def test_the_encoding_counts_bytes_and_not_characters() -> None:
    # The specification's own example, and one where the two counts differ.
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert dsse.pae("tüp", b"\xc3\xbc") == b"DSSEv1 4 t\xc3\xbcp 2 \xc3\xbc"


@pytest.mark.parametrize("make", [SimKey.ed25519, SimKey.p256])
def test_a_signature_holds_for_exactly_the_signed_bytes(make: Any) -> None:
    key, other = make(), make()
    parsed = dsse.parse(envelope(PAYLOAD, key))
    assert parsed.payload == PAYLOAD
    assert parsed.digest == hashlib.sha256(PAYLOAD).hexdigest()
    assert dsse.verified_by(parsed, [public(other), public(key)]) == {key.fingerprint}
    altered = dsse.Envelope(PAYLOAD + b" ", parsed.signatures, parsed.digest)
    assert dsse.verified_by(altered, [public(key)]) == frozenset()


def test_p384_keys_verify_with_their_own_hash() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signature = key.sign(b"message", ec.ECDSA(hashes.SHA384()))
    assert PublicKey.from_pem(pem.decode()).verifies(signature, b"message")


def test_a_repeated_signature_counts_once() -> None:
    key = SimKey.ed25519()
    parsed = dsse.parse(envelope(PAYLOAD, key, key))
    assert len(parsed.signatures) == 2
    assert dsse.verified_by(parsed, [public(key), public(key)]) == {key.fingerprint}


def test_key_id_and_fingerprint_are_hints_and_nothing_more() -> None:
    key = SimKey.ed25519()
    value = json.loads(envelope(PAYLOAD, key))
    value["signatures"][0] |= {"keyid": "somebody-else", "fingerprint": "sha256:00"}
    parsed = dsse.parse(json.dumps(value).encode())
    assert parsed.key_ids == {"somebody-else", "sha256:00"}
    assert dsse.verified_by(parsed, [public(key)]) == {key.fingerprint}


def test_a_signature_over_another_payload_type_does_not_count() -> None:
    key = SimKey.ed25519()
    value = json.loads(envelope(PAYLOAD, key, payload_type="application/json"))
    value["payloadType"] = dsse.PAYLOAD_TYPE
    parsed = dsse.parse(json.dumps(value).encode())
    assert dsse.verified_by(parsed, [public(key)]) == frozenset()


def test_both_base64_alphabets_are_read() -> None:
    tricky = b"\xfb\xff\xfe" * 3
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert dsse.parse(fields(payload=encode(tricky).decode())).payload == tricky


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[]", "envelope: not a JSON object"),
        (b'{"payload": "a", "payload": "b"}', "envelope: a key is given twice"),
        (
            fields(payloadType="application/vnd.in-toto+json "),
            "envelope: payloadType is not exactly application/vnd.in-toto+json",
        ),
        (
            fields(payloadType="application/vnd.in-toto+json ", signed=True),
            "envelope: payloadType is not exactly application/vnd.in-toto+json",
        ),
        (
            fields(payloadType="Application/vnd.in-toto+json"),
            "envelope: payloadType is not exactly application/vnd.in-toto+json",
        ),
        (fields(signatures=[]), "envelope: needs 1 to 16 signatures"),
        (fields(signatures=[{"sig": "AAAA"}] * 17), "envelope: needs 1 to 16 signatures"),
        (fields(signatures={"sig": "AAAA"}), "envelope: needs 1 to 16 signatures"),
        (fields(signatures=["AAAA"]), "envelope: signature is missing"),
        (fields(signatures=[{}]), "envelope: signature is missing"),
        (fields(Payload="AAAA"), "envelope: the key 'Payload' is a twin of 'payload'"),
        (
            fields(signatures=[{"sig": "AAAA", "Sig": 1}]),
            "envelope: the key 'Sig' is a twin of 'sig'",
        ),
        (fields(payload=None), "envelope: payload is missing"),
        (fields(payload=""), "envelope: payload is missing"),
        (fields(payload="A+_A"), "envelope: payload mixes two base64 alphabets"),
        (fields(payload="A"), "envelope: payload is not base64"),
        (fields(payload="AA AA"), "envelope: payload is not base64"),
        (fields(payload="AAÄA"), "envelope: payload is not base64"),
    ],
)
def test_a_malformed_envelope_is_refused_by_the_rule_it_breaks(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        dsse.parse(data)
    assert str(caught.value) == message


def test_an_endless_envelope_is_not_read() -> None:
    with pytest.raises(EvidenceError, match="at most 1048576 are read"):
        dsse.parse(b" " * (dsse.MAX_ENVELOPE_BYTES + 1))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (
            {"mediaType": "x", "dsseEnvelope": {}},
            "this is a Sigstore bundle (take its dsseEnvelope)",
        ),
        ({"_type": "x", "predicateType": "y"}, "this is an unsigned statement"),
        ({"signed": {}, "signatures": []}, "this is TUF metadata"),
        ({"kty": "EC"}, "this is a JWK"),
    ],
)
def test_a_file_that_is_no_envelope_is_named(value: dict[str, Any], found: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        dsse.parse(json.dumps(value).encode())
    assert str(caught.value) == (
        f"envelope: {found}: payloadType is not exactly application/vnd.in-toto+json"
    )


def test_one_key_in_two_notations_has_one_fingerprint() -> None:
    key = SimKey.p256()
    again = key.pem.replace("\n", "\r\n")
    assert PublicKey.from_pem(again).fingerprint == key.fingerprint
    assert PublicKey.from_pem(again) == PublicKey.from_pem(key.pem)
