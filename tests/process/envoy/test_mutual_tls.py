"""Over mutual TLS the gate learns who calls from Envoy, and from nobody else."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography import x509

from tests.process.envoy.sites import BODY, CREDENTIAL, DOMAIN, WORKLOAD, Wired, wire
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
    names = {line.key for line in asked.attributes.request.http.header_map.headers}
    assert (source.principal, sent, asked.attributes.tls_session.sni) == (
        f"spiffe://acme.example{WORKLOAD}",
        expected,
        "gateway.example",
    )
    assert names.isdisjoint({CREDENTIAL, "x-forwarded-client-cert"})


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
