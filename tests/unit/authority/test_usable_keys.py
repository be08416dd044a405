"""An authority publishes only keys that a gate can use, and names every other one."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from sidecar.authority import bundles
from sidecar.authority.errors import AuthorityError
from sidecar.authority.usable_keys import dropped, usable_keys
from sidecar.core.documents import TrustDomain
from tests.support.simulator.constants import NOW
from tests.support.simulator.svid import pem
from tests.unit.identity.authorities import Authority

NAME = "acme.example"


def jwk(kid: str, **changes: Any) -> dict[str, Any]:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    made: dict[str, Any] = ECAlgorithm.to_jwk(public, as_dict=True)
    return {**made, "kid": kid, "use": "jwt-svid", **changes}


def edwards(kid: str) -> dict[str, Any]:
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    made: dict[str, Any] = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {**made, "kid": kid}


GOOD_ROOT = pem(Authority.root("now").certificate)
OLD_ROOT = pem(Authority.root("old", ends=NOW - timedelta(hours=1)).certificate)
UNFIT_ROOT = pem(Authority.root("unfit", cert_sign=False).certificate)


def test_unusable_and_expired_keys_are_left_out_and_named() -> None:
    good = jwk("new")
    found = usable_keys(
        TrustDomain(NAME, {"keys": [edwards("ed"), good]}, (OLD_ROOT, GOOD_ROOT, UNFIT_ROOT)),
        NOW,
    )
    assert found.domain == TrustDomain(NAME, {"keys": [good]}, (GOOD_ROOT,))
    assert found.left_out == (
        "JWK 'ed' was left out: the public key cannot be parsed",
        "X.509 root 1 of 3: CN=old expired at 2026-06-01T11:00:00Z",
        "X.509 root 3 of 3: CN=unfit may not sign certificates: its key usage lacks keyCertSign",
    )


def test_keys_of_which_none_is_usable_are_an_error_that_names_each() -> None:
    with pytest.raises(AuthorityError) as caught:
        usable_keys(TrustDomain(NAME, {"keys": [edwards("ed")]}, (OLD_ROOT,)), NOW)
    assert str(caught.value) == (
        "trust domain acme.example: no key is usable, so nothing was changed: JWK 'ed' was left"
        " out: the public key cannot be parsed; X.509 root 1 of 1: CN=old expired at"
        " 2026-06-01T11:00:00Z"
    )


def test_an_empty_bundle_is_a_revocation_and_no_error() -> None:
    assert usable_keys(TrustDomain(NAME), NOW).domain == TrustDomain(NAME)


def test_keys_that_are_no_longer_published_are_named() -> None:
    before = TrustDomain(NAME, {"keys": [jwk("a"), jwk("b")]}, (OLD_ROOT, GOOD_ROOT))
    after = TrustDomain(NAME, {"keys": [jwk("b")]}, (GOOD_ROOT,))
    assert dropped(before, after) == (
        "acme.example: no longer published: JWT keys a",
        "acme.example: no longer published: 1 X.509 roots",
    )
    assert (dropped(None, after), dropped(after, before)) == ((), ())


def spire_bundle(*entries: dict[str, Any]) -> bytes:
    """As ``spire-server bundle show -format spiffe`` writes it."""
    return json.dumps({"keys": entries, "spiffe_sequence": 4, "spiffe_refresh_hint": 300}).encode()


def test_a_spiffe_bundle_is_read_where_a_jwk_set_is_asked_for() -> None:
    certificate = x509.load_pem_x509_certificate(GOOD_ROOT.encode())
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    der = certificate.public_bytes(Encoding.DER)
    root = {
        **ECAlgorithm.to_jwk(public, as_dict=True),
        "use": "x509-svid",
        "x5c": [base64.b64encode(der).decode()],
    }
    key = jwk("k1")
    assert bundles.read_domain(NAME, spire_bundle(root, key), []) == TrustDomain(
        NAME, {"keys": [key]}, (GOOD_ROOT,)
    )
    assert bundles.read_domain(NAME, spire_bundle(key), [OLD_ROOT.encode()]) == TrustDomain(
        NAME, {"keys": [key]}, (OLD_ROOT,)
    )
    assert bundles.read_domain(NAME, json.dumps({"keys": [key]}).encode(), []) == TrustDomain(
        NAME, {"keys": [key]}
    )
