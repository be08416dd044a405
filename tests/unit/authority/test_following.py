"""Case 14: a trust domain's roots are published whenever its bundle changed, and only then."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from securesystemslib.signer import Signature

from sidecar.authority import edition
from sidecar.authority import home as authority
from sidecar.authority.bundles import TrustBundle
from sidecar.authority.errors import AuthorityError, SecretError
from sidecar.authority.following import bounded, follow, follow_once
from sidecar.authority.keys import KeySigner
from sidecar.authority.open_home import Home
from sidecar.core.documents import TrustDomain
from tests.unit.authority.helpers import Pin, key_file
from tests.unit.authority.reader import NOW

NAME = "acme.example"


@cache
def jwk(kid: str) -> dict[str, Any]:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return {**ECAlgorithm.to_jwk(public, as_dict=True), "kid": kid, "use": "jwt-svid"}


def domain(*kids: str, name: str = NAME) -> TrustDomain:
    keys = [jwk(kid) for kid in kids]
    return TrustDomain(name, {"keys": keys} if keys else None)


@dataclass
class Script:
    """A source that gives each of its answers once, in order."""

    answers: list[TrustBundle | str]
    asked: list[str] = field(default_factory=list)

    def fetch(self, name: str) -> TrustBundle:
        self.asked.append(name)
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            raise AuthorityError(answer)
        return answer


def one(home: Home, bundle: TrustBundle) -> int | None:
    done = follow_once(home, NAME, Script([bundle]), NOW).publication
    return None if done is None else done.version


def test_a_changed_bundle_is_published_and_an_unchanged_one_is_not(acme: Home, pinned: Pin) -> None:
    reader = pinned(acme)
    other = domain("x", name="other.example")
    authority.set_trust_domains(acme, (other,), NOW)
    assert one(acme, TrustBundle(domain("1"), 1)) == 3
    assert one(acme, TrustBundle(domain("1"), 1)) is None
    assert one(acme, TrustBundle(domain("2", "1"), 2)) == 4
    assert one(acme, TrustBundle(domain("1", "2"), 2)) is None  # the same keys in another order
    assert reader.trust_domains() == (other, domain("2", "1"))


def test_after_the_first_time_root_and_targets_keys_may_be_away(acme: Home, pinned: Pin) -> None:
    one(acme, TrustBundle(domain("1")))
    for role in ("root", "targets", "attestation"):
        key_file(acme, role).unlink()
    one(acme, TrustBundle(domain("2")))
    assert pinned(acme).trust_domains() == (domain("2"),)


def test_an_older_bundle_is_refused_until_the_trust_domain_is_removed(
    acme: Home, pinned: Pin
) -> None:
    one(acme, TrustBundle(domain("1"), 5))
    with pytest.raises(AuthorityError, match="spiffe_sequence 4 is older than 5, which is"):
        one(acme, TrustBundle(domain("0"), 4))
    assert pinned(acme).trust_domains() == (domain("1"),)
    authority.set_trust_domains(acme, (), NOW)
    assert one(acme, TrustBundle(domain("0"), 4)) is not None
    assert json.loads((acme.path / "bundles.json").read_bytes()) == {NAME: 4}


@pytest.mark.parametrize(
    ("between", "why"),
    [
        (TrustBundle(domain("2")), "of a source that has no numbers"),
        (TrustBundle(domain("1"), 7), "with the keys that are published"),
    ],
)
def test_law_1_a_revoked_root_does_not_return_after_a_bundle(
    acme: Home, pinned: Pin, between: TrustBundle, why: str
) -> None:
    """Of an older number than was followed: put back by a mirror."""
    one(acme, TrustBundle(domain("1"), 6))
    one(acme, between)
    older = TrustBundle(domain("1", "revoked"), 6 if between.sequence else 5)
    with pytest.raises(AuthorityError, match=r"spiffe_sequence [56] is older than [67], which is"):
        one(acme, older)
    assert pinned(acme).trust_domains() == (between.domain,), why
    assert one(acme, TrustBundle(domain("3"), 8)) is not None


def test_an_empty_bundle_revokes_what_was_published(
    acme: Home, pinned: Pin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source = Script([TrustBundle(domain("1")), TrustBundle(domain())])
    run(acme, source, 2)
    assert pinned(acme).trust_domains() == (domain(),)
    assert "its bundle is empty: every credential of it is refused" in caplog.text


def run(home: Home, source: Script, rounds: int, refresh: float | None = None) -> list[float]:
    """Follow for some rounds; returns how long each was waited after."""
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == rounds

    def now() -> datetime:
        return NOW + timedelta(seconds=len(waited))

    follow(home, NAME, source, refresh=refresh, now=now, wait=wait)
    return waited


def test_a_failing_source_is_tried_again_at_doubling_distances_and_ends_nothing(
    acme: Home, pinned: Pin, caplog: pytest.LogCaptureFixture
) -> None:
    good = TrustBundle(domain("1"), refresh_hint=10)
    source = Script([good, *["gone"] * 6, good, "gone"])
    assert run(acme, source, 9) == [10, 1, 2, 4, 8, 10, 10, 10, 1]
    assert pinned(acme).trust_domains() == (domain("1"),)
    assert caplog.text.count("gone; what is published stays; next try in") == 7
    assert source.asked == [NAME] * 9


def test_a_wrong_pin_ends_following_before_its_token_locks(
    acme: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sign(by: KeySigner, message: bytes) -> Signature:
        raise SecretError("the PIN is wrong")

    monkeypatch.setattr(edition, "sign", sign)
    source = Script([TrustBundle(domain("1"))] * 3)
    with pytest.raises(SecretError, match="the PIN is wrong"):
        run(acme, source, 3)
    assert source.asked == [NAME]


def test_the_refresh_hint_is_followed_within_bounds_and_the_option_wins(acme: Home) -> None:
    assert [bounded(hint) for hint in (None, 0, 60, 10**9)] == [300, 5, 60, 3600]
    assert run(acme, Script([TrustBundle(domain("1"), refresh_hint=60)]), 1) == [60]
    assert run(acme, Script([TrustBundle(domain("1"), refresh_hint=60)]), 1, 7.0) == [7]


def test_entries_that_were_skipped_are_logged_once(
    acme: Home, caplog: pytest.LogCaptureFixture
) -> None:
    one(acme, TrustBundle(domain("1"), skipped=("keys.1: kty 'XYZ' is not known",)))
    assert "acme.example: entry skipped: keys.1: kty 'XYZ' is not known" in caplog.text
    caplog.clear()
    one(acme, TrustBundle(domain("1"), skipped=("keys.1: kty 'XYZ' is not known",)))
    assert "entry skipped" not in caplog.text  # once, not in every round


def test_a_damaged_record_of_sequences_is_named(acme: Home) -> None:
    (acme.path / "bundles.json").write_bytes(b"{")
    with pytest.raises(AuthorityError, match=r"bundles\.json cannot be read"):
        one(acme, TrustBundle(domain("1"), 1))
