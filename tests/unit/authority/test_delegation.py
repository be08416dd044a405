"""Trust domains are published under a delegated role, whose key is neither root nor targets."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority.errors import AuthorityError
from sidecar.authority.keys import OwnKey
from sidecar.authority.open_home import Home
from sidecar.core.documents import TrustDomain
from sidecar.trust import delegation
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.refresh import refresh
from sidecar.trust.source_config import DirectorySourceConfig
from tests.unit.authority.helpers import DAY, Pin, key_file
from tests.unit.authority.reader import NOW

FIRST = TrustDomain("acme.example", {"keys": [{"kty": "OKP", "kid": "1"}]})
SECOND = TrustDomain("other.example", None, ("-----BEGIN CERTIFICATE-----\n",))


def offline(home: Home, *roles: str) -> None:
    for role in roles:
        key_file(home, role).unlink()


def test_case_14_trust_domains_are_published_and_replaced_by_an_online_key_alone(
    acme: Home, pinned: Pin
) -> None:
    reader = pinned(acme)
    assert reader.trust_domains() is None
    done = authority.set_trust_domains(acme, (FIRST, SECOND), NOW)
    assert done.renewed == ("trust-domains", "targets", "snapshot", "timestamp")
    assert reader.trust_domains() == (FIRST, SECOND)
    assert reader.documents("acme")[0].trust_domains == ()

    offline(acme, "root", "targets", "attestation")
    done = authority.set_trust_domains(acme, (SECOND,), NOW)
    assert done.renewed == ("trust-domains", "snapshot", "timestamp")
    assert reader.trust_domains() == (SECOND,)
    authority.set_trust_domains(acme, (), NOW)
    assert reader.trust_domains() == ()
    assert authority.describe(acme).versions["targets"] == 2


def test_the_gates_own_client_reads_what_is_published(acme: Home, tmp_path: Path) -> None:
    authority.set_trust_domains(acme, (FIRST,), NOW)
    config = DirectorySourceConfig(acme.repository)
    trusted = TrustedAuthority("acme", authority.root_bytes(acme), config)
    view = refresh(trusted, DirectorySource(acme.repository), tmp_path / "state").view
    assert view.domains == (FIRST,)
    assert delegation.METADATA_FILE == "trust-domains.json"


def test_everything_else_goes_on_beside_the_delegated_role(acme: Home, pinned: Pin) -> None:
    reader = pinned(acme)
    authority.set_trust_domains(acme, (FIRST,), NOW)
    assert authority.publish(acme, NOW).renewed == ("timestamp",)
    for which in ("root", "online", "targets", "attestation", "trust-domains", "online"):
        authority.rotate(acme, which, NOW)
        assert reader.trust_domains() == (FIRST,)
    assert set(authority.describe(acme).versions) == {
        "root", "targets", "snapshot", "timestamp", "trust-domains"
    }  # fmt: skip


def test_a_stolen_key_of_the_delegated_role_is_replaced_by_the_targets_key(
    acme: Home, pinned: Pin
) -> None:
    authority.set_trust_domains(acme, (FIRST,), NOW)
    old = authority.describe(acme).keys["trust-domains"].public().keyid
    done = authority.rotate(acme, "trust-domains", NOW)
    assert done.renewed == ("trust-domains", "targets", "snapshot", "timestamp")
    targets = json.loads((acme.repository / "metadata/3.targets.json").read_bytes())["signed"]
    (role,) = targets["delegations"]["roles"]
    assert role["keyids"] == [authority.describe(acme).keys["trust-domains"].public().keyid]
    assert old not in role["keyids"]
    assert (role["paths"], role["threshold"], role["terminating"]) == (
        ["trust-domains.json"], 1, True
    )  # fmt: skip
    assert pinned(acme).trust_domains() == (FIRST,)


def test_a_heartbeat_renews_the_delegated_role_and_warns_where_it_cannot(acme: Home) -> None:
    authority.set_trust_domains(acme, (FIRST,), NOW)
    done = authority.publish(acme, NOW + 5 * DAY)
    assert done.renewed == ("trust-domains", "snapshot", "timestamp")
    offline(acme, "trust-domains")
    done = authority.publish(acme, NOW + 10 * DAY)
    ends = (NOW + 12 * DAY).isoformat()
    assert done.renewed == ("snapshot", "timestamp")
    (warning,) = done.warnings
    assert warning.startswith(f"trust-domains expires at {ends} and could not be renewed: key file")


def test_there_is_no_key_to_rotate_before_the_first_trust_domain(acme: Home) -> None:
    with pytest.raises(AuthorityError, match="no trust-domains key yet: publish a trust domain"):
        authority.rotate(acme, "trust-domains", NOW)
    assert len(list((acme.path / "keys").iterdir())) == 4


def test_a_trust_domain_given_twice_changes_nothing(acme: Home, pinned: Pin) -> None:
    with pytest.raises(AuthorityError, match=r"nothing was changed: .*listed twice"):
        authority.set_trust_domains(acme, (FIRST, FIRST), NOW)
    assert pinned(acme).trust_domains() is None
    assert authority.describe(acme).versions["timestamp"] == 1
    assert len(list((acme.path / "keys").iterdir())) == 4


def test_an_edition_whose_delegation_was_changed_is_not_signed(acme: Home) -> None:
    authority.set_trust_domains(acme, (FIRST,), NOW)
    settings = acme.path / "authority.yaml"
    text = settings.read_text()
    settings.write_text(text[: text.index("  trust-domains:")])
    with pytest.raises(AuthorityError, match="delegate trust-domains otherwise than to the key"):
        authority.publish(acme, NOW)


def test_a_key_brought_along_holds_the_delegated_role_from_the_start(
    tmp_path: Path, pinned: Pin
) -> None:
    other = authority.init(tmp_path / "other", "other", now=NOW)
    uri = f"file2:{key_file(other, 'online')}"
    own = {"trust-domains": OwnKey(uri)}
    home = authority.init(tmp_path / "acme", "acme", now=NOW, uris=own)
    offline(home, "targets")
    assert pinned(home).trust_domains() == ()
    authority.set_trust_domains(home, (FIRST,), NOW + timedelta(seconds=1))
    assert pinned(home).trust_domains() == (FIRST,)


def test_delegated_metadata_that_somebody_changed_is_not_signed_over(acme: Home) -> None:
    authority.set_trust_domains(acme, (FIRST,), NOW)
    path = acme.repository / "metadata/1.trust-domains.json"
    value = json.loads(path.read_bytes())
    value["signed"]["expires"] = "2099-01-01T00:00:00Z"
    path.write_text(json.dumps(value))
    with pytest.raises(AuthorityError, match="does not hold what this authority published"):
        authority.publish(acme, NOW)
