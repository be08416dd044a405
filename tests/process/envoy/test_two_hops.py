"""Two real Envoys in a row: the first tells the second whose certificate a request came with."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from admissibility_devtools.tools.envoy_config import reference, render_edge
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.identity import x509_svid, xfcc
from tests.process.envoy.sites import (
    CREDENTIAL,
    DOMAIN,
    EDGE,
    GATEWAY,
    WORKLOAD,
    Wired,
    own_files,
    wire,
)
from tests.support.site.envoy import EnvoyProcess
from tests.support.site.spiffe import Svid, TrustDomain

EDGE_ID = f"spiffe://{DOMAIN}{EDGE}"
FORGED = f'By={EDGE_ID};Hash={"0" * 64};URI=spiffe://{DOMAIN}/forged;Cert="x"'


@dataclass(frozen=True, slots=True)
class Hops:
    """Both Envoys between a workload and a stand-in gate; ``first`` speaks to the edge."""

    first: Wired
    second: Wired

    def as_workload(self, svid: Svid) -> Wired:
        """The edge, as this workload speaks to it."""
        return replace(self.first, client=svid.client_context(self.first.domain.bundle))

    def elements(self) -> list[str]:
        """The header, as the gate was told it, of every request."""
        return [
            line.raw_value.decode("latin-1")
            for asked in self.second.gate.asked
            for line in asked.attributes.request.http.header_map.headers
            if line.key == xfcc.HEADER
        ]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hops]:
    folder = tmp_path_factory.mktemp("hops")
    with wire("xfcc-gate", folder) as second, edge_before(second, folder / "edge") as envoy:
        yield Hops(replace(second, envoy=envoy), second)


def edge_before(second: Wired, folder: Path, peer: str = GATEWAY) -> EnvoyProcess:
    """The first hop before a running second one that is to be ``peer``; not started."""
    own = second.domain.issue(EDGE)
    config = render_edge(
        reference("xfcc-edge"),
        listener_port=0,
        admin_port=0,
        second_hop=("127.0.0.1", second.envoy.port),
        peer=f"spiffe://{DOMAIN}{peer}",
        tls=own_files(own.certificate, own.private_key, second.domain),
    )
    return EnvoyProcess(config, folder)


@pytest.fixture
def hops(two: Hops) -> Hops:
    two.second.reset()
    return two


def written_for(svid: Svid) -> xfcc.Element:
    """What the edge is to say of a workload; the certificate is compared by its digest."""
    leaf = x509.load_pem_x509_certificate(svid.certificate.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    return xfcc.Element("", uri, leaf.fingerprint(hashes.SHA256()).hex(), EDGE_ID)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [("X-Forwarded-Client-Cert", FORGED)],
        [("x-forwarded-client-cert", FORGED), ("X-Forwarded-Client-Cert", "By=x")],
    ],
)
def test_the_gate_learns_one_element_about_the_workload_and_nothing_it_wrote(
    hops: Hops, lines: list[tuple[str, str]]
) -> None:
    svid = hops.first.domain.issue(WORKLOAD)
    spoofed = [*lines, (CREDENTIAL, "jwt"), ("Authorization", "Bearer x")]
    assert hops.as_workload(svid).send(headers=spoofed).status == 200
    (element,) = map(xfcc.read, hops.elements())
    assert replace(element, certificate="", chain="") == written_for(svid)
    sent = x509.load_pem_x509_certificate(svid.certificate.read_bytes())
    assert x509_svid.load(element.certificate) == sent
    assert x509_svid.load_chain(element.chain)[0] == sent
    (asked,) = hops.second.gate.asked
    names = {line.key for line in asked.attributes.request.http.header_map.headers}
    assert names.isdisjoint({CREDENTIAL, "authorization"})
    assert asked.attributes.source.principal == EDGE_ID
    assert dict(asked.attributes.context_extensions) == hops.second.site.routed()
    assert [received.headers for received in hops.second.provider.received] == [
        {"host": "gateway.example", "content-length": "13", "authorization": hops.first.site.key[1]}
    ]


def test_workloads_that_share_a_connection_between_the_hops_are_distinguished(hops: Hops) -> None:
    svids = [hops.first.domain.issue(f"/ns/{name}") for name in ("a", "b", "a", "c")]
    for svid in svids:
        hops.as_workload(svid).send()
    read = [replace(xfcc.read(text), certificate="", chain="") for text in hops.elements()]
    assert read == [written_for(svid) for svid in svids]


def test_the_gate_learns_the_intermediates_of_the_workloads_handshake(hops: Hops) -> None:
    svid = hops.first.domain.intermediate("upper").intermediate("lower").issue(WORKLOAD)
    hops.as_workload(svid).send()
    chain = tuple(x509.load_pem_x509_certificates(svid.certificate.read_bytes()))
    (element,) = map(xfcc.read, hops.elements())
    assert x509_svid.load(element.certificate) == chain[0]
    assert x509_svid.load_chain(element.chain) == chain


@pytest.mark.parametrize(
    "path", ["/a;URI=spiffe://acme.example/b", "/a,By=spiffe://acme.example/b", '/a"b']
)
def test_a_name_that_would_write_further_pairs_is_read_as_none(hops: Hops, path: str) -> None:
    # envoy#32945: Envoy quotes no name, so a certificate can hold the header's own punctuation.
    hops.as_workload(hops.first.domain.issue(path)).send()
    (text,) = hops.elements()
    assert path in text
    with pytest.raises(AdmissibilityError) as caught:
        xfcc.read(text)
    assert caught.value.reason is Reason.CREDENTIAL_INVALID


@pytest.mark.parametrize("kind", ["workload", "gateway", "other domain", "same name, other root"])
def test_nobody_but_the_edge_can_speak_to_the_second_hop(
    hops: Hops, tmp_path: Path, kind: str
) -> None:
    domain = hops.second.domain
    if kind in ("workload", "gateway"):
        svid = domain.issue(WORKLOAD if kind == "workload" else GATEWAY)
    else:
        name = "other.example" if kind == "other domain" else DOMAIN
        svid = TrustDomain(name, tmp_path / "stranger").issue(EDGE)
    context = svid.client_context(domain.bundle)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        replace(hops.second, client=context).send(headers=[(xfcc.HEADER, FORGED)])
    assert (hops.second.gate.asked, hops.second.provider.received) == ([], [])


def test_the_edge_tells_certificates_to_its_own_second_hop_alone(
    hops: Hops, tmp_path: Path
) -> None:
    workload = hops.as_workload(hops.first.domain.issue(WORKLOAD))
    with edge_before(hops.second, tmp_path, peer="/another-gateway") as envoy:
        assert replace(workload, envoy=envoy).send().status == 503
    assert hops.second.gate.asked == []


@pytest.mark.parametrize("target", ["/v1//x/../%2f;a", "/model/arn%3Aaws%2Fx/converse?a=%2F", "/"])
def test_paths_and_bodies_go_through_both_hops_as_they_came(hops: Hops, target: str) -> None:
    body = bytes(range(256)) * 80 * 1024  # 20 MiB
    hops.as_workload(hops.first.domain.issue(WORKLOAD)).send(target=target, body=body)
    (asked,) = hops.second.gate.asked
    (received,) = hops.second.provider.received
    http = asked.attributes.request.http
    assert (http.path, http.raw_body == body) == (target, True)
    assert (received.target, received.body == body) == (target, True)


def test_without_a_second_hop_the_edge_has_nowhere_to_go(tmp_path: Path) -> None:
    with wire("xfcc-gate", tmp_path) as second, edge_before(second, tmp_path / "edge") as edge:
        second.envoy.stop()
        client = second.domain.issue(WORKLOAD).client_context(second.domain.bundle)
        answer = replace(second, envoy=edge, client=client).send()
    assert (answer.status, second.provider.received) == (503, [])
