"""A registration says what was signed, about one object, and nothing else passes for one."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.core import dsse
from sidecar.core.call import Call, Reference
from sidecar.core.reasons import EvidenceError
from sidecar.registry.keys import open_or_create
from sidecar.registry.record import (
    MAX_USES,
    PAYLOAD_TYPE,
    AdmittedUse,
    Key,
    sign_record,
    united,
    verify_record,
)
from tests.unit.registry.samples import KEY, USE, registration


def test_what_is_sealed_is_what_is_opened(tmp_path: Path) -> None:
    key = open_or_create(tmp_path / "key.pem")
    assert verify_record(sign_record(registration(), key.sign), [key.public]) == registration()


def test_the_payload_type_is_of_its_own_and_signed(tmp_path: Path) -> None:
    key = open_or_create(tmp_path / "key.pem")
    envelope = json.loads(sign_record(registration(), key.sign))
    payload = base64.b64decode(envelope["payload"])
    as_evidence = base64.b64encode(key.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))).decode()
    signature = envelope["signatures"][0]["sig"]
    kinds = [
        (PAYLOAD_TYPE, as_evidence),  # signed as evidence, shown as a registration
        (dsse.PAYLOAD_TYPE, as_evidence),  # plain evidence
        (dsse.PAYLOAD_TYPE, signature),  # a registration, shown as evidence
    ]
    for payload_type, sig in kinds:
        value = {**envelope, "payloadType": payload_type, "signatures": [{"sig": sig}]}
        with pytest.raises(EvidenceError):
            verify_record(json.dumps(value).encode(), [key.public])
    assert PAYLOAD_TYPE == "application/vnd.admissibility.registration+json"


def test_another_key_or_one_changed_byte_is_refused(tmp_path: Path) -> None:
    key, other = open_or_create(tmp_path / "a.pem"), open_or_create(tmp_path / "b.pem")
    sealed = sign_record(registration(), key.sign)
    value = json.loads(sealed)
    payload = base64.b64decode(value["payload"]).replace(b"resp_1", b"resp_2")
    changed = {**value, "payload": base64.b64encode(payload).decode()}
    for data, keys in ((sealed, [other.public]), (json.dumps(changed).encode(), [key.public])):
        with pytest.raises(EvidenceError, match="not signed by a key of this registry"):
            verify_record(data, keys)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "urn:admissibility:registration:v2"},
        {"uses": []},
        {"environment": ""},
        {"window": {"notBefore": "2026-06-01T12:00:00Z", "notAfter": "2026-06-01T12:00:00Z"}},
        {"critical": ["until"]},
    ],
)
def test_a_signed_document_that_is_no_registration_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    key = open_or_create(tmp_path / "key.pem")
    envelope = json.loads(sign_record(registration(), key.sign))
    value = {**json.loads(base64.b64decode(envelope["payload"])), **change}
    payload = json.dumps(value).encode()
    envelope["payload"] = base64.b64encode(payload).decode()
    signature = key.sign(dsse.pae(PAYLOAD_TYPE, payload))
    envelope["signatures"] = [{"sig": base64.b64encode(signature).decode()}]
    with pytest.raises(EvidenceError, match="registration"):
        verify_record(json.dumps(envelope).encode(), [key.public])


def test_no_two_objects_have_one_name() -> None:
    keys = [
        KEY,
        Key("openai", "openai", "response", "resp_10"),
        Key("openai", "openai", "response1", "resp_"),
        Key("openaio", "penai", "response", "resp_1"),
        Key("openai", "openairesponse", "", "resp_1"),
        Key("openai", "openai", "file", "resp_1"),
    ]
    assert len({key.digest for key in keys}) == len(keys)
    whole = b"6:openai6:openai8:response6:resp_1"
    assert KEY.digest == hashlib.sha256(whole).hexdigest()


def test_a_use_is_what_the_call_names_by_itself() -> None:
    call = Call(
        "azure",
        "responses",
        ("dep", "m"),
        stream=True,
        modalities=("text",),
        tool_types=("function",),
        tuned=("t",),
        deployments=("dep",),
        references=(Reference("response", "resp_0"),),
    )
    assert AdmittedUse.of(call) == AdmittedUse(
        "responses", ("dep", "m"), ("t",), ("dep",), ("text",), ("function",)
    )


def test_uses_are_united_without_repeats_and_bounded() -> None:
    others = [AdmittedUse(f"op-{number}", ("m",)) for number in range(MAX_USES - 1)]
    assert united([USE], others, [USE]) == (USE, *others)
    assert registration(uses=(USE, *others)).named(lambda use: use.models) == (*USE.models, "m")
    with pytest.raises(EvidenceError, match="more than 256 different uses"):
        united([USE], others, [AdmittedUse("one more", ("m",))])
