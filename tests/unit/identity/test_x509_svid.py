"""An X.509-SVID says who calls: with real certificates, and every kind that is none."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, Reason, http_status
from sidecar.identity.x509_svid import load
from tests.support.gate.credentials import HOUR, Bench, Outcome, invalid, no_root
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import Issuer, pem


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
        ((ENV, ENV + "2"), no_svid("it has 2 URI SANs; expected one")),
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
    assert bench.ask(certificate=pem(leaf)) == no_svid(
        "it has no key usage, or no subject alternative name"
    )


def test_a_ca_is_no_workload(bench: Bench) -> None:
    signer = no_svid("its key usage must have digitalSignature, and no keyCertSign or cRLSign")
    assert bench.ask(certificate=bench.leaf(ca=True)) == signer
    assert bench.ask(certificate=pem(bench.issuer.root(NOW))) == signer


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW - timedelta(minutes=6), invalid("the root O=acme.example is not valid yet")),
        (NOW + HOUR, (Reason.CREDENTIAL_EXPIRED, "the client certificate has expired")),
        (NOW + timedelta(days=366), invalid("the root O=acme.example has expired")),
    ],
)
def test_a_certificate_is_valid_now_or_refused(
    bench: Bench, now: datetime, expected: Outcome
) -> None:
    assert bench.ask(certificate=bench.leaf(), now=now) == expected


def test_a_certificate_from_the_future_is_refused(bench: Bench) -> None:
    later, _ = bench.issuer.x509_svid(ENV, now=NOW + timedelta(minutes=10))
    assert bench.ask(certificate=pem(later)) == invalid("the client certificate is not valid yet")


def test_a_certificate_of_another_ca_with_the_same_name_is_refused(bench: Bench) -> None:
    rogue = replace(bench.issuer, ca_key=ec.generate_private_key(ec.SECP256R1()))
    leaf, _ = rogue.x509_svid(ENV, now=NOW)
    assert bench.ask(certificate=pem(leaf)) == no_root()


def test_principal_and_certificate_must_agree(bench: Bench) -> None:
    assert bench.ask(certificate=bench.leaf(), principal=ENV + "2") == invalid(
        "the principal or URI sent with the client certificate is not the SPIFFE ID in it"
    )


def test_a_principal_alone_proves_nothing(bench: Bench) -> None:
    assert bench.ask(principal=ENV) == invalid(
        "the connection has a principal without its certificate; have the operator set"
        " include_peer_certificate"
    )


@pytest.mark.parametrize("text", ["%ff", "%c3", "", "%00"])
def test_a_header_that_is_no_url_encoded_text_is_refused(text: str) -> None:
    with pytest.raises(AdmissibilityError) as caught:
        load(text)
    assert (caught.value.reason, caught.value.message) == invalid(
        "the client certificate is not URL-encoded PEM"
    )


@pytest.mark.parametrize("text", ["x", "%ff", "-----BEGIN CERTIFICATE-----", "x" * 40_000])
def test_what_is_no_certificate_is_refused(bench: Bench, text: str) -> None:
    assert bench.ask(certificate=text) == invalid("the client certificate is not URL-encoded PEM")


def test_a_chain_is_not_one_certificate(bench: Bench) -> None:
    chain = bench.leaf() + pem(bench.issuer.root(NOW))
    assert bench.ask(certificate=chain) == invalid("2 client certificates were sent; expected one")


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
        (
            Shape(digital_signature=False),
            "its key usage must have digitalSignature, and no keyCertSign or cRLSign",
        ),
        (
            Shape(cert_sign=True),
            "its key usage must have digitalSignature, and no keyCertSign or cRLSign",
        ),
        (Shape(usage=False), "it has no key usage, or no subject alternative name"),
        (Shape(names="dns"), "it has 0 URI SANs; expected one"),
        (
            Shape(extended=(ExtendedKeyUsageOID.SERVER_AUTH,)),
            "its extended key usage lacks clientAuth",
        ),
        (Shape(critical=True), "it has a critical extension that is not supported"),
        (Shape(ca=True), "it is a CA"),
        (Shape(unreadable=True), "its extensions cannot be parsed"),
    ],
)
def test_a_certificate_for_something_else_is_refused(bench: Bench, shape: Shape, why: str) -> None:
    assert bench.ask(certificate=custom(bench.issuer, shape)) == no_svid(why)


def test_a_certificate_that_can_never_do_is_403_and_one_to_replace_401() -> None:
    reasons = (Reason.CERTIFICATE_NOT_SVID, Reason.CREDENTIAL_INVALID, Reason.CREDENTIAL_EXPIRED)
    assert [http_status(reason) for reason in reasons] == [403, 401, 401]


def test_a_certificate_under_a_weak_digest_is_refused(bench: Bench) -> None:
    weak = custom(bench.issuer, Shape(digest=hashes.SHA224()))
    assert bench.ask(certificate=weak) == no_root()


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
