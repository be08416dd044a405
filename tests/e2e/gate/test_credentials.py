"""JWT-SVIDs through real Envoy: each wrong one is 401 with its code, and nothing goes upstream."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from admissibility_devtools.demo.authorities import LAB, PROD, now
from tests.support.site.stand import Stand
from tests.support.site.talk import JSON_TYPE, Seen, Talk, Verdict, credential_line
from tests.support.site.tokens import (
    claims,
    es256,
    header,
    hs256,
    public_pem,
    signing_input,
)

Key = ec.EllipticCurvePrivateKey
INVALID = (401, "credential_invalid")
UNKNOWN_KEY = (401, "credential_key_unknown")
EXPIRED = (401, "credential_expired")
MISSING = (401, "credential_missing")


def _public_jwk(key: Key) -> dict[str, str]:
    numbers = key.public_key().public_numbers()

    def encoded(number: int) -> str:
        return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()

    return {"kty": "EC", "crv": "P-256", "x": encoded(numbers.x), "y": encoded(numbers.y)}


def own_key_embedded(_: Key) -> str:
    attacker = ec.generate_private_key(ec.SECP256R1())
    return es256(attacker, header(jwk=_public_jwk(attacker)), claims())


def foreign(_: Key) -> str:
    return es256(ec.generate_private_key(ec.SECP256R1()), header(), claims())


def changed(key: Key) -> str:
    signature = es256(key, header(), claims(sub=LAB)).rpartition(".")[2]
    return f"{signing_input(header(), claims())}.{signature}"


def at(seconds: int) -> int:
    return int(now().timestamp()) + seconds


TOKENS: dict[str, tuple[Callable[[Key], str], Verdict]] = {
    "expired": (lambda k: es256(k, header(), claims(exp=at(-1))), EXPIRED),
    "no exp": (lambda k: es256(k, header(), claims(exp=None)), INVALID),
    "exp is text": (lambda k: es256(k, header(), claims(exp="9999999999")), INVALID),
    "exp is true": (lambda k: es256(k, header(), claims(exp=True)), INVALID),
    "not yet": (lambda k: es256(k, header(), claims(nbf=at(300))), INVALID),
    "issued later": (lambda k: es256(k, header(), claims(iat=at(300))), INVALID),
    "other audience": (lambda k: es256(k, header(), claims(aud=["other-gate"])), INVALID),
    "no audience": (lambda k: es256(k, header(), claims(aud=None)), INVALID),
    "empty audience": (lambda k: es256(k, header(), claims(aud=[])), INVALID),
    "no subject": (lambda k: es256(k, header(), claims(sub=None)), INVALID),
    "other trust domain": (
        lambda k: es256(k, header(), claims(sub="spiffe://other.example/env/prod")),
        INVALID,
    ),
    "trust domain itself": (
        lambda k: es256(k, header(), claims(sub="spiffe://acme.example")),
        INVALID,
    ),
    "encoded subject": (
        lambda k: es256(k, header(), claims(sub="spiffe://acme.example/env%2Fprod")),
        INVALID,
    ),
    "undeclared environment": (
        lambda k: es256(k, header(), claims(sub="spiffe://acme.example/env/other")),
        (403, "environment_unknown"),
    ),
    "uncovered environment": (
        lambda k: es256(k, header(), claims(sub=LAB)),
        (403, "environment_not_covered"),
    ),
    "alg none": (lambda _: f"{signing_input(header(alg='none'), claims())}.", INVALID),
    "alg none, signed": (lambda _: f"{signing_input(header(alg='none'), claims())}.AAAA", INVALID),
    "HS256 with the public key": (
        lambda k: hs256(public_pem(k), header(alg="HS256"), claims()),
        INVALID,
    ),
    "ES256 over an HMAC": (lambda k: hs256(public_pem(k), header(), claims()), INVALID),
    "RS256 for an EC key": (lambda k: es256(k, header(alg="RS256"), claims()), INVALID),
    "unknown kid": (lambda k: es256(k, header(kid="demo-2"), claims()), UNKNOWN_KEY),
    "no kid": (lambda k: es256(k, header(kid=None), claims()), INVALID),
    "kid is a path": (lambda k: es256(k, header(kid="../../demo-1"), claims()), UNKNOWN_KEY),
    "kid is a list": (lambda k: es256(k, header(kid=["demo-1"]), claims()), INVALID),
    "crit": (lambda k: es256(k, header(crit=["exp"]), claims()), INVALID),
    "jku": (lambda k: es256(k, header(jku="https://x.example/keys"), claims()), INVALID),
    "embedded key": (own_key_embedded, INVALID),
    "another key": (foreign, INVALID),
    "claims exchanged": (changed, INVALID),
    "another typ": (lambda k: es256(k, header(typ="at+jwt"), claims()), INVALID),
    "JSON form": (lambda k: '{"payload":"x","signatures":[]}', INVALID),
    "not a token": (lambda _: "Bearer x", INVALID),
    "padded": (lambda k: es256(k, header(), claims()) + "==", INVALID),
    "too long": (lambda k: es256(k, header(), claims(x="x" * 9000)), INVALID),
    "empty": (lambda _: "", INVALID),
}


@pytest.mark.parametrize("name", TOKENS)
def test_a_wrong_credential_is_refused_with_its_code(stand: Stand, talk: Talk, name: str) -> None:
    make, verdict = TOKENS[name]
    lines = [*credential_line(make(stand.key)), JSON_TYPE]
    assert talk.seen(lambda: talk.call(lines=lines)) == Seen(verdict, ())


def test_the_hand_made_token_is_a_good_one(stand: Stand, talk: Talk) -> None:
    lines = [*credential_line(es256(stand.key, header(), claims())), JSON_TYPE]
    seen = talk.seen(lambda: talk.call(lines=lines))
    assert (seen.verdict, len(seen.reached)) == ((200, "admitted"), 1)


def test_a_call_without_a_credential_is_credential_missing(talk: Talk) -> None:
    assert talk.seen(lambda: talk.call(lines=[JSON_TYPE])) == Seen(MISSING, ())


def test_a_credential_in_the_query_or_a_cookie_is_none(stand: Stand, talk: Talk) -> None:
    lines = [JSON_TYPE, ("Cookie", f"x-environment-credential={stand.token(PROD)}")]
    assert talk.seen(lambda: talk.call(lines=lines)) == Seen(MISSING, ())
