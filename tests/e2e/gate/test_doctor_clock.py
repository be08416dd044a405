"""``admit doctor`` tells clocks that disagree, and certificates that end or are not believed."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from admissibility_devtools.demo.authorities import TRUST_DOMAIN
from admissibility_devtools.tools.envoy_config import TlsFiles, reference
from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.installation import Tls
from tests.support.site.doctor import but, report
from tests.support.site.site import Site, envoy_before
from tests.support.site.spiffe import TrustDomain
from tests.support.site.stand import Stand


@contextmanager
def web_server(ahead: timedelta) -> Iterator[str]:
    """Somebody else's web server, whose clock is off."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(("ahead", "way"), [(90, "behind"), (-90, "ahead of")])
def test_a_clock_unlike_the_time_source_is_named_with_the_remedy(
    whole: Site, ahead: int, way: str
) -> None:
    with web_server(timedelta(seconds=ahead)) as url:
        found = report(whole, time_source=url)
    off = next(one for one in found if one.name == "clock")
    assert re.fullmatch(rf"(8[5-9]|9[0-5]) s {way} the time source", off.detail)
    assert off.remedy == "Let NTP set this machine's clock; the gate relies on it again by itself."
    assert found == but(off)


def test_a_clock_that_agrees_with_everybody(whole: Site) -> None:
    with web_server(timedelta(0)) as url:
        assert report(whole, time_source=url) == but(
            ok("clock", "within 30 s of Envoy, the time source, the gate")
        )


@pytest.fixture
def mutual(owned: Site, stand: Stand) -> tuple[Site, Tls]:
    """The site behind mutual TLS, and what a client needs there."""
    domain = TrustDomain(TRUST_DOMAIN, owned.folder / "spiffe")
    gateway, client = domain.issue("/gateway"), domain.issue("/env/prod")
    tls = TlsFiles(gateway.certificate, gateway.private_key, TRUST_DOMAIN, domain.bundle)
    owned.start()
    owned.envoy = envoy_before(
        stand, owned.listen, owned.folder / "envoy", reference("mtls"), tls
    ).start()
    return owned, Tls(domain.bundle, client.certificate, client.private_key)


def test_a_gateway_with_mutual_tls(mutual: tuple[Site, Tls]) -> None:
    """The canary has a certificate there; the gate does not know its root."""
    site, tls = mutual
    assert site.envoy is not None
    gateway = f"https://127.0.0.1:{site.envoy.port}"
    denied = "got 401 credential_key_unknown from the gate"
    assert report(site, gateway=gateway, tls=tls) == but(
        ok(
            "certificates",
            f"the gateway's holds until TIME (spiffe://{TRUST_DOMAIN}/gateway); "
            f"the client's holds until TIME (spiffe://{TRUST_DOMAIN}/env/prod)",
        ),
        ok("canary: a call", f"POST /v1/chat/completions {denied}"),
    )
    assert tls.key is not None
    tls.key.chmod(0o644)
    found = {one.name: one.state.value for one in report(site, gateway=gateway, tls=tls)}
    assert [name for name, state in found.items() if state != "ok"] == [
        "permissions",
        f"trust domain {TRUST_DOMAIN}",  # whose root the gate did not know, a moment ago
    ]


def test_a_gateway_whose_roots_are_not_believed(mutual: tuple[Site, Tls]) -> None:
    site, tls = mutual
    assert site.envoy is not None
    stranger = TrustDomain("other.example", site.folder / "stranger")
    found = report(
        site,
        gateway=f"https://127.0.0.1:{site.envoy.port}",
        tls=replace(tls, ca=stranger.bundle),
    )
    failed = {one.name: one.detail for one in found if one.state == "fail"}
    assert sorted(failed) == ["canary: a call", "canary: an upload"]
    assert all("CERTIFICATE_VERIFY_FAILED" in detail for detail in failed.values())


def certificate(folder: Path, begin: timedelta, end: timedelta) -> Path:
    """A self-signed client certificate that holds from ``begin`` to ``end``, seen from now."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "workload")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + begin)
        .not_valid_after(now + end)
        .sign(key, hashes.SHA256())
    )
    path = folder / "client.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        (-60, -1, fail("certificates", "the client's holds from TIME to TIME", "")),
        (10, 60, fail("certificates", "the client's holds from TIME to TIME", "")),
        (
            -90,
            10,
            warn("certificates", "the client's ends at TIME: a fifth of its life is left", ""),
        ),
        (
            -60,
            60,
            ok("certificates", "the gateway speaks plain HTTP; the client's holds until TIME"),
        ),
    ],
)
def test_a_certificate_that_has_ended_or_soon_will(
    whole: Site, begin: int, end: int, found: Diagnosis
) -> None:
    path = certificate(whole.folder, timedelta(minutes=begin), timedelta(minutes=end))
    remedy = "Have it renewed; short-lived certificates need their agent running."
    expected = replace(found, remedy="" if found.state == "ok" else remedy)
    assert report(whole, tls=Tls(certificate=path)) == but(expected)
