"""What vouches for credentials: only keys that fit, of the one to whom the domain was granted."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.http_request import HttpRequest
from sidecar.identity import credential
from sidecar.identity.trust_bundles import (
    MAX_JWT_KEYS,
    MAX_ROOTS,
    DomainRoots,
    TrustBundles,
    jwt_key,
)
from tests.support.examples import examples
from tests.support.gate.credentials import Bench, invalid, jwks, no_root, unknown_key
from tests.support.gate.requests import HEADER
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.svid import AUDIENCE

UNFIT = "must be P-256, P-384, or RSA of at least 2048 bits, with an alg of its type"
UNREAD = "the public key cannot be parsed"
NO_SIGNER = "must be a public key, with use jwt-svid, sig or none"
NO_VERIFY = "its key_ops must list verify, or be left out (RFC 7517, section 4.3)"
NO_KID = "kid must be a string that no other JWK has"


def unusable(good: dict[str, Any], private: dict[str, Any]) -> list[tuple[Any, str]]:
    """JWKs that must not verify anything, and why."""
    small = jwks(rsa.generate_private_key(65537, 1024).public_key(), "k")["keys"][0]
    other = jwks(ec.generate_private_key(ec.SECP521R1()).public_key(), "k")["keys"][0]
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    return [
        (small, UNFIT),
        (other, UNFIT),
        ({**json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(edwards)), "kid": "k"}, UNREAD),
        ({**private, "kid": "k"}, NO_SIGNER),
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "k"}, NO_SIGNER),
        ({"kty": "oct", "kid": "k"}, UNREAD),
        ({**good, "use": "enc"}, NO_SIGNER),
        ({**good, "use": "x509-svid"}, NO_SIGNER),
        ({**good, "alg": "ES384"}, UNFIT),
        ({**good, "alg": "HS256"}, UNFIT),
        ({**good, "alg": ["ES256"]}, UNFIT),
        ({**good, "use": ["sig"]}, NO_SIGNER),
        ({**good, "key_ops": ["sign"]}, NO_VERIFY),
        ({**good, "key_ops": "verify"}, NO_VERIFY),
        ({**good, "x": 7}, UNREAD),
        ({**good, "kty": ["EC"]}, UNREAD),
        ({**good, "kid": 7}, NO_KID),
        ({**good, "kid": ""}, NO_KID),
        ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "k"}, UNREAD),
    ]


def test_a_key_that_cannot_be_used_is_left_out_and_named(bench: Bench) -> None:
    good = bench.domain["jwks"]["keys"][0]
    private = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(bench.issuer.jwt_key))
    for jwk, why in unusable({**good, "kid": "k"}, private):
        bench.domain["jwks"]["keys"] = [good, jwk, "not a key"]
        bundles = bench.bundles()
        assert set(bundles.domains["acme.example"].jwt_keys) == {"jwt-1"}
        kid = jwk["kid"] if isinstance(jwk.get("kid"), str) else ""
        named = f"JWK {kid!r}" if kid else "JWK"
        assert bundles.problems == (f"acme.example: {named} was left out: {why}",), jwk


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "kid", "key_ops", "x5c"])
VALUES = JSON | st.sampled_from(["EC", "RSA", "OKP", "P-256", "P-384", "ES256", "AQAB", "sig"])


@settings(max_examples=examples(300), deadline=None)
@given(st.dictionaries(NAMES, VALUES))
def test_no_published_key_can_break_the_keyring(jwk: dict[str, Any]) -> None:
    with contextlib.suppress(ValueError):
        jwt_key(jwk)


def test_a_key_whose_operations_include_verify_is_used(bench: Bench) -> None:
    bench.domain["jwks"]["keys"][0]["key_ops"] = ["verify"]
    assert set(bench.bundles().domains["acme.example"].jwt_keys) == {"jwt-1"}


def test_a_key_of_each_curve_is_used_with_its_algorithm() -> None:
    for curve, algorithm in ((ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384")):
        (jwk,) = jwks(ec.generate_private_key(curve).public_key(), "k")["keys"]
        assert jwt_key(jwk).algorithms == {algorithm}


def test_two_keys_under_one_kid_are_both_left_out(bench: Bench) -> None:
    bench.domain["jwks"]["keys"] *= 2
    bundles = bench.bundles()
    assert dict(bundles.domains["acme.example"].jwt_keys) == {}
    assert bundles.problems == (f"acme.example: JWK 'jwt-1' was left out: {NO_KID}",)


def test_no_customer_makes_every_gate_parse_thousands_of_its_keys(bench: Bench) -> None:
    """Requests of all tenants wait while they are parsed, and its certificates try each root."""
    (jwk,), (root,) = bench.domain["jwks"]["keys"], bench.domain["x509Roots"]
    bench.domain["jwks"]["keys"] = [{**jwk, "kid": f"k{n}"} for n in range(MAX_JWT_KEYS + 3)]
    bench.domain["x509Roots"] = [root] * (MAX_ROOTS + 2)
    bundles = bench.bundles()
    found = bundles.domains["acme.example"]
    assert list(found.jwt_keys) == [f"k{n}" for n in range(MAX_JWT_KEYS)]
    assert len(found.x509_roots) == MAX_ROOTS
    assert bundles.problems == (
        "acme.example: 3 of 259 JWKs were left out: at most 256 are used",
        "acme.example: 2 of 66 X.509 roots were left out: at most 64 are used",
    )


def test_what_is_no_key_set_or_no_root_is_no_key(bench: Bench) -> None:
    bench.domain["jwks"] = {"keys": "x"}
    leaf = bench.leaf()
    root = bench.domain["x509Roots"][0]
    bench.domain["x509Roots"] = [leaf, "not a certificate", root]
    (kept,) = bench.bundles().domains["acme.example"].x509_roots
    assert kept.public_bytes(Encoding.PEM).decode().strip() == root.strip()
    bench.domain["x509Roots"] = [leaf, "not a certificate"]
    bundles = bench.bundles()
    roots = bundles.domains["acme.example"]
    assert (dict(roots.jwt_keys), roots.x509_roots) == ({}, ())
    first, second = bundles.problems
    assert first == "acme.example: an X.509 root was left out: not a CA"
    assert second.startswith("acme.example: an X.509 root was left out: ")
    assert "None" not in second
    assert bench.ask(certificate=leaf) == no_root()


def test_a_trust_domain_granted_twice_vouches_for_nobody(bench: Bench) -> None:
    bench.world.join("rival", grant("customer", trust_domains=("acme.example",)))
    assert bench.bundles().problems == ("acme.example: granted to more than one authority",)
    more = grant("customer", trust_domains=("acme.example", "next.example"))
    bench.world.grants["rival"] = (more, more)
    bundles = bench.bundles()
    assert bundles.problems == ("acme.example: granted to more than one authority",)
    assert {*bundles.domains} == {"next.example"}
    assert bench.ask(bench.token()) == invalid(
        "no customer is granted the trust domain acme.example"
    )


def test_a_trust_domain_is_vouched_for_only_by_whom_it_was_granted_to(bench: Bench) -> None:
    rival = replace(bench.issuer, jwt_key=ec.generate_private_key(ec.SECP256R1()))
    bench.world.parties["stranger"].trust_domains = [rival.document(NOW)]
    assert bench.ask(rival.jwt_svid(ENV, NOW)) == invalid("the JWT's signature does not verify")


def test_only_a_customer_vouches_for_a_trust_domain(bench: Bench) -> None:
    bench.world.join("rival", grant("provider", trust_domains=("acme.example", "own.example")))
    bundles = bench.bundles()
    assert ({*bundles.domains}, bundles.problems) == ({"acme.example"}, ())


def test_a_domain_that_did_not_change_is_the_same_object(bench: Bench) -> None:
    before = bench.bundles()
    again = TrustBundles.of(bench.world.state(), before)
    assert again.domains["acme.example"] is before.domains["acme.example"]
    bench.domain["jwks"]["keys"] = []
    changed = TrustBundles.of(bench.world.state(), before)
    assert dict(changed.domains["acme.example"].jwt_keys) == {}


def test_a_verified_customer_that_publishes_no_keys_is_not_stale(bench: Bench) -> None:
    token = bench.token()
    bench.domain["name"] = "other.example"
    roots = bench.bundles().domains["acme.example"]
    assert roots == DomainRoots(
        "customer", verified=True, jwt_keys=MappingProxyType({}), x509_roots=()
    )
    assert bench.ask(token) == unknown_key("jwt-1")


def test_a_customer_that_was_never_verified_is_stale_not_unknown(bench: Bench) -> None:
    token = bench.token()
    del bench.world.parties["customer"]
    bench.world.evidence.clear()
    bundles = TrustBundles.of(bench.world.state())
    request = HttpRequest("POST", "/v1/x", headers=((HEADER, token),))
    with pytest.raises(AdmissibilityError) as caught:
        credential.verify(request, bundles, header=HEADER, audience=AUDIENCE, now=NOW)
    assert (caught.value.reason, caught.value.message) == (
        Reason.TRUST_STALE,
        "no verified trust metadata of customer",
    )
