"""Over mutual TLS the gate learns who calls from Envoy, and from nobody else."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from sidecar.core.call import Credential
from sidecar.extract import check_request
from sidecar.identity import credential, x509_svid, xfcc
from sidecar.identity.trust_bundles import DomainRoots, TrustBundles
from tests.process.envoy.sites import BODY, CREDENTIAL, DOMAIN, WORKLOAD, Wired, wire
from tests.support.envoy_metrics import ENVOYS
from tests.support.site.envoy import request_bytes
from tests.support.site.spiffe import TrustDomain


@pytest.fixture
def mutual_tls(tmp_path: Path) -> Iterator[Wired]:
    """`envoy/mtls.yaml` as it stands, trusting one freshly made trust domain."""
    with wire("mtls", tmp_path) as found:
        yield found


def test_over_mtls_the_gate_learns_the_certificate_from_envoy(mutual_tls: Wired) -> None:
    client = mutual_tls.domain.issue(WORKLOAD)
    forged = [(CREDENTIAL, "jwt"), ("X-Forwarded-Client-Cert", "URI=spiffe://acme.example/forged")]
    wired = replace(mutual_tls, client=client.client_context(mutual_tls.domain.bundle))
    assert wired.send(headers=forged).status == 200
    (asked,) = wired.gate.asked
    source = asked.attributes.source
    sent = x509.load_pem_x509_certificate(unquote(source.certificate).encode("ascii"))
    expected = x509.load_pem_x509_certificate(client.certificate.read_bytes())
    lines = asked.attributes.request.http.header_map.headers
    told = [line.raw_value.decode("latin-1") for line in lines if line.key == xfcc.HEADER]
    assert (source.principal, sent, asked.attributes.tls_session.sni) == (
        f"spiffe://acme.example{WORKLOAD}",
        expected,
        "gateway.example",
    )
    # OpenSSL adds the root of its own accord to a certificate that comes without a chain.
    root = x509.load_pem_x509_certificate(mutual_tls.domain.bundle.read_bytes())
    assert [x509_svid.load_chain(xfcc.read(text).chain) for text in told] == [(expected, root)]
    assert "forged" not in told[0]
    assert CREDENTIAL not in {line.key for line in lines}
    assert xfcc.HEADER not in mutual_tls.provider.received[0].headers


def test_the_gate_learns_the_intermediates_of_the_handshake_from_envoys_own_header(
    mutual_tls: Wired, tmp_path: Path
) -> None:
    """What the client writes is replaced; the certificate itself comes without them."""
    issuer = mutual_tls.domain.intermediate("upper").intermediate("lower")
    client = issuer.issue(WORKLOAD)
    stranger = TrustDomain(DOMAIN, tmp_path / "stranger").issue(WORKLOAD)
    forged = quote(stranger.certificate.read_text(), safe="")
    wired = replace(mutual_tls, client=client.client_context(mutual_tls.domain.bundle))
    assert wired.send(headers=[(xfcc.HEADER, f'Chain="{forged}"')]).status == 200
    (asked,) = wired.gate.asked
    leaf, lower, upper = x509.load_pem_x509_certificates(client.certificate.read_bytes())
    found = check_request.read(asked, credential_header=CREDENTIAL)
    assert x509_svid.load(found.certificate) == leaf
    assert xfcc.intermediates(found.header(xfcc.HEADER)) == (lower, upper)
    root = x509.load_pem_x509_certificate(mutual_tls.domain.bundle.read_bytes())
    roots = DomainRoots("customer", verified=True, jwt_keys={}, x509_roots=(root,))
    bundles = TrustBundles({DOMAIN: roots}, ())
    proven = credential.verify(
        found, bundles, header=CREDENTIAL, audience="gate", now=datetime.now(UTC)
    )
    assert proven == Credential(
        f"spiffe://{DOMAIN}{WORKLOAD}", DOMAIN, "x509-svid", root.not_valid_after_utc, "customer"
    )
    assert xfcc.HEADER not in wired.provider.received[0].headers


@pytest.mark.parametrize("kind", ["none", "other domain", "same name, other root"])
def test_without_a_certificate_of_the_trust_domain_nothing_is_said(
    mutual_tls: Wired, tmp_path: Path, kind: str
) -> None:
    if kind == "none":
        context = ssl.create_default_context(cafile=str(mutual_tls.domain.bundle))
        context.check_hostname = False
    else:
        name = "other.example" if kind == "other domain" else DOMAIN
        stranger = TrustDomain(name, tmp_path / "stranger").issue(WORKLOAD)
        context = stranger.client_context(mutual_tls.domain.bundle)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        replace(mutual_tls, client=context).send()
    assert (mutual_tls.gate.asked, mutual_tls.provider.received) == ([], [])


def test_plain_http_to_the_mtls_listener_is_not_answered(mutual_tls: Wired) -> None:
    with socket.create_connection(("127.0.0.1", mutual_tls.envoy.port), timeout=20) as plain:
        plain.sendall(request_bytes("POST", "/", None, BODY))
        try:
            received = plain.recv(1)
        except ConnectionError:
            received = b""
    assert (received, mutual_tls.gate.asked) == (b"", [])


def test_envoy_counts_down_to_the_end_of_its_certificate_under_the_name_of_the_alert(
    mutual_tls: Wired,
) -> None:
    """An alert about a metric, or with a label, that Envoy does not have would never fire."""
    status, text = mutual_tls.envoy.ask_admin("/stats/prometheus?filter=ssl.certificate")
    found = [
        (each.name, frozenset(each.labels) | {"instance", "job"}, each.value)
        for family in text_string_to_metric_families(text)
        for each in family.samples
    ]
    assert status == 200
    assert {(name, labels) for name, labels, _ in found} == {*ENVOYS.items()}
    assert all(datetime.now(UTC) < datetime.fromtimestamp(end, UTC) for _, _, end in found)
