"""Signed documents: strict JSON, exact types, canonical bytes, and no unknown critical field."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict

from sidecar.core import wire
from sidecar.core.documents import WithdrawalsDocument, read_withdrawals
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window
from sidecar.core.wire import WIRE, DigestSet, Hex64, Name

DIGEST = "0f" * 32


@dataclass(frozen=True, slots=True)
class Sample:
    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    file_name: Name
    digest: DigestSet
    count: int = 0
    other: Hex64 | None = None
    critical: tuple[str, ...] = ()


WHOLE = Sample("a.json", DigestSet(DIGEST), 2)
BYTES = b'{"count":2,"critical":[],"digest":{"sha256":"%s"},"fileName":"a.json"}' % DIGEST.encode()


def read(data: bytes) -> Sample:
    return wire.read(Sample, data, max_bytes=512, what="sample")


def test_a_document_is_written_canonically_and_read_back_as_the_same_value() -> None:
    assert wire.write(WHOLE) == BYTES
    assert read(BYTES) == WHOLE


def test_unknown_fields_are_ignored_unless_they_are_critical() -> None:
    more = BYTES[:-1] + b',"more":1}'
    assert read(more) == WHOLE
    named = more.replace(b'"critical":[]', b'"critical":["more"]')
    with pytest.raises(EvidenceError) as caught:
        read(named)
    assert str(caught.value) == "sample: the critical field 'more' is not understood"
    known = BYTES.replace(b'"critical":[]', b'"critical":["fileName"]')
    assert read(known).critical == ("fileName",)


@pytest.mark.parametrize(
    ("old", "new", "twin", "name"),
    [
        (b"{", b'{"FileName":"b.json",', "FileName", "fileName"),
        (b"{", b'{"Other":"%s",' % DIGEST.encode(), "Other", "other"),
        (b"{", b'{"Critical":["more"],', "Critical", "critical"),
        (b'{"sha256"', b'{"SHA256":"1","sha256"', "SHA256", "sha256"),
        (b'{"sha256"', '{"ſha256":"1","sha256"'.encode(), "ſha256", "sha256"),
    ],
)
def test_a_field_that_another_parser_would_read_as_a_known_one_is_refused(
    old: bytes, new: bytes, twin: str, name: str
) -> None:
    with pytest.raises(EvidenceError) as caught:
        read(BYTES.replace(old, new, 1))
    assert str(caught.value) == f"sample: the field {twin!r} is a twin of {name!r}"


def test_a_field_is_read_by_its_name_on_the_wire_alone() -> None:
    with pytest.raises(EvidenceError, match=r"^sample: fileName: "):
        read(BYTES.replace(b"fileName", b"file_name"))


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (b'"count":2', b'"count":"2"', "count"),
        (b'"count":2', b'"count":2.5', "count"),
        (b'"count":2', b'"count":true', "count"),
        (b'"fileName":"a.json"', b'"fileName":""', "fileName"),
        (DIGEST.encode(), DIGEST.upper().encode(), "digest.sha256"),
        (DIGEST.encode(), DIGEST[:-1].encode(), "digest.sha256"),
        (b'"critical":[]', b'"critical":1', "critical is not a list of names"),
    ],
)
def test_another_type_is_refused_by_the_name_of_its_field(
    old: bytes, new: bytes, place: str
) -> None:
    with pytest.raises(EvidenceError, match=f"^sample: {place}"):
        read(BYTES.replace(old, new))


def test_a_document_over_the_cap_or_with_two_readings_is_refused() -> None:
    for data in (BYTES + b" " * 512, BYTES.replace(b'"count":2', b'"count":2,"count":3')):
        with pytest.raises(EvidenceError, match=r"^sample: "):
            read(data)


def test_a_fault_of_no_single_field_is_one_of_the_document() -> None:
    backwards = {"notBefore": "2026-06-02T00:00:00Z", "notAfter": "2026-06-01T00:00:00Z"}
    with pytest.raises(EvidenceError) as caught:
        wire.read_value(Window, backwards, what="w")
    assert str(caught.value) == "w: document: Value error, a window must end after it begins"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(1 - 2**53, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(TEXT, VALUES, max_size=3))
def test_values_reach_strict_types_as_rfc_8785_writes_them(value: dict[str, Any]) -> None:
    """1.0 as 1, keys in order: what is read does not depend on which of two writers was used."""
    written = json.loads(wire._canonical_values(value))
    expected = json.loads(rfc8785.dumps(value))
    assert repr(written) == repr(expected)


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**300])
def test_an_integer_beyond_doubles_is_refused_by_either_writer(number: int) -> None:
    with pytest.raises(rfc8785.IntegerDomainError):
        wire._canonical_values({"seed": number})


def test_what_is_dumped_is_loaded_as_it_was() -> None:
    """Without absent optional fields, like what is signed; its keys are in any order."""
    data = (
        b'{"entries":[{"effective":"2026-01-02T03:04:05.6Z","kind":"model","reason":"r",'
        b'"subject":"p/m"},{"kind":"key","reason":"r","subject":"s"}],'
        b'"type":"urn:admissibility:withdrawals:v1"}'
    )
    document = read_withdrawals(data)
    dumped = wire.dump(document)
    assert wire.load(WithdrawalsDocument, dumped) == document
    assert b"null" not in dumped
    with pytest.raises(ValueError, match="Invalid JSON"):
        wire.load(WithdrawalsDocument, dumped[:-1])
