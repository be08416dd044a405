"""X.509-SVIDs for tests: a trust domain with a root, and certificates it issues. Real keys."""

from __future__ import annotations

import datetime as dt
import ssl
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.simulator.svid import usage


@dataclass(frozen=True, slots=True)
class Svid:
    """A certificate and its key, as PEM files."""

    certificate: Path
    private_key: Path

    def client_context(self, roots: Path) -> ssl.SSLContext:
        """A TLS client that presents this certificate and checks the server's chain."""
        context = ssl.create_default_context(cafile=str(roots))
        context.check_hostname = False  # an SVID names a workload, not a host
        context.load_cert_chain(self.certificate, self.private_key)
        return context


class TrustDomain:
    """One root of one SPIFFE trust domain; `bundle` is its PEM file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        uri = x509.UniformResourceIdentifier(f"spiffe://{name}")
        self._above: tuple[x509.Certificate, ...] = ()
        self._root = _certificate(self._key, self._key, _name(name), uris=[uri], authority=True)
        self.bundle = folder / f"{name}.bundle.pem"
        self.bundle.write_bytes(self._root.public_bytes(serialization.Encoding.PEM))

    def intermediate(self, name: str) -> TrustDomain:
        """An issuer below this one, of the same domain and bundle; SVIDs come with its chain."""
        made = copy(self)
        made._key = ec.generate_private_key(ec.SECP256R1())
        uri = x509.UniformResourceIdentifier(f"spiffe://{self.name}")
        made._root = _certificate(
            made._key, self._key, self._root.subject, uris=[uri], authority=True, name=name
        )
        made._above = (made._root, *self._above)
        return made

    def issue(self, path: str, *, more_uris: tuple[str, ...] = ()) -> Svid:
        """A certificate for ``spiffe://<name><path>``, and any further URIs for the wrong ones."""
        key = ec.generate_private_key(ec.SECP256R1())
        uris = [
            x509.UniformResourceIdentifier(uri)
            for uri in (f"spiffe://{self.name}{path}", *more_uris)
        ]
        leaf = _certificate(key, self._key, self._root.subject, uris=uris, authority=False)
        stem = f"{self.name}{path}".replace("/", "_") + f".{leaf.serial_number:x}"
        svid = Svid(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        chain = (leaf, *self._above)
        pems = (each.public_bytes(serialization.Encoding.PEM) for each in chain)
        svid.certificate.write_bytes(b"".join(pems))
        svid.private_key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        svid.private_key.chmod(0o600)
        return svid


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    *,
    uris: list[x509.UniformResourceIdentifier],
    authority: bool,
    name: str | None = None,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(issuer if authority and name is None else _name(name or "workload"))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage(ca=authority), critical=True)
        .add_extension(x509.SubjectAlternativeName(uris), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(signer, hashes.SHA256())
