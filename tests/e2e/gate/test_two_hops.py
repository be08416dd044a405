"""X.509-SVIDs through two real Envoys to the real gate: the first hop forwards the certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from admissibility_devtools.demo.authorities import CUSTOMER, LAB, PROD, TRUST_DOMAIN, now
from admissibility_devtools.tools.envoy_config import TlsFiles, reference, render, render_edge
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from sidecar.authority import home as authority
from tests.support.site.site import Site
from tests.support.site.spiffe import Svid, TrustDomain
from tests.support.site.stand import Stand
from tests.support.site.talk import Lines, Seen, Talk, Verdict, until, with_sorted_headers

EDGE = f"spiffe://{TRUST_DOMAIN}/edge"
ADMITTED = (200, "admitted")
INVALID = (401, "credential_invalid")
UNKNOWN_KEY = (401, "credential_key_unknown")
MISSING = (401, "credential_missing")
NO_SVID = (403, "certificate_not_svid")
NOT_COVERED = (403, "environment_not_covered")


@dataclass(frozen=True, slots=True)
class Hops:
    """A gate with three ways to it.

    Attributes:
        edge: The first of the two reference hops.
        second: A second hop that anyone of the trust domain may speak to.
        unnamed: The same, on which no hop is believed.
    """

    stand: Stand
    site: Site
    domain: TrustDomain
    edge: EnvoyProcess
    second: EnvoyProcess
    unnamed: EnvoyProcess

    def talk(self, svid: Svid, envoy: EnvoyProcess, lines: Lines | None = None) -> Talk:
        """Speak to an Envoy with this certificate and these header lines."""
        context = svid.client_context(self.domain.bundle)
        return Talk(envoy.port, self.stand.stage.upstream, self.stand.model, lines or [], context)

    def good(self) -> Talk:
        """The environment that is covered, through the edge."""
        return self.talk(self.domain.issue("/env/prod"), self.edge)


def files(domain: TrustDomain, path: str) -> TlsFiles:
    svid = domain.issue(path)
    return TlsFiles(svid.certificate, svid.private_key, domain.name, domain.bundle)


def second_hop(
    stand: Stand, site: Site, own: TlsFiles, folder: Path, *, anyone: bool, named: bool
) -> EnvoyProcess:
    """The hop with the gate, not started.

    Args:
        stand: Whose upstream it leads to.
        site: Whose gate it asks.
        own: What it presents, and whom it believes.
        folder: For its files.
        anyone: Without its own check of who connects; what is left is the gate's.
        named: With the operator's word that the header is believed, and of whom.
    """
    host, _, port = site.listen.rpartition(":")
    text = render(
        reference("xfcc-gate"),
        listener_port=0,
        admin_port=0,
        gate=(host, int(port)),
        upstream=(stand.stage.upstream.host, stand.stage.upstream.port),
        credential_file=stand.stage.folder / "provider-credential.yaml",
        tls=own,
        trusted_forwarder=EDGE,
    )
    config = yaml.load(text, Loader=yaml.CSafeLoader)
    (listener,) = config["static_resources"]["listeners"]
    (chain,) = listener["filter_chains"]
    context = chain["transport_socket"]["typed_config"]["common_tls_context"]
    if anyone:
        del context["validation_context"]["match_typed_subject_alt_names"]
    (routes,) = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    for route in [] if named else routes["routes"]:
        settings = route["typed_per_filter_config"]["envoy.filters.http.ext_authz"]
        del settings["check_settings"]["context_extensions"]["trusted_forwarder"]
    return EnvoyProcess(str(yaml.safe_dump(config)), folder)


@pytest.fixture(scope="module")
def hops(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hops]:
    folder = tmp_path_factory.mktemp("two-hops")
    domain = TrustDomain(TRUST_DOMAIN, folder / "spiffe")
    own = files(domain, "/gateway")
    with Site(stand, folder / "site") as site:
        site.publish_roots(domain)
        site.start()
        with (
            second_hop(stand, site, own, folder / "1", anyone=False, named=True) as behind,
            edge_before(behind, files(domain, "/edge"), folder / "2") as edge,
            second_hop(stand, site, own, folder / "3", anyone=True, named=True) as second,
            second_hop(stand, site, own, folder / "4", anyone=True, named=False) as unnamed,
        ):
            yield Hops(stand, site, domain, edge, second, unnamed)


def edge_before(second: EnvoyProcess, own: TlsFiles, folder: Path) -> EnvoyProcess:
    config = render_edge(
        reference("xfcc-edge"),
        listener_port=0,
        admin_port=0,
        second_hop=("127.0.0.1", second.port),
        peer=f"spiffe://{TRUST_DOMAIN}/gateway",
        tls=own,
    )
    return EnvoyProcess(config, folder)


def element(svid: Svid, **changes: str) -> str:
    """What an edge would write of a certificate, which is no secret."""
    pem = svid.certificate.read_text()
    pairs = {"By": EDGE, "Cert": f'"{quote(pem, safe="")}"', "URI": PROD, **changes}
    return ";".join(f"{name}={value}" for name, value in pairs.items())


def test_a_workload_below_intermediates_is_admitted_behind_the_edge(hops: Hops) -> None:
    issuer = hops.domain.intermediate("upper").intermediate("lower")
    assert hops.talk(issuer.issue("/env/prod"), hops.edge).verdict() == (200, "admitted")
    elsewhere = hops.talk(issuer.issue("/env/elsewhere"), hops.edge).verdict()
    assert elsewhere == (403, "environment_unknown")


def test_a_workload_behind_the_edge_is_admitted_as_itself(hops: Hops) -> None:
    talk = hops.good()
    body = talk.body()
    seen = talk.seen(lambda: talk.call(body))
    (received,) = seen.reached
    found = with_sorted_headers(received)
    assert (seen.verdict, found) == (ADMITTED, talk.forwarded(body))
    line = hops.site.decision(seen.id)
    assert (line["credential"], line["environment"]) == ("x509-svid", PROD)


@pytest.mark.parametrize(
    ("path", "more", "verdict"),
    [
        ("/env/lab", (), NOT_COVERED),
        ("/edge", (), (403, "environment_unknown")),
        ("/env/prod", ("spiffe://acme.example/env/lab",), INVALID),
        ("/env%2Fprod", (), INVALID),
        ("/env/lab;URI=" + PROD, (), INVALID),
        ("/env/lab,URI=" + PROD, (), INVALID),
    ],
)
def test_a_forwarded_certificate_is_held_to_what_a_direct_one_is(
    hops: Hops, path: str, more: tuple[str, ...], verdict: Verdict
) -> None:
    talk = hops.talk(hops.domain.issue(path, more_uris=more), hops.edge)
    assert hops.good().seen(talk.call) == Seen(verdict, ())


def test_what_a_workload_writes_in_the_header_is_thrown_away_by_the_edge(hops: Hops) -> None:
    lines: Lines = [("X-Forwarded-Client-Cert", element(hops.domain.issue("/env/prod")))]
    talk = hops.talk(hops.domain.issue("/env/lab"), hops.edge, lines)
    seen = hops.good().seen(talk.call)
    assert seen == Seen(NOT_COVERED, ())
    assert hops.site.decision(seen.id)["environment"] == LAB


@pytest.mark.parametrize("path", ["/env/lab", "/env/prod", "/gateway", "/edge/2"])
def test_the_gate_believes_no_peer_but_the_edge(hops: Hops, path: str) -> None:
    lines: Lines = [("X-Forwarded-Client-Cert", element(hops.domain.issue("/env/prod")))]
    talk = hops.talk(hops.domain.issue(path), hops.second, lines)
    assert hops.good().seen(talk.call) == Seen(INVALID, ())


def test_the_edge_itself_is_believed_with_one_element_and_nothing_else(hops: Hops) -> None:
    good = hops.domain.issue("/env/prod")
    written = element(good)
    header = "X-Forwarded-Client-Cert"
    cases: dict[str, tuple[Lines, Verdict]] = {
        "one": ([(header, written)], ADMITTED),
        "none": ([], MISSING),
        "two elements": ([(header, f"{written},{written}")], INVALID),
        "two lines": ([(header, written), (header, written)], INVALID),  # Envoy joins them
        "another name": ([(header, element(good, URI=LAB))], INVALID),
        "another digest": ([(header, element(good, Hash="0" * 64))], INVALID),
        "another hop": ([(header, element(good, By=LAB))], INVALID),
        "Latin-1": ([(header, written + "\xe9")], INVALID),
        "a CA": ([(header, element(replace(good, certificate=hops.domain.bundle)))], NO_SVID),
    }
    told = {}
    for name, (lines, _) in cases.items():
        talk = hops.talk(hops.domain.issue("/edge"), hops.second, lines)
        seen = hops.good().seen(talk.call)
        told[name] = (seen.verdict, len(seen.reached))
    expected = {name: (verdict, int(name == "one")) for name, (_, verdict) in cases.items()}
    assert told == expected


def test_without_the_operators_word_the_header_says_nothing(hops: Hops) -> None:
    lines: Lines = [("X-Forwarded-Client-Cert", element(hops.domain.issue("/env/prod")))]
    talk = hops.talk(hops.domain.issue("/env/lab"), hops.unnamed, lines)
    seen = hops.good().seen(talk.call)
    assert seen == Seen(NOT_COVERED, ())
    assert hops.site.decision(seen.id)["environment"] == LAB


def test_a_root_that_the_customer_takes_back_ends_forwarded_certificates_too(hops: Hops) -> None:
    home = hops.site.organisations.homes[CUSTOMER]
    published = authority.describe(home).trust_domains
    authority.set_trust_domains(home, (replace(published[0], x509_roots=()),), now())
    assert until(hops.good().verdict, UNKNOWN_KEY) == UNKNOWN_KEY
    authority.set_trust_domains(home, published, now())
    assert until(hops.good().verdict, ADMITTED) == ADMITTED
