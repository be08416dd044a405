"""Which roots authenticate a bundle endpoint: the published ones, as long as any is valid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority import trust_domains
from sidecar.authority.bundle_sources import SpiffeSource
from sidecar.cli.follow_bundle import Profile, _source
from tests.support.simulator.svid import pem
from tests.unit.identity.authorities import Authority

DOMAIN, ENDPOINT = "acme.example", "spiffe://acme.example/spire/server"
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("expired", [False, True])
def test_a_follower_that_outlived_every_published_root_begins_again(
    tmp_path: Path, expired: bool
) -> None:
    now = datetime.now(UTC)
    published = Authority.root("published", begins=now - 3 * HOUR, ends=now - HOUR)
    if not expired:
        published = Authority.root("published", begins=now - 3 * HOUR, ends=now + HOUR)
    first = Authority.root("first", begins=now - HOUR, ends=now + HOUR)
    bootstrap = tmp_path / "bootstrap.pem"
    bootstrap.write_text(pem(first.certificate), encoding="ascii")
    home = authority.init(tmp_path / "acme", "acme", now=now - 2 * HOUR)
    root = pem(published.certificate)
    domain = trust_domains.read(DOMAIN, None, [root.encode("ascii")])
    authority.set_trust_domains(home, (domain,), now - 2 * HOUR)
    found = _source(
        home, None, "https://x.example", Profile.SPIFFE, None, ENDPOINT, bootstrap, None
    )
    assert isinstance(found, SpiffeSource)
    assert found.roots() == ((pem(first.certificate),) if expired else (root,))
