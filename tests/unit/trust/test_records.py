"""Records are written in exactly these bytes, which earlier versions of the format wrote too."""

from __future__ import annotations

import json

import pytest

from sidecar.core.evidence import Signer
from sidecar.core.tables import SignedPayload
from sidecar.trust import records
from sidecar.trust.records import DamagedError
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import admitted_world

_DIGEST = "ab" * 32


@pytest.mark.parametrize("name", ["manifest", "environment"])
def test_a_signed_payload_is_written_as_json(name: str) -> None:
    world = admitted_world()
    file = Steps(world).file(world.evidence[name])
    two = ((_DIGEST, frozenset({"sha256:b", "sha256:a"})), (file.file_digest, file.fingerprints))
    value = SignedPayload(file.statement, two)
    head, _, predicate = records.SIGNED.write(value).partition(b"\n")
    subject = file.statement.subject
    files = [[digest, sorted(keys)] for digest, keys in two]
    expected = [file.statement.predicate_type, subject.name, subject.digest.sha256, files]
    assert head == json.dumps(expected, ensure_ascii=False, separators=(",", ":")).encode()
    assert (
        predicate
        == json.dumps(json.loads(predicate), ensure_ascii=False, separators=(",", ":")).encode()
    )
    assert records.SIGNED.read(records.SIGNED.write(value)) == value


@pytest.mark.parametrize(
    ("table", "value", "written"),
    [
        ("files", _DIGEST, f'"{_DIGEST}"'),
        (
            "evidence",
            (Signer("a", "sha256:b"), Signer('c"d', "e")),
            r'[["a","sha256:b"],["c\"d","e"]]',
        ),
        ("approvals", (_DIGEST, "cd"), f'["{_DIGEST}","cd"]'),
        ("adapted", None, "null"),
    ],
)
def test_a_value_is_written_as_json(table: str, value: object, written: str) -> None:
    codec = records.CODECS[table]
    assert codec.write(value) == written.encode()
    assert codec.read(codec.write(value)) == value


@pytest.mark.parametrize("key", [_DIGEST, "k" * 600])
def test_a_key_is_read_back_from_its_record_however_long_it_is(key: str) -> None:
    at = records.VALUES["files"].key(key)
    record = records.VALUES["files"].record(at, key, _DIGEST)
    assert records.VALUES["files"].key_of(at, record) == key
    assert records.VALUES["files"].value(at, record) == _DIGEST


def test_records_are_summed_and_any_byte_that_is_not_as_written_is_found() -> None:
    codec = records.VALUES["files"]
    whole = [(at := codec.key(key), codec.record(at, key, _DIGEST)) for key in ("a", "b")]
    stamps = [int.from_bytes(record[: records.CHECKSUM_BYTES], "big") for _, record in whole]
    assert records.total("files", whole) == sum(stamps)
    (at, record), other = whole
    for place in range(len(record)):
        flipped = record[:place] + bytes([record[place] ^ 1]) + record[place + 1 :]
        with pytest.raises(DamagedError, match="files: a record is damaged"):
            records.total("files", [(at, flipped), other])
    with pytest.raises(DamagedError):
        records.total("files", [(codec.key("c"), record)])
    with pytest.raises(DamagedError):
        records.total("refused", whole)
