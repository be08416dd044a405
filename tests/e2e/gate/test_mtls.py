"""X.509-SVIDs through real Envoy with mutual TLS: the certificate is the credential."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from admissibility_devtools.demo.authorities import CUSTOMER, LAB, PROD, TRUST_DOMAIN, now
from admissibility_devtools.tools.envoy_config import TlsFiles, reference
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from sidecar.authority import home as authority
from tests.process.envoy.config import mutations
from tests.support.site.site import Site, envoy_before
from tests.support.site.spiffe import Svid, TrustDomain
from tests.support.site.stand import Stand
from tests.support.site.talk import (
    Lines,
    Seen,
    Talk,
    Verdict,
    credential_line,
    until,
    with_sorted_headers,
)

INVALID = (401, "credential_invalid")
UNKNOWN_KEY = (401, "credential_key_unknown")
NO_SVID = (403, "certificate_not_svid")


@dataclass(frozen=True, slots=True)
class Mutual:
    """A gate with two Envoys: the reference, and one that lets a JWT-SVID through as well."""

    stand: Stand
    site: Site
    domain: TrustDomain
    only_tls: EnvoyProcess
    both: EnvoyProcess

    def talk(
        self, svid: Svid, envoy: EnvoyProcess | None = None, lines: Lines | None = None
    ) -> Talk:
        """Speak with this certificate and these header lines."""
        context = svid.client_context(self.domain.bundle)
        port = (envoy or self.only_tls).port
        return Talk(port, self.stand.stage.upstream, self.stand.model, lines or [], context)

    def good(self) -> Talk:
        """The environment that is covered."""
        return self.talk(self.domain.issue("/env/prod"))


@pytest.fixture(scope="module")
def mutual(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mutual]:
    folder = tmp_path_factory.mktemp("mutual")
    domain = TrustDomain(TRUST_DOMAIN, folder / "spiffe")
    gateway = domain.issue("/gateway")
    tls = TlsFiles(gateway.certificate, gateway.private_key, TRUST_DOMAIN, domain.bundle)
    with Site(stand, folder / "site") as site:
        site.publish_roots(domain)
        site.start()
        with (
            envoy_before(stand, site.listen, folder / "tls", reference("mtls"), tls) as only_tls,
            envoy_before(stand, site.listen, folder / "both", keeping_jwt(), tls) as both,
        ):
            yield Mutual(stand, site, domain, only_tls, both)


def keeping_jwt() -> str:
    """The reference, but for the one line that takes a client's JWT-SVID away."""
    config = yaml.load(reference("mtls"), Loader=yaml.CSafeLoader)
    mutations(config).remove({"remove": "x-environment-credential"})
    return str(yaml.safe_dump(config, sort_keys=False))


def test_an_x509_svid_is_admitted_and_no_trace_of_it_goes_upstream(mutual: Mutual) -> None:
    talk = mutual.good()
    body = talk.body()
    seen = talk.seen(lambda: talk.call(body))
    (received,) = seen.reached
    found = with_sorted_headers(received)
    assert (seen.verdict, found) == ((200, "admitted"), talk.forwarded(body))
    line = mutual.site.decision(seen.id)
    assert (line["credential"], line["environment"]) == ("x509-svid", PROD)


def test_an_x509_svid_of_an_intermediate_is_admitted_and_no_trace_of_it_goes_upstream(
    mutual: Mutual,
) -> None:
    issuer = mutual.domain.intermediate("upper").intermediate("lower")
    talk = mutual.talk(issuer.issue("/env/prod"))
    seen = talk.seen(lambda: talk.call(talk.body()))
    (received,) = seen.reached
    assert seen.verdict == (200, "admitted")
    assert "x-forwarded-client-cert" not in dict(received.headers)


@pytest.mark.parametrize("kind", ["none", "other root", "other domain", "no path"])
def test_a_stranger_is_refused_in_the_handshake(mutual: Mutual, tmp_path: Path, kind: str) -> None:
    if kind == "none":
        context = ssl.create_default_context(cafile=str(mutual.domain.bundle))
        context.check_hostname = False
    elif kind == "no path":
        context = mutual.domain.issue("").client_context(mutual.domain.bundle)
    else:
        name = TRUST_DOMAIN if kind == "other root" else "other.example"
        stranger = TrustDomain(name, tmp_path / "stranger").issue("/env/prod")
        context = stranger.client_context(mutual.domain.bundle)
    talk = replace(mutual.good(), tls=context)
    mark = len(mutual.stand.stage.upstream.received)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        talk.call()
    assert mutual.good().verdict() == (200, "admitted")
    assert len(mutual.stand.stage.upstream.received) == mark + 1


@pytest.mark.parametrize(
    ("path", "more", "verdict"),
    [
        ("/env/lab", (), (403, "environment_not_covered")),
        ("/env/undeclared", (), (403, "environment_unknown")),
        ("/env/prod", ("spiffe://acme.example/env/lab",), NO_SVID),
        ("/env/lab", (PROD,), NO_SVID),
        ("/env/prod", ("https://acme.example/",), NO_SVID),
        ("/env%2Fprod", (), NO_SVID),
    ],
)
def test_a_certificate_of_ours_that_names_no_one_covered_environment_is_refused(
    mutual: Mutual, path: str, more: tuple[str, ...], verdict: Verdict
) -> None:
    talk = mutual.talk(mutual.domain.issue(path, more_uris=more))
    assert mutual.good().seen(talk.call) == Seen(verdict, ())


def test_no_header_changes_who_the_certificate_says_is_calling(mutual: Mutual) -> None:
    lines: Lines = [
        ("X-Forwarded-Client-Cert", f'URI={PROD};Subject=""'),
        ("x-forwarded-client-cert", f"By=x;URI={PROD}"),
        ("x-envoy-peer-principal", PROD),
        ("X-Admissibility-Environment", PROD),
        *credential_line(mutual.stand.token(PROD)),
    ]
    talk = mutual.talk(mutual.domain.issue("/env/lab"), lines=lines)
    seen = mutual.good().seen(talk.call)
    assert seen == Seen((403, "environment_not_covered"), ())
    line = mutual.site.decision(seen.id)
    assert (line["credential"], line["environment"]) == ("x509-svid", LAB)


@pytest.mark.parametrize(
    ("path", "token", "verdict"),
    [
        ("/env/prod", PROD, (200, "admitted")),
        ("/env/prod", LAB, INVALID),
        ("/env/lab", PROD, INVALID),
        ("/env/lab", LAB, (403, "environment_not_covered")),
    ],
)
def test_certificate_and_token_must_name_the_same_environment(
    mutual: Mutual, path: str, token: str, verdict: Verdict
) -> None:
    lines = credential_line(mutual.stand.token(token))
    talk = mutual.talk(mutual.domain.issue(path), mutual.both, lines)
    seen = mutual.good().seen(talk.call)
    assert (seen.verdict, len(seen.reached)) == (verdict, int(verdict == (200, "admitted")))


def test_a_good_certificate_does_not_make_up_for_a_bad_token(mutual: Mutual) -> None:
    talk = mutual.talk(mutual.domain.issue("/env/prod"), mutual.both, credential_line("x.y.z"))
    assert mutual.good().seen(talk.call) == Seen(INVALID, ())


def test_the_roots_that_the_customer_publishes_are_what_counts(mutual: Mutual) -> None:
    """Envoy still trusts the root; the customer has taken it back."""
    home = mutual.site.organisations.homes[CUSTOMER]
    published = authority.describe(home).trust_domains
    without = (replace(published[0], x509_roots=()),)
    authority.set_trust_domains(home, without, now())
    assert until(mutual.good().verdict, UNKNOWN_KEY) == UNKNOWN_KEY
    authority.set_trust_domains(home, published, now())
    assert until(mutual.good().verdict, (200, "admitted")) == (200, "admitted")
