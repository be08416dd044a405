"""Who calls: JWT-SVIDs and X.509-SVIDs with real keys, and every known way to forge one."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, Reason, http_status
from sidecar.gate import credential
from sidecar.gate.http_request import HttpRequest
from sidecar.gate.keyring import Keyring, jwt_key
from tests.gate.requests import HEADER
from tests.simulator.svid import AUDIENCE, Issuer, pem
from tests.simulator.world import ENV, NOW, World, admitted_world, grant

HOUR = timedelta(hours=1)
Outcome = Credential | tuple[Reason, str]


@dataclass
class Bench:
    """A world with an issuer, and the gate's answer to what it issues."""

    issuer: Issuer = field(default_factory=Issuer)
    world: World = field(default_factory=admitted_world)
    domain: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.domain = self.issuer.document(NOW)

    def keyring(self) -> Keyring:
        self.world.parties["customer"].trust_domains = [self.domain]
        return Keyring.of(self.world.state())

    def ask(
        self,
        token: str | None = None,
        certificate: str | None = None,
        principal: str = "",
        now: datetime = NOW,
        extra: tuple[tuple[str, str], ...] = (),
    ) -> Outcome:
        headers = extra if token is None else ((HEADER, token), *extra)
        request = HttpRequest(
            "POST",
            "/v1/x",
            headers=headers,
            principal=principal,
            certificate="" if certificate is None else quote(certificate, safe=""),
        )
        try:
            return credential.verify(
                request, self.keyring(), header=HEADER, audience=AUDIENCE, now=now
            )
        except AdmissibilityError as error:
            return error.reason, error.message

    def token(self, **changes: Any) -> str:
        return self.issuer.jwt_svid(ENV, NOW, **changes)

    def signed(self, header: dict[str, Any], claims: dict[str, Any] | None = None) -> str:
        """A token with any header at all, really signed by the issuer's key."""
        key = self.issuer.jwt_key
        message = ".".join(b64(json.dumps(part).encode()) for part in (header, claims or CLAIMS))
        der = key.sign(message.encode(), ec.ECDSA(hashes.SHA256()))
        return f"{message}.{b64(jwt.utils.der_to_raw_signature(der, key.curve))}"

    def leaf(self, *uris: str, **changes: Any) -> str:
        certificate, _ = self.issuer.x509_svid(*(uris or (ENV,)), now=NOW, **changes)
        return pem(certificate)


CLAIMS = {"sub": ENV, "aud": [AUDIENCE], "exp": int((NOW + HOUR).timestamp())}
HEAD = {"alg": "ES256", "kid": "jwt-1"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def invalid(why: str) -> Outcome:
    return Reason.CREDENTIAL_INVALID, why


@pytest.fixture
def bench() -> Bench:
    return Bench()


# ---- JWT-SVID ------------------------------------------------------------------------------------


def test_a_jwt_svid_names_its_environment(bench: Bench) -> None:
    assert bench.ask(bench.token()) == Credential(
        ENV, "acme.example", "jwt-svid", NOW + timedelta(minutes=30), "customer"
    )


def test_the_hand_made_tokens_of_these_tests_are_good_ones(bench: Bench) -> None:
    expected = Credential(ENV, "acme.example", "jwt-svid", NOW + HOUR, "customer")
    assert bench.ask(bench.signed(HEAD)) == expected
    assert bench.ask(bench.signed({**HEAD, "typ": "JOSE"})) == expected


def test_nothing_at_all_is_missing(bench: Bench) -> None:
    missing = f"neither the header {HEADER} nor a client certificate"
    spoofed = (("x-forwarded-client-cert", f"URI={ENV}"), ("authorization", "Bearer x"))
    assert bench.ask() == (Reason.CREDENTIAL_MISSING, missing)
    assert bench.ask(extra=spoofed) == (Reason.CREDENTIAL_MISSING, missing)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": None}, invalid("the JWT-SVID has no exp")),
        ({"exp": int(NOW.timestamp())}, (Reason.CREDENTIAL_EXPIRED, "the JWT-SVID has expired")),
        (
            {"exp": int((NOW - HOUR).timestamp())},
            (Reason.CREDENTIAL_EXPIRED, "the JWT-SVID has expired"),
        ),
        ({"exp": 10**300}, invalid("a time in the JWT-SVID is out of range")),
        ({"exp": True}, invalid("a time in the JWT-SVID is not a number")),
        ({"nbf": "now"}, invalid("a time in the JWT-SVID is not a number")),
        ({"nbf": int(NOW.timestamp()) + 31}, invalid("the JWT-SVID's nbf is in the future")),
        ({"iat": int(NOW.timestamp()) + 31}, invalid("the JWT-SVID's iat is in the future")),
        ({"aud": None}, invalid(f"the JWT-SVID is not for the audience {AUDIENCE}")),
        ({"aud": []}, invalid(f"the JWT-SVID is not for the audience {AUDIENCE}")),
        ({"aud": "other"}, invalid(f"the JWT-SVID is not for the audience {AUDIENCE}")),
        ({"aud": AUDIENCE + "x"}, invalid(f"the JWT-SVID is not for the audience {AUDIENCE}")),
        ({"sub": None}, invalid("the JWT-SVID names no subject")),
        ({"sub": "acme"}, invalid("the subject is not a workload's SPIFFE ID")),
        ({"sub": "spiffe://acme.example"}, invalid("the subject is not a workload's SPIFFE ID")),
        (
            {"sub": "spiffe://acme.example/a/../b"},
            invalid("the subject is a SPIFFE ID has no relative path segments"),
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
        ({**HEAD, "alg": "none"}, "the JWT's algorithm is not that of its key"),
        ({**HEAD, "alg": "ES384"}, "the JWT's algorithm is not that of its key"),
        ({**HEAD, "alg": "HS256"}, "the JWT's algorithm is not that of its key"),
        ({"kid": "jwt-1"}, "the JWT's algorithm is not that of its key"),
        ({"alg": "ES256"}, "the JWT's kid is none of the trust domain's keys"),
        ({**HEAD, "kid": ""}, "the JWT's kid is none of the trust domain's keys"),
        ({**HEAD, "kid": "../jwt-1"}, "the JWT's kid is none of the trust domain's keys"),
        ({**HEAD, "kid": ["jwt-1"]}, "the JWT's kid is none of the trust domain's keys"),
        ({**HEAD, "kid": "/dev/null"}, "the JWT's kid is none of the trust domain's keys"),
        ({**HEAD, "crit": []}, "the JWT's header asks for what is not done here"),
        ({**HEAD, "crit": ["exp"]}, "the JWT's header asks for what is not done here"),
        ({**HEAD, "jwk": {}}, "the JWT's header asks for what is not done here"),
        ({**HEAD, "jku": "https://x.example"}, "the JWT's header asks for what is not done here"),
        ({**HEAD, "x5c": []}, "the JWT's header asks for what is not done here"),
        ({**HEAD, "x5u": "x"}, "the JWT's header asks for what is not done here"),
        ({**HEAD, "b64": False}, "the JWT's header asks for what is not done here"),
        ({**HEAD, "typ": "at+jwt"}, "the JWT's typ is neither JWT nor JOSE"),
    ],
)
def test_a_header_does_not_choose_how_it_is_verified(
    bench: Bench, header: dict[str, Any], why: str
) -> None:
    assert bench.ask(bench.signed(header)) == invalid(why)


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(bench: Bench) -> None:
    public = bench.issuer.jwt_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for alg in ("HS256", "ES256"):
        parts = [{"alg": alg, "kid": "jwt-1"}, CLAIMS]
        message = ".".join(b64(json.dumps(part).encode()) for part in parts)
        mac = hmac.new(public, message.encode(), hashlib.sha256).digest()
        why = {
            "HS256": "the JWT's algorithm is not that of its key",
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
    assert bench.ask(change(bench.token())) == invalid("not a JWT in compact form")


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
    assert bench.ask(token) == invalid("the JWT's algorithm is not that of its key")


def jwks(public: Any, kid: str, **changes: Any) -> dict[str, Any]:
    kind = (
        jwt.algorithms.ECAlgorithm
        if isinstance(public, ec.EllipticCurvePublicKey)
        else jwt.algorithms.RSAAlgorithm
    )
    return {"keys": [{**json.loads(kind.to_jwk(public)), "kid": kid, **changes}]}


# ---- what vouches --------------------------------------------------------------------------------


UNFIT = "key type, size and algorithm do not fit"
UNREAD = "not a public key that can be read"
NO_SIGNER = "not a public key for signatures"
NO_KID = "no kid of its own"


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
        keyring = bench.keyring()
        assert set(keyring.domains["acme.example"].jwt_keys) == {"jwt-1"}
        assert keyring.problems == (f"acme.example: a JWK was left out: {why}",), jwk


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "kid", "key_ops", "x5c"])
VALUES = JSON | st.sampled_from(["EC", "RSA", "OKP", "P-256", "P-384", "ES256", "AQAB", "sig"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, VALUES))
def test_no_published_key_can_break_the_keyring(jwk: dict[str, Any]) -> None:
    with contextlib.suppress(ValueError):
        jwt_key(jwk)


def test_two_keys_under_one_kid_are_both_left_out(bench: Bench) -> None:
    bench.domain["jwks"]["keys"] *= 2
    keyring = bench.keyring()
    assert dict(keyring.domains["acme.example"].jwt_keys) == {}
    assert keyring.problems == (f"acme.example: a JWK was left out: {NO_KID}",)


def test_what_is_no_key_set_or_no_root_is_no_key(bench: Bench) -> None:
    bench.domain["jwks"] = {"keys": "x"}
    leaf = bench.leaf()
    bench.domain["x509Roots"] = [leaf, "not a certificate"]
    roots = bench.keyring().domains["acme.example"]
    assert (dict(roots.jwt_keys), roots.x509_roots) == ({}, ())
    assert bench.ask(certificate=leaf) == invalid(
        "no root of the trust domain issued the client certificate"
    )


def test_a_trust_domain_granted_twice_vouches_for_nobody(bench: Bench) -> None:
    bench.world.join("rival", grant("customer", trust_domains=("acme.example",)))
    assert bench.keyring().problems == ("acme.example: granted to more than one authority",)
    assert bench.ask(bench.token()) == invalid(
        "no customer is granted the trust domain acme.example"
    )


def test_a_trust_domain_is_vouched_for_only_by_whom_it_was_granted_to(bench: Bench) -> None:
    rival = replace(bench.issuer, jwt_key=ec.generate_private_key(ec.SECP256R1()))
    bench.world.parties["stranger"].trust_domains = [rival.document(NOW)]
    assert bench.ask(rival.jwt_svid(ENV, NOW)) == invalid("the JWT's signature does not verify")


def test_a_customer_that_was_never_verified_is_stale_not_unknown(bench: Bench) -> None:
    token = bench.token()
    del bench.world.parties["customer"]
    bench.world.evidence.clear()
    keyring = Keyring.of(bench.world.state())
    request = HttpRequest("POST", "/v1/x", headers=((HEADER, token),))
    with pytest.raises(AdmissibilityError) as caught:
        credential.verify(request, keyring, header=HEADER, audience=AUDIENCE, now=NOW)
    assert (caught.value.reason, caught.value.message) == (
        Reason.TRUST_STALE,
        "no verified trust metadata of customer",
    )


# ---- X.509-SVID ----------------------------------------------------------------------------------


def no_svid(why: str) -> Outcome:
    return Reason.CERTIFICATE_NOT_SVID, f"the client certificate is no X.509-SVID: {why}"


NO_ID = no_svid("not a workload's SPIFFE ID")


def test_an_x509_svid_names_its_environment(bench: Bench) -> None:
    expected = Credential(ENV, "acme.example", "x509-svid", NOW + HOUR, "customer")
    assert bench.ask(certificate=bench.leaf()) == expected
    assert bench.ask(certificate=bench.leaf(), principal=ENV) == expected


@pytest.mark.parametrize(
    ("uris", "expected"),
    [
        ((ENV, ENV + "2"), no_svid("it has 2 URIs, not one")),
        (("https://acme.example/x",), NO_ID),
        (("spiffe://acme.example",), NO_ID),
        (("spiffe://acme.example/",), NO_ID),
        (("spiffe://acme.example/a%2Fb",), NO_ID),
        (("spiffe://acme.example/a;b",), NO_ID),
        (("spiffe://acme.example/a/../b",), no_svid("a SPIFFE ID has no relative path segments")),
        (
            ("spiffe://other.example/env/prod",),
            invalid("no customer is granted the trust domain other.example"),
        ),
    ],
)
def test_a_certificate_has_exactly_one_workload_uri(
    bench: Bench, uris: tuple[str, ...], expected: Outcome
) -> None:
    assert bench.ask(certificate=bench.leaf(*uris)) == expected


def test_a_certificate_without_names_is_refused(bench: Bench) -> None:
    leaf, _ = bench.issuer.x509_svid(now=NOW)
    assert bench.ask(certificate=pem(leaf)) == no_svid("it has no key usage, or no names")


def test_a_ca_is_no_workload(bench: Bench) -> None:
    signer = no_svid("its key usage is not that of a leaf")
    assert bench.ask(certificate=bench.leaf(ca=True)) == signer
    assert bench.ask(certificate=pem(bench.issuer.root(NOW))) == signer


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW - timedelta(minutes=6), "no root of the trust domain issued the client certificate"),
        (NOW + HOUR, "the client certificate has expired"),
        (NOW + timedelta(days=366), "no root of the trust domain issued the client certificate"),
    ],
)
def test_a_certificate_is_valid_now_or_refused(bench: Bench, now: datetime, expected: str) -> None:
    reason = Reason.CREDENTIAL_EXPIRED if "expired" in expected else Reason.CREDENTIAL_INVALID
    assert bench.ask(certificate=bench.leaf(), now=now) == (reason, expected)


def test_a_certificate_from_the_future_is_refused(bench: Bench) -> None:
    later, _ = bench.issuer.x509_svid(ENV, now=NOW + timedelta(minutes=10))
    assert bench.ask(certificate=pem(later)) == invalid("the client certificate is not valid yet")


def test_a_certificate_of_another_ca_with_the_same_name_is_refused(bench: Bench) -> None:
    rogue = replace(bench.issuer, ca_key=ec.generate_private_key(ec.SECP256R1()))
    leaf, _ = rogue.x509_svid(ENV, now=NOW)
    assert bench.ask(certificate=pem(leaf)) == invalid(
        "no root of the trust domain issued the client certificate"
    )


def test_principal_and_certificate_must_agree(bench: Bench) -> None:
    assert bench.ask(certificate=bench.leaf(), principal=ENV + "2") == invalid(
        "the client certificate does not name whom the gateway says it names"
    )


def test_a_principal_alone_proves_nothing(bench: Bench) -> None:
    assert bench.ask(principal=ENV) == invalid(
        "the connection has a principal without its certificate: have the operator set"
        " include_peer_certificate"
    )


@pytest.mark.parametrize("text", ["x", "%ff", "-----BEGIN CERTIFICATE-----", "x" * 40_000])
def test_what_is_no_certificate_is_refused(bench: Bench, text: str) -> None:
    assert bench.ask(certificate=text) == invalid("the client certificate cannot be read")


def test_a_chain_is_not_one_certificate(bench: Bench) -> None:
    chain = bench.leaf() + pem(bench.issuer.root(NOW))
    assert bench.ask(certificate=chain) == invalid("there is not exactly one client certificate")


@dataclass(frozen=True)
class Shape:
    """What a certificate may be made of that a good one is not."""

    digital_signature: bool = True
    cert_sign: bool = False
    usage: bool = True
    names: str = "uri"
    unreadable: bool = False
    extended: tuple[Any, ...] = (ExtendedKeyUsageOID.CLIENT_AUTH,)
    critical: bool = False
    ca: bool = False
    digest: hashes.SHA256 | hashes.SHA224 = field(default_factory=hashes.SHA256)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (Shape(digital_signature=False), "its key usage is not that of a leaf"),
        (Shape(cert_sign=True), "its key usage is not that of a leaf"),
        (Shape(usage=False), "it has no key usage, or no names"),
        (Shape(names="dns"), "it has 0 URIs, not one"),
        (Shape(extended=(ExtendedKeyUsageOID.SERVER_AUTH,)), "it is not for clients"),
        (Shape(critical=True), "a critical extension is not understood"),
        (Shape(ca=True), "it is a CA"),
        (Shape(unreadable=True), "its extensions cannot be read"),
    ],
)
def test_a_certificate_for_something_else_is_refused(bench: Bench, shape: Shape, why: str) -> None:
    assert bench.ask(certificate=custom(bench.issuer, shape)) == no_svid(why)


def test_a_certificate_that_can_never_do_is_403_and_one_to_replace_401() -> None:
    reasons = (Reason.CERTIFICATE_NOT_SVID, Reason.CREDENTIAL_INVALID, Reason.CREDENTIAL_EXPIRED)
    assert [http_status(reason) for reason in reasons] == [403, 401, 401]


def test_a_certificate_under_a_weak_digest_is_refused(bench: Bench) -> None:
    weak = custom(bench.issuer, Shape(digest=hashes.SHA224()))
    assert bench.ask(certificate=weak) == invalid(
        "no root of the trust domain issued the client certificate"
    )


def test_the_hand_made_certificates_of_these_tests_are_good_ones(bench: Bench) -> None:
    assert isinstance(bench.ask(certificate=custom(bench.issuer, Shape())), Credential)


def custom(issuer: Issuer, shape: Shape) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "workload")]))
        .issuer_name(issuer.root(NOW).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - HOUR)
        .not_valid_after(NOW + HOUR)
        .add_extension(x509.ExtendedKeyUsage(list(shape.extended)), critical=False)
        .add_extension(x509.BasicConstraints(ca=shape.ca, path_length=None), critical=True)
    )
    name = (
        x509.UniformResourceIdentifier(ENV) if shape.names == "uri" else x509.DNSName("x.example")
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
    if shape.unreadable:
        policies = x509.ObjectIdentifier("2.5.29.32")
        builder = builder.add_extension(
            x509.UnrecognizedExtension(policies, b"\x05\x00"), critical=False
        )
    if shape.usage:
        usage = x509.KeyUsage(
            digital_signature=shape.digital_signature,
            key_cert_sign=shape.cert_sign,
            content_commitment=True,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    if shape.critical:
        odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        builder = builder.add_extension(odd, critical=True)
    return pem(builder.sign(issuer.ca_key, shape.digest))


# ---- both ----------------------------------------------------------------------------------------


def test_both_must_name_the_same_environment(bench: Bench) -> None:
    same = bench.ask(bench.token(), certificate=bench.leaf())
    assert same == Credential(
        ENV, "acme.example", "x509-svid", NOW + timedelta(minutes=30), "customer"
    )
    assert bench.ask(bench.token(), certificate=bench.leaf(ENV + "2")) == invalid(
        "the JWT-SVID and the client certificate name two environments"
    )


def test_one_good_credential_does_not_make_up_for_a_bad_one(bench: Bench) -> None:
    assert bench.ask("x", certificate=bench.leaf()) == invalid("not a JWT in compact form")
    assert bench.ask(bench.token(), certificate="x") == invalid(
        "the client certificate cannot be read"
    )
