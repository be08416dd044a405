"""SPIFFE bundles are read as their standard says, from sources that are authenticated."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.authority import bundle_sources, bundles
from sidecar.authority.bundle_sources import FileSource, SpiffeSource, WebSource, WorkloadApiSource
from sidecar.authority.bundles import TrustBundle
from sidecar.authority.errors import AuthorityError
from sidecar.core.documents import TrustDomain
from tests.support.simulator.svid import Issuer, pem
from tests.unit.authority.endpoint import Answer, bundle, ders, root_entry, serving, workload_api
from tests.unit.authority.reader import NOW

ACME = Issuer("acme.example")
SERVER = "spiffe://acme.example/spire/server"
DOMAIN = TrustDomain("acme.example", ACME.jwks(), (pem(ACME.root(NOW)),))


def same(found: TrustDomain) -> bool:
    """ECDSA roots are signed anew each time: compare the keys that they certify."""
    return (
        bundle_sources.same(found, TrustDomain(DOMAIN.name, DOMAIN.jwks, found.x509_roots))
        and len(found.x509_roots) == 1
    )


def answer(data: bytes, status: int = 200, **headers: str) -> Callable[[str], Answer]:
    return lambda _: (status, headers, data)


def test_a_bundle_holds_x509_and_jwt_authorities_its_sequence_and_its_hint() -> None:
    found = bundles.parse("acme.example", bundle(ACME, spiffe_sequence=7, spiffe_refresh_hint=60))
    assert same(found.domain)
    assert (found.sequence, found.refresh_hint, found.skipped) == (7, 60, ())
    assert bundle_sources.plain(found) == "1 X.509 roots, 1 JWT keys, sequence 7"


def test_entries_of_an_unknown_kind_or_use_are_skipped_and_named() -> None:
    more: list[dict[str, Any]] = [
        {"kty": "XYZ", "use": "jwt-svid", "kid": "a"},
        {"kty": "EC", "use": "wit-svid", "kid": "b"},
        {"kty": "EC"},
    ]
    found = bundles.parse("acme.example", bundle(ACME, *more))
    assert same(found.domain)
    assert found.skipped == (
        "keys.2: kty 'XYZ' is not known",
        "keys.3: use 'wit-svid' is not known",
        "keys.4: use None is not known",
    )


def test_an_empty_bundle_revokes_everything() -> None:
    assert bundles.parse("acme.example", b'{"keys": []}') == TrustBundle(
        TrustDomain("acme.example")
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[]", "not a JSON object"),
        (b"{}", "it has no list of keys"),
        (json.dumps({"keys": [{**root_entry(ACME), "x5c": []}]}).encode(), "not one certificate"),
        (json.dumps({"keys": [{**root_entry(ACME), "x5c": ["AAAA"]}]}).encode(), "not a DER"),
        (bundle(ACME, {**ACME.jwks()["keys"][0], "d": "x", "kid": "2"}), "public keys only"),
        (bundle(ACME, ACME.jwks()["keys"][0]), "two keys have the same kid"),
        (bundle(ACME, spiffe_sequence="7"), "spiffe_sequence is not a whole number"),
        (bundle(ACME, spiffe_refresh_hint=-1), "spiffe_refresh_hint is not a whole number"),
    ],
)
def test_what_is_malformed_is_refused_whole(data: bytes, why: str) -> None:
    with pytest.raises(AuthorityError, match=why):
        bundles.parse("acme.example", data)


def test_a_certificate_that_is_no_ca_is_no_root() -> None:
    leaf, _ = ACME.x509_svid(SERVER, now=NOW)
    entry = {**root_entry(ACME), "x5c": [base64.b64encode(ders(leaf)).decode()]}
    with pytest.raises(AuthorityError, match="not a CA"):
        bundles.parse("acme.example", json.dumps({"keys": [entry]}).encode())


def test_a_file_is_read_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    with pytest.raises(AuthorityError, match=r"bundle\.json: No such file"):
        FileSource(path).fetch("acme.example")
    path.write_bytes(bundle(ACME))
    assert same(FileSource(path).fetch("acme.example").domain)
    path.write_bytes(b" " * (bundles.MAX_BUNDLE_BYTES + 1))
    with pytest.raises(AuthorityError, match="larger than 1048576 bytes"):
        FileSource(path).fetch("acme.example")


def test_https_web_trusts_the_named_ca_and_the_host_name_alone(tmp_path: Path) -> None:
    ca, other = tmp_path / "ca.pem", tmp_path / "other.pem"
    ca.write_text(pem(ACME.root(NOW)))
    other.write_text(pem(Issuer("acme.example").root(NOW)))
    with serving(tmp_path, ACME, answer(bundle(ACME)), dns=("localhost",)) as url:
        assert same(WebSource(url, ca).fetch("acme.example").domain)
        for source in (WebSource(url, other), WebSource(url)):
            with pytest.raises(AuthorityError, match="TLS: CERTIFICATE_VERIFY_FAILED"):
                source.fetch("acme.example")
        with pytest.raises(AuthorityError, match="not PEM certificates"):
            WebSource(url, tmp_path).fetch("acme.example")
    with (
        serving(tmp_path, ACME, answer(bundle(ACME)), dns=("elsewhere.example",)) as url,
        pytest.raises(AuthorityError, match="TLS: CERTIFICATE_VERIFY_FAILED"),
    ):
        WebSource(url, ca).fetch("acme.example")


def test_https_spiffe_trusts_the_roots_and_the_spiffe_id_alone(tmp_path: Path) -> None:
    roots = (pem(ACME.root(NOW)),)
    with serving(tmp_path, ACME, answer(bundle(ACME)), SERVER) as url:
        assert same(SpiffeSource(url, SERVER, lambda: roots).fetch("acme.example").domain)
        with pytest.raises(AuthorityError, match=f"its server is {SERVER}, not spiffe://x"):
            SpiffeSource(url, "spiffe://x.example/y", lambda: roots).fetch("acme.example")
        stranger = (pem(Issuer("acme.example").root(NOW)),)
        with pytest.raises(AuthorityError, match="TLS: CERTIFICATE_VERIFY_FAILED"):
            SpiffeSource(url, SERVER, lambda: stranger).fetch("acme.example")
        with pytest.raises(AuthorityError, match="--bootstrap FILE"):
            SpiffeSource(url, SERVER, tuple).fetch("acme.example")
    with (
        serving(tmp_path, ACME, answer(bundle(ACME)), dns=("localhost",)) as url,
        pytest.raises(AuthorityError, match="its server is without a SPIFFE ID"),
    ):
        SpiffeSource(url, SERVER, lambda: roots).fetch("acme.example")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (answer(b"", 500), "HTTP 500, not 200"),
        (answer(b"", 302, Location="https://x.example/"), "HTTP 302, not 200 .to https://x"),
        (answer(b" " * (bundles.MAX_BUNDLE_BYTES + 1)), "larger than 1048576 bytes"),
        (answer(b"<html>"), "bundle of acme.example"),
    ],
)
def test_an_answer_that_is_no_bundle_is_refused(
    tmp_path: Path, reply: Callable[[str], Answer], why: str
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text(pem(ACME.root(NOW)))
    with (
        serving(tmp_path, ACME, reply, dns=("localhost",)) as url,
        pytest.raises(AuthorityError, match=why),
    ):
        WebSource(url, ca).fetch("acme.example")


def test_a_server_that_trickles_is_left_after_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_sources, "TOTAL_SECONDS", -1.0)
    ca = tmp_path / "ca.pem"
    ca.write_text(pem(ACME.root(NOW)))
    with (
        serving(tmp_path, ACME, answer(bundle(ACME)), dns=("localhost",)) as url,
        pytest.raises(AuthorityError, match="not complete after"),
    ):
        WebSource(url, ca).fetch("acme.example")


@pytest.mark.parametrize("url", ["http://x.example/", "https://", "https://a@x.example/", "x"])
def test_only_https_endpoints_are_asked(url: str) -> None:
    with pytest.raises(AuthorityError, match="a bundle endpoint's URL is https://"):
        WebSource(url).fetch("acme.example")


def test_an_endpoint_that_does_not_listen_is_named() -> None:
    with pytest.raises(AuthorityError, match=r"https://127\.0\.0\.1:1/: .*refused"):
        WebSource("https://127.0.0.1:1/").fetch("acme.example")


def test_the_workload_api_gives_both_kinds_of_authorities(tmp_path: Path) -> None:
    pytest.importorskip("spiffe")
    name = "spiffe://acme.example"
    keys = {name: json.dumps(ACME.jwks()).encode()}
    with workload_api(tmp_path / "api.sock", {name: ders(ACME.root(NOW))}, keys) as socket:
        found = WorkloadApiSource(socket).fetch("acme.example")
        assert len(found.domain.x509_roots) == 1
        (key,) = (found.domain.jwks or {})["keys"]
        assert {part: key[part] for part in ACME.jwks()["keys"][0]} == ACME.jwks()["keys"][0]
        with pytest.raises(AuthorityError, match=r"it has no bundle of other\.example"):
            WorkloadApiSource(socket).fetch("other.example")
    with pytest.raises(AuthorityError, match=r"Workload API unix:///nowhere/api\.sock"):
        WorkloadApiSource("unix:///nowhere/api.sock").fetch("acme.example")


def test_first_roots_are_read_from_a_bundle_or_from_pem() -> None:
    root = pem(ACME.root(NOW))
    assert bundle_sources.read_roots("acme.example", root.encode()) == (root,)
    assert len(bundle_sources.read_roots("acme.example", bundle(ACME))) == 1
    with pytest.raises(AuthorityError, match=r"no X\.509 root of acme\.example is in it"):
        bundle_sources.read_roots("acme.example", json.dumps(ACME.jwks()).encode())
