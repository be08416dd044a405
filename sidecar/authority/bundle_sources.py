"""Fetches the SPIFFE bundle of a trust domain: from a file, an endpoint, or the Workload API.

A source returns a parsed bundle or raises one ``AuthorityError``; it keeps no state and publishes
nothing. Endpoints follow SPIFFE Federation §5.2: ``https_web`` is authenticated by Web PKI,
``https_spiffe`` by the roots of the endpoint's own trust domain and its SPIFFE ID. Redirects are
refused: where a bundle comes from is a parameter of the relationship (§7.5.1), not of an answer.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from sidecar.authority import bundles, trust_domains
from sidecar.authority.bundles import MAX_BUNDLE_BYTES, TrustBundle
from sidecar.authority.errors import AuthorityError
from sidecar.durable.files import read_bounded

CONNECT_SECONDS = 10.0
"""Limit of each step of a connection: resolving, connecting, one read."""

TOTAL_SECONDS = 30.0
"""Limit of one fetch: a server that sends a byte at a time must not hold the follower."""

_CHUNK = 1 << 16
Roots = Callable[[], tuple[str, ...]]


class _UntrustedError(AuthorityError):
    """The server's certificate leads to no known root."""


class BundleSource(Protocol):
    """Where the bundle of one trust domain comes from."""

    def fetch(self, name: str) -> TrustBundle:
        """Return the current bundle of the trust domain ``name``.

        Raises:
            AuthorityError: It cannot be had, its server is not authenticated, or it is malformed.
        """


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file with a SPIFFE bundle, such as ``spire-server bundle show -format spiffe`` writes."""

    path: Path

    def fetch(self, name: str) -> TrustBundle:
        """Read the file."""
        try:
            data = read_bounded(self.path, MAX_BUNDLE_BYTES)
        except OSError as error:
            raise AuthorityError(f"{self.path}: {error.strerror}") from error
        return bundles.parse(name, data)


@dataclass(frozen=True, slots=True)
class WebSource:
    """A bundle endpoint with profile ``https_web``; ``ca`` replaces the system's CAs."""

    url: str
    ca: Path | None = None

    def fetch(self, name: str) -> TrustBundle:
        """Fetch over HTTPS, the server authenticated by Web PKI."""
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except OSError as error:
            raise AuthorityError(f"{self.ca}: not PEM certificates of CAs") from error
        return bundles.parse(name, _get(self.url, context, lambda _: None))


@dataclass(frozen=True, slots=True)
class SpiffeSource:
    """A bundle endpoint with profile ``https_spiffe``.

    Attributes:
        url: Of the endpoint.
        spiffe_id: Of the endpoint's server.
        roots: Returns the X.509 roots (PEM) of the trust domain in ``spiffe_id``, as known now.
    """

    url: str
    spiffe_id: str
    roots: Roots

    def fetch(self, name: str) -> TrustBundle:
        """Fetch over HTTPS, the server authenticated by its X.509-SVID."""
        roots = self.roots()
        if not roots:
            raise AuthorityError(
                f"no X.509 roots are known for {self.spiffe_id}: give the first ones with "
                "--bootstrap FILE"
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # an X.509-SVID names a SPIFFE ID, which is checked below
        context.load_verify_locations(cadata="\n".join(roots))
        try:
            return bundles.parse(name, _get(self.url, context, self._check_server))
        except _UntrustedError as error:
            raise AuthorityError(
                f"{error}; its server's certificate leads to none of the {len(roots)} roots that "
                f"are known for {self.spiffe_id}. If they were replaced while nobody followed: "
                "admit authority trust-domain NAME --bundle FILE, with its present bundle"
            ) from error

    def _check_server(self, certificate: x509.Certificate) -> None:
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            found = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        except (x509.ExtensionNotFound, ValueError):
            found = []
        if found != [self.spiffe_id]:
            raise AuthorityError(
                f"{self.url}: its server is {', '.join(found) or 'without a SPIFFE ID'}, "
                f"not {self.spiffe_id}"
            )


@dataclass(frozen=True, slots=True)
class WorkloadApiSource:
    """The SPIFFE Workload API, through the ``spiffe`` package (extra ``[spiffe]``)."""

    socket: str

    def fetch(self, name: str) -> TrustBundle:
        """Fetch the X.509 and JWT bundles of the trust domain."""
        try:
            from spiffe import TrustDomain, WorkloadApiClient  # noqa: PLC0415 - an optional extra
            from spiffe.errors import PySpiffeError  # noqa: PLC0415
        except ImportError as error:
            raise AuthorityError(
                "the Workload API needs the spiffe package: install admissibility-sidecar[spiffe]"
            ) from error
        try:
            domain = TrustDomain(name)
            with WorkloadApiClient(self.socket, CONNECT_SECONDS) as client:
                x509_bundle = client.fetch_x509_bundles().get_bundle_for_trust_domain(domain)
                jwt_bundle = client.fetch_jwt_bundles().get_bundle_for_trust_domain(domain)
        except PySpiffeError as error:
            raise AuthorityError(f"Workload API {self.socket}: {error}") from error
        if x509_bundle is None and jwt_bundle is None:
            raise AuthorityError(f"Workload API {self.socket}: it has no bundle of {name}")
        authorities = () if x509_bundle is None else x509_bundle.x509_authorities
        jwt_keys = {} if jwt_bundle is None else jwt_bundle.jwt_authorities
        roots = sorted(found.public_bytes(Encoding.PEM) for found in authorities)
        keys = [_jwk(kid, key) for kid, key in sorted(jwt_keys.items())]
        return TrustBundle(trust_domains.build(name, keys, roots))


def _jwk(kid: str, key: Any) -> dict[str, Any]:  # noqa: ANN401 - one of three classes of public key
    """Write a JWT authority as a JWK (RFC 7517)."""
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: PLC0415 - with the extra alone

    algorithm = ECAlgorithm if isinstance(key, EllipticCurvePublicKey) else RSAAlgorithm
    return {**algorithm.to_jwk(key, as_dict=True), "kid": kid, "use": bundles.JWT_SVID}


def _get(
    url: str, context: ssl.SSLContext, check_server: Callable[[x509.Certificate], None]
) -> bytes:
    """Fetch a URL of scheme https in bounded time and size, without following redirects."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.fragment:
        raise AuthorityError(f"{url}: a bundle endpoint's URL is https://HOST[:PORT]/PATH")
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port, timeout=CONNECT_SECONDS, context=context
    )
    until = time.monotonic() + TOTAL_SECONDS
    try:
        connection.connect()
        check_server(_peer(connection))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            target = answer.getheader("Location")
            moved = f" (to {target}: give that URL if you trust it)" if target else ""
            raise AuthorityError(f"{url}: HTTP {answer.status}, not 200{moved}")
        return _body(url, answer, until)
    except ssl.SSLCertVerificationError as error:
        raise _UntrustedError(f"{url}: TLS: {error.reason}: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise AuthorityError(f"{url}: TLS: {error.reason or error}") from error
    except (OSError, http.client.HTTPException) as error:
        raise AuthorityError(f"{url}: {error}") from error
    finally:
        connection.close()


def _peer(connection: http.client.HTTPSConnection) -> x509.Certificate:
    socket = connection.sock
    data = socket.getpeercert(binary_form=True) if isinstance(socket, ssl.SSLSocket) else None
    if data is None:
        raise AuthorityError("the server sent no certificate")
    return x509.load_der_x509_certificate(data)


def _body(url: str, answer: http.client.HTTPResponse, until: float) -> bytes:
    found = bytearray()
    while chunk := answer.read1(_CHUNK):
        found += chunk
        if len(found) > MAX_BUNDLE_BYTES:
            raise AuthorityError(f"{url}: larger than {MAX_BUNDLE_BYTES} bytes")
        if time.monotonic() > until:
            raise AuthorityError(f"{url}: not complete after {TOTAL_SECONDS:g} s")
    return bytes(found)


def read_roots(name: str, data: bytes) -> tuple[str, ...]:
    """Read X.509 roots from a SPIFFE bundle or from PEM, for the first fetch.

    Raises:
        AuthorityError: Neither, or without an X.509 root.
    """
    if data.lstrip().startswith(b"{"):
        roots = bundles.parse(name, data).domain.x509_roots
    else:
        roots = trust_domains.read(name, None, [data]).x509_roots
    if not roots:
        raise AuthorityError(f"no X.509 root of {name} is in it")
    return roots


def plain(bundle: TrustBundle) -> str:
    """Describe the content of a bundle, in one line for logs."""
    jwks = bundle.domain.jwks or {"keys": []}
    sequence = "" if bundle.sequence is None else f", sequence {bundle.sequence}"
    return f"{len(bundle.domain.x509_roots)} X.509 roots, {len(jwks['keys'])} JWT keys{sequence}"


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - JSON is any value
    """Return whether two trust domains hold the same roots, in whatever order they are listed."""
    return _sorted(one) == _sorted(other)


def _sorted(domain: Any) -> object:  # noqa: ANN401 - JSON is any value
    keys = [] if domain.jwks is None else domain.jwks["keys"]
    return (
        domain.name,
        sorted(domain.x509_roots),
        sorted(json.dumps(key, sort_keys=True) for key in keys),
    )
