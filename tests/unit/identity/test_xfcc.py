"""The certificate that a hop forwards: believed of one peer, on one route, in one narrow form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract import check_request
from sidecar.extract.http_request import HttpRequest
from sidecar.identity import credential, xfcc
from sidecar.identity.trust_bundles import TrustBundles
from tests.support.examples import examples
from tests.support.gate.credentials import no_root
from tests.support.gate.requests import HEADER, as_check_request
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import AUDIENCE, Issuer, pem
from tests.support.simulator.world import admitted_world
from tests.unit.identity.authorities import Authority

EDGE = "spiffe://acme.example/edge"
HOUR = timedelta(hours=1)
Outcome = Credential | tuple[Reason, str]


@dataclass(frozen=True)
class Site:
    """A trust domain with an edge and a workload, and what the gate makes of their certificates."""

    bundles: TrustBundles
    issuer: Issuer
    edge: str
    workload: str
    hash: str

    def written(self, **changes: str) -> str:
        """An element as the edge's Envoy writes it; an empty change leaves its pair out."""
        pairs = {
            "By": EDGE,
            "Hash": self.hash,
            "Cert": f'"{quote(self.workload, safe="")}"',
            "URI": ENV,
        }
        return ";".join(f"{key}={value}" for key, value in {**pairs, **changes}.items() if value)

    def ask(
        self,
        text: str | None,
        *,
        trusted_forwarder: str | None = EDGE,
        peer: str | None = None,
        principal: str = "",
        token: str | None = None,
    ) -> Outcome:
        lines = [] if text is None else [(xfcc.HEADER, text)]
        lines += [] if token is None else [(HEADER, token)]
        request = HttpRequest(
            "POST",
            "/v1/x",
            headers=tuple(lines),
            certificate=quote(self.edge if peer is None else peer, safe=""),
            principal=principal,
            trusted_forwarder=trusted_forwarder,
        )
        try:
            return credential.verify(
                request, self.bundles, header=HEADER, audience=AUDIENCE, now=NOW
            )
        except AdmissibilityError as error:
            return error.reason, error.message


@pytest.fixture(scope="module")
def site() -> Site:
    issuer, world = Issuer(), admitted_world()
    world.parties["customer"].trust_domains = [issuer.document(NOW)]
    edge, _ = issuer.x509_svid(EDGE, now=NOW, lifetime=2 * HOUR)
    workload, _ = issuer.x509_svid(ENV, now=NOW)
    digest = workload.fingerprint(hashes.SHA256()).hex()
    return Site(TrustBundles.of(world.state()), issuer, pem(edge), pem(workload), digest)


def invalid(why: str) -> Outcome:
    return Reason.CREDENTIAL_INVALID, why


WORKLOAD = Credential(ENV, "acme.example", "x509-svid", NOW + HOUR, "customer")
NOT_ONE = invalid(
    f"{xfcc.HEADER} must be one element of By, Hash, Cert, Chain and URI; have the operator"
    " set SANITIZE_SET with cert, chain and uri on the trusted forwarder"
)


@pytest.mark.parametrize(
    "left_out", [{}, {"By": ""}, {"Hash": ""}, {"URI": ""}, {"By": "", "Hash": "", "URI": ""}]
)
def test_the_workload_behind_the_hop_is_who_calls(site: Site, left_out: dict[str, str]) -> None:
    assert site.ask(site.written(**left_out)) == WORKLOAD
    assert site.ask(site.written(**left_out), principal=EDGE) == WORKLOAD


def test_a_chain_from_the_hop_leads_to_the_root(site: Site) -> None:
    """The edge is below the same intermediate, whose certificate only the header has."""
    root = Authority.root()
    middle = root.sub("middle")
    workload, edge = middle.leaf(), middle.leaf(EDGE, lifetime=2 * HOUR)
    world = admitted_world()
    world.parties["customer"].trust_domains = [
        {"name": "acme.example", "x509Roots": [pem(root.certificate)]}
    ]
    digest = workload.fingerprint(hashes.SHA256()).hex()
    behind = Site(TrustBundles.of(world.state()), site.issuer, pem(edge), pem(workload), digest)
    alone = quote(pem(workload), safe="")
    chain = alone + quote(pem(middle.certificate), safe="")
    assert behind.ask(behind.written(Chain=f'"{chain}"')) == WORKLOAD
    assert behind.ask(behind.written(Chain=f'"{chain}"', Cert="")) == WORKLOAD
    assert behind.ask(behind.written()) == no_root()
    assert behind.ask(behind.written(Chain=f'"{alone}"')) == no_root()
    other = quote(pem(middle.leaf(ENV + "2")) + pem(middle.certificate), safe="")
    assert behind.ask(behind.written(Chain=f'"{other}"')) == invalid(
        f"Chain in {xfcc.HEADER} does not begin with its Cert"
    )
    long = alone + quote(pem(middle.certificate) * 6, safe="")
    assert behind.ask(behind.written(Chain=f'"{long}"'), peer=pem(root.leaf(EDGE))) == invalid(
        "the chain has 7 certificates; at most 6, with the root"
    )


def test_a_credential_ends_with_the_first_of_both_certificates(site: Site) -> None:
    edge, _ = site.issuer.x509_svid(EDGE, now=NOW, lifetime=HOUR / 2)
    soon = replace(WORKLOAD, expires=NOW + HOUR / 2)
    assert site.ask(site.written(), peer=pem(edge)) == soon


def test_without_the_operators_word_the_header_is_no_source(site: Site) -> None:
    edge = Credential(EDGE, "acme.example", "x509-svid", NOW + 2 * HOUR, "customer")
    assert site.ask(site.written(), trusted_forwarder=None) == edge
    assert site.ask("anything", trusted_forwarder=None) == edge
    missing = f"the request has neither a JWT-SVID in the header {HEADER} nor a client certificate"
    assert site.ask(site.written(), trusted_forwarder=None, peer="") == (
        Reason.CREDENTIAL_MISSING,
        missing,
    )


def test_only_the_named_hop_is_believed(site: Site) -> None:
    def leaf(uri: str) -> str:
        return pem(site.issuer.x509_svid(uri, now=NOW)[0])

    stranger = invalid(f"the connection is not from the trusted forwarder {EDGE}")
    for peer in ("", site.workload, leaf(EDGE + "2"), leaf(EDGE + "/x")):
        assert site.ask(site.written(), peer=peer) == stranger
    rogue = replace(site.issuer, ca_key=ec.generate_private_key(ec.SECP256R1()))
    forged = pem(rogue.x509_svid(EDGE, now=NOW)[0])
    assert site.ask(site.written(), peer=forged) == no_root()


def test_a_principal_alone_is_not_the_hop(site: Site) -> None:
    assert site.ask(site.written(), peer="", principal=EDGE) == invalid(
        "the connection has a principal without its certificate; have the operator set"
        " include_peer_certificate"
    )


def test_the_hops_own_certificate_never_says_who_calls(site: Site) -> None:
    missing = (
        Reason.CREDENTIAL_MISSING,
        f"{EDGE} forwards no client certificate in {xfcc.HEADER}",
    )
    assert site.ask(None) == missing
    assert site.ask(None, token=site.issuer.jwt_svid(ENV, NOW)) == missing


def test_a_token_beside_it_must_name_the_same_environment(site: Site) -> None:
    same = replace(WORKLOAD, expires=NOW + HOUR / 2)
    assert site.ask(site.written(), token=site.issuer.jwt_svid(ENV, NOW)) == same
    for other in (ENV + "2", EDGE):
        assert site.ask(site.written(), token=site.issuer.jwt_svid(other, NOW)) == invalid(
            "the JWT-SVID and the client certificate name two environments"
        )


def test_what_is_said_beside_the_certificate_must_agree_with_it(site: Site) -> None:
    assert site.ask(site.written(URI=ENV + "2")) == invalid(
        "the principal or URI sent with the client certificate is not the SPIFFE ID in it"
    )
    assert site.ask(site.written(Hash="0" * 64)) == invalid(
        f"Hash in {xfcc.HEADER} is not the SHA-256 of its Cert"
    )
    assert site.ask(site.written(By=ENV)) == invalid(
        f"By in {xfcc.HEADER} is not the trusted forwarder"
    )


def test_a_forwarded_certificate_is_verified_as_a_direct_one(site: Site) -> None:
    def forwarded(certificate: str) -> Outcome:
        written = site.written(Cert=f'"{quote(certificate, safe="")}"', Hash="", URI="")
        return site.ask(written)

    def leaf(*uris: str, ca: bool = False) -> str:
        return pem(site.issuer.x509_svid(*uris, now=NOW, ca=ca)[0])

    rogue = replace(site.issuer, ca_key=ec.generate_private_key(ec.SECP256R1()))
    past, _ = site.issuer.x509_svid(ENV, now=NOW - 2 * HOUR)
    form = "the client certificate is no X.509-SVID: "
    unfit, bad = Reason.CERTIFICATE_NOT_SVID, Reason.CREDENTIAL_INVALID
    assert [
        forwarded(leaf(ENV, ENV + "2")),
        forwarded(leaf("spiffe://acme.example")),
        forwarded(leaf("spiffe://acme.example/a;URI=" + ENV)),
        forwarded(leaf(ENV, ca=True)),
        forwarded(leaf("spiffe://other.example/x")),
        forwarded(pem(rogue.x509_svid(ENV, now=NOW)[0])),
        forwarded(pem(past)),
        forwarded(site.workload + site.edge),
        forwarded("x"),
    ] == [
        (unfit, form + "it has 2 URI SANs; expected one"),
        (unfit, form + "not a workload's SPIFFE ID"),
        (unfit, form + "not a workload's SPIFFE ID"),
        (unfit, form + "its key usage must have digitalSignature, and no keyCertSign or cRLSign"),
        (bad, "no customer is granted the trust domain other.example"),
        no_root(),
        (Reason.CREDENTIAL_EXPIRED, "the client certificate has expired"),
        (bad, "2 client certificates were sent; expected one"),
        (bad, "the client certificate is not URL-encoded PEM"),
    ]


CHANGES: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "two elements": lambda good: f"{good},{good}",
    "two elements, spaced": lambda good: f"{good}, By={EDGE}",
    "an empty element": lambda good: good + ",",
    "an empty pair": lambda good: good + ";",
    "an empty pair before": lambda good: ";" + good,
    "the same pair twice": lambda good: f"{good};URI={ENV}",
    "a second certificate": lambda good: f'{good};Cert="x"',
    "the case of a key": lambda good: good.replace("Cert=", "cert="),
    "a twin of a key": lambda good: f"{good};uri={ENV}",
    "a key that is not ours": lambda good: f"{good};DNS=x.example",
    "a subject": lambda good: f'{good};Subject=""',
    "a bare word": lambda good: good + ";x",
    "an empty value": lambda good: good.replace(f"URI={ENV}", "URI="),
    "space around": lambda good: f" {good} ",
    "space between": lambda good: good.replace(";", "; "),
    "certificate without quotes": lambda good: good.replace('"', ""),
    "one quote": lambda good: good.replace('";', ";"),
    "an escaped quote": lambda good: good.replace('";', '\\"";'),
    "a quote in quotes": lambda good: good.replace('";', '"";'),
    "a quoted name": lambda good: good.replace(f"URI={ENV}", f'URI="{ENV}"'),
    "a semicolon in a name": lambda good: good.replace(f"URI={ENV}", f"URI={ENV};{ENV}"),
    "a comma in a name": lambda good: good.replace(f"URI={ENV}", f"URI={ENV},{ENV}"),
    "percent-encoding in a name": lambda good: good.replace("URI=spiffe:", "URI=spiffe%3A"),
    "Latin-1": lambda good: good + "é",
    "Latin-1 in the certificate": lambda good: good.replace('";', 'é";'),
    "line feed": lambda good: good + "\n",
    "line feed in the certificate": lambda good: good.replace("%0A", "\n"),
    "NUL": lambda good: good + "\x00",
    "upper-case hash": lambda good: good.replace("Hash=", "Hash=A"),
    "short hash": lambda good: good.replace("Hash=", "Hash=0;x=", 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_anything_but_one_element_in_the_form_envoy_writes_is_refused(
    site: Site, name: str
) -> None:
    assert site.ask(CHANGES[name](site.written())) == NOT_ONE


def test_an_element_without_a_certificate_is_refused(site: Site) -> None:
    assert site.ask(site.written(Cert="")) == invalid(
        f"{xfcc.HEADER} has no Cert; have the operator set cert on the trusted forwarder"
    )


NAMES = st.text("abcXYZ019:/._-", min_size=1)
ELEMENTS = st.builds(
    xfcc.Element,
    certificate=st.text("abcXYZ019%._~-", min_size=1),
    uri=NAMES | st.just(""),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64) | st.just(""),
    by=NAMES | st.just(""),
)


@settings(max_examples=examples(500), deadline=None)
@given(ELEMENTS, st.permutations(["By", "Hash", "Cert", "URI"]))
def test_what_is_written_is_read_back_in_any_order(element: xfcc.Element, order: list[str]) -> None:
    values = {
        "By": element.by,
        "Hash": element.sha256,
        "Cert": f'"{element.certificate}"',
        "URI": element.uri,
    }
    text = ";".join(f"{key}={values[key]}" for key in order if values[key])
    assert xfcc.read(text) == element


PIECES = st.sampled_from(
    ["By=", "Hash=", "Cert=", "URI=", '"', ";", ",", "=", "\\", "%", " ", "a", "0" * 64, "é", EDGE]
)


@settings(max_examples=examples(1000), deadline=None)
@given(st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join))
def test_what_is_read_is_nothing_but_what_was_written(text: str) -> None:
    try:
        found = xfcc.read(text)
    except AdmissibilityError as error:
        assert error.reason is Reason.CREDENTIAL_INVALID  # noqa: PT017 - the other half is below
        return
    values = {"Cert": f'"{found.certificate}"', "URI": found.uri}
    values |= {"Hash": found.sha256, "By": found.by}
    assert sorted(text.split(";")) == sorted(f"{key}={v}" for key, v in values.items() if v)


def test_the_hop_is_named_by_the_route_and_by_nobody_else() -> None:
    asked = as_check_request(headers=[("trusted_forwarder", EDGE), ("xfcc-from", EDGE)])
    assert check_request.read(asked, credential_header=HEADER).trusted_forwarder is None
    asked.attributes.context_extensions["trusted_forwarder"] = EDGE
    assert check_request.read(asked, credential_header=HEADER).trusted_forwarder == EDGE


@pytest.mark.parametrize(
    "trusted_forwarder", ["", "edge", "spiffe://acme.example", EDGE + ";x", EDGE + "/"]
)
def test_a_route_that_names_no_real_hop_is_shut(trusted_forwarder: str) -> None:
    asked = as_check_request()
    asked.attributes.context_extensions["trusted_forwarder"] = trusted_forwarder
    with pytest.raises(AdmissibilityError) as caught:
        check_request.read(asked, credential_header=HEADER)
    assert (caught.value.reason, caught.value.message) == (
        Reason.UNSUPPORTED_OPERATION,
        "this route's trusted_forwarder is not the SPIFFE ID of a peer; have the operator"
        " correct it",
    )
