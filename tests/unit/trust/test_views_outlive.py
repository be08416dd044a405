"""Laws 1 and 4 in the control path: a verified view is never absent again, it only becomes stale.

``TRUTH`` is what the predicate needs to know of an authority: its version, how many withdrawals
count, and whether it was heard since this control path started.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from securesystemslib.signer import CryptoSigner

from sidecar.core.snapshot import TrustState
from sidecar.trust import sources
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.load_once import load_once
from sidecar.trust.source import Source
from sidecar.trust.source_config import DirectorySourceConfig
from tests.unit.trust.operator import Operator, Published, first_refresh, running
from tests.unit.trust.repository import HOUR, Repository, now

KEY = "sha256:" + "a" * 64
Truth = tuple[int, int, bool]


def truth(state: TrustState, name: str = "office") -> Truth:
    view = state.authorities[name]
    return view.version, len(view.withdrawals.entries), view.heard_since_start


def wait_truth(states: Published, expected: Truth) -> None:
    """Wait for a state with this truth; a minute is for ever."""
    with states.changed:
        states.changed.wait_for(
            lambda: (
                bool(states.states)
                and "office" in states.last.authorities
                and truth(states.last) == expected
            ),
            60,
        )
        assert truth(states.last) == expected


def rotated_behind_a_stuck_mirror(office: Repository) -> None:
    """The root with the new online key passes; timestamp.json is held back."""
    office.rotate_root({"timestamp": [CryptoSigner.generate_ed25519()]})


def not_understood(office: Repository) -> None:
    office.publish(office.documents | {"withdrawals.json": b"{}"})


@pytest.mark.parametrize("act", [rotated_behind_a_stuck_mirror, not_understood])
def test_law_1_a_withdrawal_outlives_what_its_author_or_mirror_does(
    published: Operator, act: Callable[[Repository], None]
) -> None:
    office = published.repositories["office"]
    office.withdraw("key", KEY)
    config = published.load()
    with running(config) as (control, states):
        first_refresh(control)
        wait_truth(states, (2, 1, True))
        act(office)
        wait_truth(states, (2, 1, False))
        assert control.statuses()[2].error is not None
    with running(config) as (control, states):
        first_refresh(control)
        assert truth(states.last) == (2, 1, False)
        office.publish()
        wait_truth(states, (office.versions["timestamp"], 1, True))
    assert truth(load_once(config)[0]) == (office.versions["timestamp"], 1, True)


def test_a_word_that_was_not_understood_stays_stale_when_the_source_goes(
    published: Operator,
) -> None:
    """The failure of the next refresh is another one; what was said is still unknown."""
    published.value["poll_seconds"] = 0.05
    office = published.repositories["office"]
    with running(published.load()) as (control, states):
        first_refresh(control)
        not_understood(office)
        wait_truth(states, (1, 0, False))
        shutil.rmtree(office.folder)
        waiting = threading.Event()
        while control.statuses()[2].error != f"there is no folder {office.folder}":
            waiting.wait(0.01)
        assert truth(states.last) == (1, 0, False)


def test_a_source_that_fails_leaves_the_view_heard_until_it_expires(published: Operator) -> None:
    published.value["poll_seconds"] = 0.05
    office = published.repositories["office"]
    with running(published.load()) as (control, states):
        first_refresh(control)
        shutil.rmtree(office.folder)
        waiting = threading.Event()
        while control.statuses()[2].error is None:
            waiting.wait(0.01)
        assert truth(states.last) == (1, 0, True)


def test_law_1_a_withdrawal_outlives_its_authors_expiry(published: Operator) -> None:
    office = published.repositories["office"]
    office.withdraw("key", KEY)
    config = published.load()
    load_once(config)
    office.expires["timestamp"] = now() - HOUR
    office.publish()
    state, statuses = load_once(config)
    assert truth(state) == (3, 1, False)
    assert statuses[2].error == "timestamp.json is expired; what it withdraws counts"


@dataclass
class Gated:
    """The office's repository behind a mirror that answers nothing until it is released."""

    hung: threading.Event
    release: threading.Event

    def open_source(self, config: DirectorySourceConfig) -> Source:
        if config.path.name != "office":
            return DirectorySource(config.path)
        gated = self

        class Held(DirectorySource):
            def fetch(self, name: str, max_bytes: int) -> bytes:
                gated.hung.set()
                gated.release.wait()
                return super().fetch(name, max_bytes)

        return Held(config.path)


def test_law_1_a_withdrawal_made_while_the_gate_was_down_counts_before_it_is_ready(
    published: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = published.load()
    load_once(config)
    published.repositories["office"].withdraw("key", KEY)
    gated = Gated(threading.Event(), threading.Event())
    monkeypatch.setattr(sources, "open_source", gated.open_source)
    with running(config) as (control, states):
        try:
            assert gated.hung.wait(60)
            wait_truth(states, (1, 0, False))
            assert not control.first_refresh_done()
        finally:
            gated.release.set()
        first_refresh(control)
        assert truth(states.last) == (2, 1, True)


def test_only_the_operator_ends_a_view(published: Operator) -> None:
    published.repositories["office"].withdraw("key", KEY)
    config = published.load()
    load_once(config)
    entries = published.value["authorities"]
    entries[0]["grants"].append(entries.pop()["grants"][0])
    assert {*load_once(published.load())[0].authorities} == {"acme", "maker"}


# trust domains


@pytest.fixture
def acme(published: Operator) -> Repository:
    repo = published.repositories["acme"]
    repo.online = [CryptoSigner.generate_ed25519()]
    repo.domains = [{"name": "acme.example"}]
    return repo


def domains(published: Operator) -> tuple[list[str] | None, str | None]:
    """The trust domains in a fresh state, and the status's error."""
    state, statuses = load_once(published.load())
    found = state.authorities["acme"].trust_domains
    names = None if found is None else [domain.name for domain in found.trust_domains]
    return names, statuses[0].error


def test_trust_domains_are_read_from_the_delegated_role(
    published: Operator, acme: Repository
) -> None:
    assert domains(published) == (None, None)
    acme.publish()
    assert domains(published) == (["acme.example"], None)
    acme.domains.append({"name": "more.example"})
    acme.domains_version = 2
    acme.publish()
    assert domains(published) == (["acme.example", "more.example"], None)
    # The snapshot lists what it once listed for ever (TUF specification 5.5.5).
    acme.delegations = lambda: None  # type: ignore[method-assign,assignment,return-value]
    acme.publish()
    assert domains(published) == (None, None)


def test_a_withdrawal_does_not_wait_for_trust_domains(
    published: Operator, acme: Repository
) -> None:
    """The delegated metadata is missing: the withdrawal counts, and so do the domains before."""
    acme.publish()
    load_once(published.load())
    acme.domains_version = 2
    acme.entries.append({"kind": "key", "subject": KEY, "reason": "test"})
    files = acme.next_set()
    del files["metadata/2.trust-domains.json"]
    acme.write(files)
    state, statuses = load_once(published.load())
    assert truth(state, "acme") == (3, 1, True)
    assert state.authorities["acme"].domains[0].name == "acme.example"
    assert statuses[0].error == ("trust-domains.json: metadata/2.trust-domains.json is not there")


def test_trust_domains_that_are_withheld_expire_with_the_timestamp_they_came_with(
    published: Operator, acme: Repository
) -> None:
    first = acme.expires["timestamp"]
    acme.publish()
    load_once(published.load())
    acme.expires["timestamp"] = now() + 20 * HOUR
    acme.domains_version = 2
    files = acme.next_set()
    del files["metadata/2.trust-domains.json"]
    acme.write(files)
    state, _ = load_once(published.load())
    assert state.authorities["acme"].expires == first


def test_the_delegated_roles_own_expiry_counts(published: Operator, acme: Repository) -> None:
    acme.domains_expire = now() - HOUR
    acme.publish()
    state, _ = load_once(published.load())
    assert state.authorities["acme"].expires == acme.domains_expire


def by_a_stranger(acme: Repository) -> None:
    keys = acme.delegations()
    acme.online = [CryptoSigner.generate_ed25519()]
    acme.delegations = lambda: keys  # type: ignore[method-assign]


def too_large(acme: Repository) -> None:
    acme.domains = [{"name": "acme.example", "jwks": {"x": "x" * (4 << 20)}}]


def malformed(acme: Repository) -> None:
    acme.domains = [{"name": "acme.example"}] * 2


def of_another_path(acme: Repository) -> None:
    made = acme.delegations()
    assert made.roles is not None
    made.roles["trust-domains"].paths = ["other.json"]
    acme.delegations = lambda: made  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (by_a_stranger, "trust-domains.json: trust-domains was signed by 0/1 keys"),
        (too_large, "trust-domains.json: trust-domains.json is larger than 4194304 bytes"),
        (malformed, "trust-domains.json: one trust domain is listed twice"),
        (of_another_path, None),
    ],
)
def test_trust_domains_that_do_not_hold_are_none(
    published: Operator,
    acme: Repository,
    spoil: Callable[[Repository], None],
    error: str | None,
) -> None:
    spoil(acme)
    acme.publish()
    assert domains(published) == (None, error)


def test_trust_domains_by_a_replaced_online_key_are_gone_at_once(
    published: Operator, acme: Repository
) -> None:
    """The targets key takes the online key's right away; the mirror withholds what is newer."""
    acme.publish()
    assert domains(published)[0] == ["acme.example"]
    acme.online = [CryptoSigner.generate_ed25519()]
    acme.domains_version = 2
    files = acme.next_set()
    del files["metadata/2.trust-domains.json"]
    acme.write(files)
    assert domains(published) == (
        None,
        "trust-domains.json: metadata/2.trust-domains.json is not there",
    )


def test_older_trust_domains_under_a_newer_name_are_refused(
    published: Operator, acme: Repository
) -> None:
    """As many snapshots do, this one lists a version and no hash."""
    old = acme.delegated()["metadata/1.trust-domains.json"]
    acme.domains_version = 2
    acme.write(acme.next_set() | {"metadata/2.trust-domains.json": old})
    assert domains(published) == (
        None,
        "trust-domains.json: trust-domains version 1, not 2",
    )


def test_older_trust_domains_are_refused(published: Operator, acme: Repository) -> None:
    acme.domains_version = 2
    acme.publish()
    load_once(published.load())
    acme.domains_version = 1
    acme.publish()
    _, error = domains(published)
    assert error is not None
    assert error.startswith("Expected trust-domains.json version")


def test_older_trust_domains_are_refused_under_new_online_keys_too(
    published: Operator, acme: Repository
) -> None:
    """The new root makes every client forget the snapshot that listed the newer ones."""
    acme.domains_version = 2
    acme.publish()
    load_once(published.load())
    acme.rotate_root({"snapshot": [CryptoSigner.generate_ed25519()]})
    acme.domains_version = 1
    acme.publish()
    assert domains(published) == (
        None,
        "trust-domains.json: trust-domains version 1 must be >= 2, which was verified before and is"
        " signed by a key that the role still has; publish a newer version",
    )


def test_a_source_error_is_one_line(published: Operator, acme: Repository) -> None:
    acme.publish()
    (acme.folder / "metadata/1.trust-domains.json").unlink()
    (acme.folder / "metadata/1.trust-domains.json").mkdir()
    assert domains(published) == (
        None,
        "trust-domains.json: metadata/1.trust-domains.json is not a regular file",
    )
