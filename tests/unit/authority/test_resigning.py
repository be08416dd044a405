"""Law 8: a key is retired at once or after an overlap, and what holds is signed anew."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home
from sidecar.authority.resigning import Resigned, ResignOutcome
from sidecar.core import dsse, kinds
from sidecar.core.documents import AttestationKey, WithdrawalKind
from sidecar.core.window import Window
from tests.unit.authority.helpers import DAY, Pin
from tests.unit.authority.reader import NOW
from tests.unit.authority.statements import approval, result, window

LIFE = 730 * DAY


def listed(home: Home, pin: Pin) -> tuple[AttestationKey, ...]:
    return pin(home).documents("acme")[0].keys


def signers(path: Path, home: Home) -> list[str]:
    """Which of an authority's listed keys signed, oldest key first."""
    keys = [key.public_key() for key in authority.describe(home).document.keys]
    signed = dsse.verified_by(dsse.parse(path.read_bytes()), keys)
    return [key.fingerprint for key in keys if key.fingerprint in signed]


def test_a_rotated_attestation_key_stays_listed_and_is_retired_at_once(
    acme: Home, pinned: Pin
) -> None:
    first = authority.pem(acme)
    authority.rotate(acme, "attestation", NOW, key_type="ecdsa")
    second = authority.pem(acme)
    authority.rotate(acme, "attestation", NOW)
    spans = Window(NOW, NOW + LIFE)
    types = tuple(kinds.BY_URN)
    assert listed(acme, pinned) == (
        AttestationKey(first, spans, types, "retired"),
        AttestationKey(second, spans, types, "retired"),
        AttestationKey(authority.pem(acme), spans, types),
    )


def test_with_an_overlap_the_old_key_agrees_until_it_ends(acme: Home, pinned: Pin) -> None:
    first = authority.pem(acme)
    authority.rotate(acme, "attestation", NOW, overlap=14 * DAY)
    second = authority.pem(acme)
    # A second overlap leaves the first one as it is.
    authority.rotate(acme, "attestation", NOW + DAY, overlap=7 * DAY)
    windows = [(key.pem, key.status, key.window) for key in listed(acme, pinned)]
    assert windows == [
        (first, "active", Window(NOW, NOW + 14 * DAY)),
        (second, "active", Window(NOW, NOW + 8 * DAY)),
        (authority.pem(acme), "active", Window(NOW + DAY, NOW + DAY + LIFE)),
    ]
    # What is over is retired with the next rotation; a rotation without overlap retires all.
    authority.rotate(acme, "attestation", NOW + 10 * DAY, overlap=DAY)
    statuses = [key.status for key in authority.describe(acme).document.keys]
    assert statuses == ["active", "retired", "active", "active"]
    authority.rotate(acme, "attestation", NOW + 10 * DAY)
    statuses = [key.status for key in authority.describe(acme).document.keys]
    assert statuses == ["retired"] * 4 + ["active"]


def test_an_overlap_never_makes_a_key_last_longer(acme: Home, pinned: Pin) -> None:
    authority.rotate(acme, "attestation", NOW, overlap=9999 * DAY)
    assert listed(acme, pinned)[0].window == Window(NOW, NOW + LIFE)


def test_only_the_attestation_key_overlaps(acme: Home) -> None:
    with pytest.raises(AuthorityError, match="an overlap is for the attestation key, not for root"):
        authority.rotate(acme, "root", NOW, overlap=DAY)


def test_resign_keeps_the_payload_and_replaces_the_own_signature_alone(
    acme: Home, tmp_path: Path
) -> None:
    other = authority.init(tmp_path / "other", "other", now=NOW)
    done = authority.issue(acme, approval(), NOW, out=tmp_path)
    value = json.loads(done.path.read_bytes())
    foreign = json.loads(authority.attest(other, approval(), NOW))["signatures"][0]
    value["signatures"].append(foreign)
    done.path.write_text(json.dumps(value))
    old = signers(done.path, acme)
    warned = authority.rotate(acme, "attestation", NOW).warnings
    assert warned == (
        "1 statement of yours is signed with an earlier key, which does not count any more; sign "
        "again: admit resign FOLDER",
    )
    assert authority.resign(acme, [done.path], NOW) == (
        Resigned(done.path, ResignOutcome.SIGNED, done.digest),
    )
    again = json.loads(done.path.read_bytes())
    assert again["payload"] == value["payload"]
    assert again["signatures"][0] == foreign
    assert len(again["signatures"]) == 2
    new = authority.describe(acme).keys["attestation"].fingerprint()
    assert (signers(done.path, acme), old != [new]) == ([new], True)
    before = done.path.read_bytes()
    assert authority.resign(acme, [done.path], NOW)[0].outcome is ResignOutcome.CURRENT
    assert done.path.read_bytes() == before
    assert authority.rotate(acme, "root", NOW).warnings == ()


def test_what_the_home_has_no_record_of_is_not_signed_unasked(acme: Home, tmp_path: Path) -> None:
    """A thief of the old key may have made it."""
    path = tmp_path / "forged.dsse.json"
    path.write_bytes(authority.attest(acme, approval(), NOW))
    (record,) = (acme.path / "signed").rglob("*.json")
    record.unlink()
    authority.rotate(acme, "attestation", NOW)
    before = path.read_bytes()
    assert authority.resign(acme, [path], NOW)[0].outcome is ResignOutcome.UNRECORDED
    assert path.read_bytes() == before
    assert authority.resign(acme, [path], NOW, unrecorded=True)[0].outcome is ResignOutcome.SIGNED


def test_only_what_still_holds_and_is_evidence_of_this_authority_is_signed(
    acme: Home, tmp_path: Path
) -> None:
    other = authority.init(tmp_path / "other", "other", now=NOW)
    ended = authority.issue(acme, approval(holds=window(1)), NOW, out=tmp_path)
    bad = authority.issue(acme, result(), NOW, out=tmp_path)
    authority.withdraw(acme, WithdrawalKind.RESULT, bad.digest, "wrong", None, NOW)
    foreign = authority.issue(other, result(), NOW, out=tmp_path / "theirs")
    (tmp_path / "note.json").write_text("{}")
    files = [ended.path, bad.path, foreign.path, tmp_path / "note.json"]
    before = [path.read_bytes() for path in files]
    authority.rotate(acme, "attestation", NOW)
    done = authority.resign(acme, files, NOW + timedelta(days=2))
    assert [one.outcome for one in done] == [
        ResignOutcome.ENDED,
        ResignOutcome.WITHDRAWN,
        ResignOutcome.FOREIGN,  # although the same payload is in the record
        ResignOutcome.NO_EVIDENCE,
    ]
    assert [path.read_bytes() for path in files] == before


def test_a_file_that_is_not_there_is_named(acme: Home, tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match=r"gone\.json: No such file or directory"):
        authority.resign(acme, [tmp_path / "gone.json"], NOW)
