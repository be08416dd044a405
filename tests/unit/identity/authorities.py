"""Certificate authorities with real keys, good ones and ones that lack or exceed something."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import usage

YEAR = timedelta(days=365)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Shape:
    """What a certificate authority's certificate is made of; a good one's, if not changed."""

    ca: bool | None = True
    path_length: int | None = None
    cert_sign: bool | None = True
    begins: datetime = NOW - YEAR
    ends: datetime = NOW + YEAR
    purposes: tuple[x509.ObjectIdentifier, ...] = ()
    uris: tuple[str, ...] = ()
    constraints: x509.NameConstraints | None = None
    odd: bool = False
    digest: hashes.SHA256 | hashes.SHA224 = field(default_factory=hashes.SHA256)


@dataclass(frozen=True)
class Authority:
    """A certificate authority; an issuer of others and of leaves."""

    name: x509.Name
    key: Key
    certificate: x509.Certificate

    @classmethod
    def root(cls, name: str = "root", **changes: Any) -> Authority:
        key, subject = new_key(), named(name)
        return cls(subject, key, authority(subject, key, subject, key, Shape(**changes)))

    def sub(self, name: str, *, key: Key | None = None, **changes: Any) -> Authority:
        """An intermediate below this one."""
        own, subject = key or new_key(), named(name)
        made = authority(subject, own, self.name, self.key, Shape(**changes))
        return Authority(subject, own, made)

    def leaf(
        self,
        uri: str = ENV,
        *,
        dns: tuple[str, ...] = (),
        mail: tuple[str, ...] = (),
        lifetime: timedelta = timedelta(hours=1),
    ) -> x509.Certificate:
        names = [x509.UniformResourceIdentifier(uri), *map(x509.DNSName, dns)]
        subject = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, each) for each in mail])
        return (
            builder(subject, new_key(), self.name, NOW - timedelta(minutes=5), NOW + lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .sign(self.key, hashes.SHA256())
        )


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def authority(
    subject: x509.Name, key: Key, issuer: x509.Name, signer: Key, shape: Shape
) -> x509.Certificate:
    made = builder(subject, key, issuer, shape.begins, shape.ends)
    if shape.ca is not None:
        basic = x509.BasicConstraints(ca=shape.ca, path_length=shape.path_length)
        made = made.add_extension(basic, critical=True)
    if shape.cert_sign is not None:
        made = made.add_extension(usage(ca=shape.cert_sign), critical=True)
    if shape.purposes:
        made = made.add_extension(x509.ExtendedKeyUsage(list(shape.purposes)), critical=False)
    if shape.uris:
        uris = [x509.UniformResourceIdentifier(uri) for uri in shape.uris]
        made = made.add_extension(x509.SubjectAlternativeName(uris), critical=False)
    if shape.constraints is not None:
        made = made.add_extension(shape.constraints, critical=True)
    if shape.odd:
        odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        made = made.add_extension(odd, critical=True)
    return made.sign(signer, shape.digest)


def builder(
    subject: x509.Name, key: Key, issuer: x509.Name, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
