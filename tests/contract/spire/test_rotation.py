"""A real SPIRE server rotates its authorities, and the gate refuses no credential of it meanwhile.

SPIRE is in no package registry: the tests run where ``spire-server`` and ``spire-agent`` (1.16) are
on PATH. Authorities are rotated by command, so that nothing waits for a time to pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.authority import bundle_sources, following
from sidecar.authority import home as authority
from sidecar.authority.bundle_sources import (
    BundleSource,
    FileSource,
    SpiffeSource,
    WebSource,
    WorkloadApiSource,
)
from sidecar.authority.open_home import Home
from sidecar.core.call import Credential
from sidecar.core.reasons import Reason
from tests.support import spire as support
from tests.support.gate.credentials import Bench, Outcome
from tests.support.https_server import certificate
from tests.support.simulator.constants import ENV
from tests.support.simulator.svid import AUDIENCE, Issuer, pem
from tests.support.spire import DOMAIN, SERVER_ID, Spire

pytestmark = pytest.mark.skipif(
    support.SERVER is None or support.AGENT is None,
    reason="spire-server and spire-agent are not on PATH",
)
BEHIND = Reason.CREDENTIAL_KEY_UNKNOWN
SPIFFE = 'profile "https_spiffe" {}'


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Followed:
    """An authority that follows a source, and the gate's answer to what the server issues."""

    spire: Spire
    home: Home
    source: BundleSource

    def follow(self) -> int | None:
        """Do one round; the version that was published, if any was."""
        done = following.follow_once(self.home, DOMAIN, self.source, now()).publication
        return None if done is None else done.version

    def ask(self, *, token: str | None = None, certificate: str | None = None) -> Reason | None:
        """Why the gate refuses a credential; None if it does not."""
        bench = Bench()
        (published,) = authority.describe(self.home).trust_domains
        bench.domain = {
            "name": published.name,
            "jwks": published.jwks,
            "x509Roots": list(published.x509_roots),
        }
        found: Outcome = bench.ask(token, certificate, now=now())
        return None if isinstance(found, Credential) else found[0]

    def fresh(self, kind: str) -> Reason | None:
        """Why the gate refuses an SVID that the server issues now."""
        if kind == "jwt":
            return self.ask(token=self.spire.jwt_svid(ENV, AUDIENCE))
        return self.ask(certificate=self.spire.x509_svid(ENV))


@pytest.fixture(scope="module")
def spire() -> Iterator[Spire]:
    with support.spire(SPIFFE) as running:
        yield running


@pytest.fixture
def followed(spire: Spire, tmp_path: Path) -> Followed:
    """Followed over ``https_spiffe``, from the roots that ``bundle show`` prints."""
    home = authority.init(tmp_path / "acme", "acme", now=now())
    first = bundle_sources.read_roots(DOMAIN, spire.bundle())

    def roots() -> tuple[str, ...]:
        published = authority.describe(home).trust_domains
        return published[0].x509_roots if published else first

    found = Followed(spire, home, SpiffeSource(spire.url, SERVER_ID, roots))
    assert found.follow() is not None
    return found


@pytest.mark.parametrize("kind", ["jwt", "x509"])
def test_no_credential_is_refused_while_an_authority_is_rotated(
    followed: Followed, kind: str
) -> None:
    before = followed.fresh(kind)
    prepared = followed.spire.authority(kind, "prepare")
    while_prepared = followed.fresh(kind)
    published = followed.follow()
    followed.spire.authority(kind, "activate", prepared)
    assert (before, while_prepared, published is None, followed.fresh(kind)) == (
        None,
        None,
        False,
        None,
    )
    # Nothing is published for a rotation that changes no key.
    assert followed.follow() is None


@pytest.mark.parametrize("kind", ["jwt", "x509"])
def test_a_follower_that_missed_a_rotation_recovers_in_its_next_round(
    followed: Followed, kind: str
) -> None:
    followed.spire.authority(kind, "activate", followed.spire.authority(kind, "prepare"))
    behind = followed.fresh(kind)
    followed.follow()
    assert (behind, followed.fresh(kind)) == (BEHIND, None)


def test_what_a_revoked_key_signed_is_refused_after_the_next_round(followed: Followed) -> None:
    spire = followed.spire
    old = spire.jwt_svid(ENV, AUDIENCE)
    spire.authority("jwt", "activate", spire.authority("jwt", "prepare"))
    followed.follow()
    kept = followed.ask(token=old)
    previous = spire.previous("jwt")
    spire.authority("jwt", "taint", previous)
    spire.authority("jwt", "revoke", previous)
    followed.follow()
    assert (kept, followed.ask(token=old), followed.fresh("jwt")) == (None, BEHIND, None)


def test_every_source_of_the_bundle_has_the_same_keys(
    spire: Spire, followed: Followed, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(spire.bundle())
    shown = FileSource(path).fetch(DOMAIN)
    assert bundle_sources.same(followed.source.fetch(DOMAIN).domain, shown.domain)
    with support.workload_api(spire, ENV) as address:
        found = WorkloadApiSource(address).fetch(DOMAIN)
    assert bundle_sources.same(found.domain, shown.domain)


def test_an_endpoint_with_a_certificate_of_web_pki_is_followed(tmp_path: Path) -> None:
    issuer, roots = Issuer(), tmp_path / "roots.pem"
    roots.write_text(pem(issuer.root(now())), encoding="ascii")
    both = certificate(tmp_path, issuer, "server")
    files = f'cert_file_path = "{both}", key_file_path = "{both}", file_sync_interval = "1h"'
    with support.spire(f'profile "https_web" {{ serving_cert_file {{ {files} }} }}') as running:
        home = authority.init(tmp_path / "acme", "acme", now=now())
        found = Followed(running, home, WebSource(running.url, roots))
        assert found.follow() is not None
        assert (found.fresh("jwt"), found.fresh("x509")) == (None, None)
