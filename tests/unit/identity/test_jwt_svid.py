"""A JWT-SVID says who calls: with real keys, and every known way to forge one."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sidecar.core.call import Credential
from sidecar.core.reasons import Reason
from tests.support.gate.credentials import (
    CLAIMS,
    HEAD,
    HOUR,
    Bench,
    Outcome,
    b64,
    invalid,
    jwks,
    unknown_key,
)
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import AUDIENCE


def unsupported(name: str) -> str:
    return f"the JWT's header has {name}, which is not supported; leave it out"


def test_a_jwt_svid_names_its_environment(bench: Bench) -> None:
    assert bench.ask(bench.token()) == Credential(
        ENV, "acme.example", "jwt-svid", NOW + timedelta(minutes=30), "customer"
    )


def test_the_hand_made_tokens_of_these_tests_are_good_ones(bench: Bench) -> None:
    expected = Credential(ENV, "acme.example", "jwt-svid", NOW + HOUR, "customer")
    assert bench.ask(bench.signed(HEAD)) == expected
    assert bench.ask(bench.signed({**HEAD, "typ": "JOSE"})) == expected


def test_the_two_characters_that_base64url_has_of_its_own_are_read(bench: Bench) -> None:
    token = bench.signed({**HEAD, "note": "~~~???"}, {**CLAIMS, "note": "~~~???"})
    assert all(character in part for part in token.split(".")[:2] for character in "-_")
    assert isinstance(bench.ask(token), Credential)
    mixed = token.replace("-", "+").replace("_", "/")
    assert bench.ask(mixed) == invalid(
        "the credential must be a JWT in compact form of at most 8192 characters"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": None}, invalid("the JWT-SVID has no exp")),
        ({"exp": int(NOW.timestamp())}, (Reason.CREDENTIAL_EXPIRED, "the JWT-SVID has expired")),
        (
            {"exp": int((NOW - HOUR).timestamp())},
            (Reason.CREDENTIAL_EXPIRED, "the JWT-SVID has expired"),
        ),
        ({"exp": 10**300}, invalid("a time claim of the JWT-SVID is out of range")),
        ({"exp": True}, invalid("a time claim of the JWT-SVID is not a number of seconds")),
        ({"nbf": "now"}, invalid("a time claim of the JWT-SVID is not a number of seconds")),
        ({"nbf": int(NOW.timestamp()) + 31}, invalid("the JWT-SVID's nbf is in the future")),
        ({"iat": int(NOW.timestamp()) + 31}, invalid("the JWT-SVID's iat is in the future")),
        ({"aud": None}, invalid(f"the JWT-SVID's aud does not contain {AUDIENCE}")),
        ({"aud": []}, invalid(f"the JWT-SVID's aud does not contain {AUDIENCE}")),
        ({"aud": "other"}, invalid(f"the JWT-SVID's aud does not contain {AUDIENCE}")),
        ({"aud": AUDIENCE + "x"}, invalid(f"the JWT-SVID's aud does not contain {AUDIENCE}")),
        ({"sub": None}, invalid("the JWT-SVID has no sub claim of type string")),
        ({"sub": "acme"}, invalid("the subject: not a workload's SPIFFE ID")),
        ({"sub": "spiffe://acme.example"}, invalid("the subject: not a workload's SPIFFE ID")),
        (
            {"sub": "spiffe://acme.example/a/../b"},
            invalid("the subject: a SPIFFE ID has no relative path segments"),
        ),
        (
            {"sub": "spiffe://other.example/env/prod"},
            invalid("no customer is granted the trust domain other.example"),
        ),
    ],
)
def test_a_claim_that_is_missing_or_wrong_is_refused(
    bench: Bench, changes: dict[str, Any], expected: Outcome
) -> None:
    assert bench.ask(bench.token(**changes)) == expected


def test_skew_of_half_a_minute_is_forgiven_at_the_beginning_only(bench: Bench) -> None:
    begin = int(NOW.timestamp()) + 30
    assert isinstance(bench.ask(bench.token(nbf=begin, iat=begin)), Credential)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({**HEAD, "alg": "none"}, "the JWT's alg must be one of its key's: ES256"),
        ({**HEAD, "alg": "ES384"}, "the JWT's alg must be one of its key's: ES256"),
        ({**HEAD, "alg": "HS256"}, "the JWT's alg must be one of its key's: ES256"),
        ({"kid": "jwt-1"}, "the JWT's alg must be one of its key's: ES256"),
        ({"alg": "ES256"}, "the JWT-SVID has no kid of type string"),
        ({**HEAD, "kid": ""}, "the JWT-SVID has no kid of type string"),
        ({**HEAD, "kid": ["jwt-1"]}, "the JWT-SVID has no kid of type string"),
        ({**HEAD, "crit": []}, unsupported("crit")),
        ({**HEAD, "crit": ["exp"]}, unsupported("crit")),
        ({**HEAD, "jwk": {}}, unsupported("jwk")),
        ({**HEAD, "jku": "https://x.example"}, unsupported("jku")),
        ({**HEAD, "x5c": []}, unsupported("x5c")),
        ({**HEAD, "x5u": "x"}, unsupported("x5u")),
        ({**HEAD, "b64": False}, unsupported("b64")),
        ({**HEAD, "typ": "at+jwt"}, "the JWT's typ must be JWT, JOSE or absent"),
    ],
)
def test_a_header_does_not_choose_how_it_is_verified(
    bench: Bench, header: dict[str, Any], why: str
) -> None:
    assert bench.ask(bench.signed(header)) == invalid(why)


@pytest.mark.parametrize(
    ("kid", "named"),
    [("jwt-2", "jwt-2"), ("../jwt-1", "with another kid"), ("/dev/null", "with another kid")],
)
def test_a_key_that_is_not_published_names_the_authority_that_is_behind(
    bench: Bench, kid: str, named: str
) -> None:
    assert bench.ask(bench.signed({**HEAD, "kid": kid})) == unknown_key(named)


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(bench: Bench) -> None:
    public = bench.issuer.jwt_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for alg in ("HS256", "ES256"):
        parts = [{"alg": alg, "kid": "jwt-1"}, CLAIMS]
        message = ".".join(b64(json.dumps(part).encode()) for part in parts)
        mac = hmac.new(public, message.encode(), hashlib.sha256).digest()
        why = {
            "HS256": "the JWT's alg must be one of its key's: ES256",
            "ES256": "the JWT's signature does not verify",
        }[alg]
        assert bench.ask(f"{message}.{b64(mac)}") == invalid(why)


def test_a_token_of_another_key_under_a_known_kid_is_refused(bench: Bench) -> None:
    other = replace(bench.issuer, jwt_key=ec.generate_private_key(ec.SECP256R1()))
    assert bench.ask(other.jwt_svid(ENV, NOW)) == invalid("the JWT's signature does not verify")


def test_a_changed_claim_is_refused(bench: Bench) -> None:
    head, _, signature = bench.token().split(".")
    claims = b64(json.dumps({**CLAIMS, "sub": ENV + "2"}).encode())
    assert bench.ask(f"{head}.{claims}.{signature}") == invalid(
        "the JWT's signature does not verify"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "Bearer " + token,
        lambda token: token + "\n",
        lambda token: token + ".x",
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token + "=",
        lambda token: json.dumps({"payload": token.split(".")[1], "signatures": []}),
        lambda token: "",
        lambda token: token + "a" * 8192,
    ],
)
def test_only_the_compact_form_is_read(bench: Bench, change: Any) -> None:
    assert bench.ask(change(bench.token())) == invalid(
        "the credential must be a JWT in compact form of at most 8192 characters"
    )


def test_claims_given_twice_are_refused(bench: Bench) -> None:
    key = bench.issuer.jwt_key
    claims = json.dumps(CLAIMS)[:-1] + f', "sub": "{ENV}"}}'
    message = f"{b64(json.dumps(HEAD).encode())}.{b64(claims.encode())}"
    raw = jwt.utils.der_to_raw_signature(
        key.sign(message.encode(), ec.ECDSA(hashes.SHA256())), key.curve
    )
    assert bench.ask(f"{message}.{b64(raw)}") == invalid("the JWT is not strict JSON in base64url")


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES384"])
def test_the_other_algorithms_are_accepted_with_their_own_keys(
    bench: Bench, algorithm: str
) -> None:
    key: Any = (
        ec.generate_private_key(ec.SECP384R1())
        if algorithm == "ES384"
        else rsa.generate_private_key(65537, 2048)
    )
    bench.domain["jwks"] = jwks(key.public_key(), "k")
    token = jwt.encode(CLAIMS, key, algorithm=algorithm, headers={"kid": "k"})
    assert bench.ask(token) == Credential(ENV, "acme.example", "jwt-svid", NOW + HOUR, "customer")


def test_a_jwk_that_names_its_algorithm_is_used_with_no_other(bench: Bench) -> None:
    key = rsa.generate_private_key(65537, 2048)
    bench.domain["jwks"] = jwks(key.public_key(), "k", alg="PS256")
    token = jwt.encode(CLAIMS, key, algorithm="RS256", headers={"kid": "k"})
    assert bench.ask(token) == invalid("the JWT's alg must be one of its key's: PS256")
