"""A withdrawal that was published, and expired before a gate read it, is in force all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.window import rfc3339
from sidecar.trust.refresher import AuthorityRefresher
from tests.unit.trust.refreshing import KEY, fresh, refused
from tests.unit.trust.repository import HOUR, ROLES, Repository, now

OTHER, THIRD = ("sha256:" + digit * 64 for digit in "bc")


def publish_expired(repo: Repository, role: str = "timestamp") -> None:
    """Publish what had expired by the time at which anybody could read it."""
    kept = dict(repo.expires)
    repo.expires[role] = now() - HOUR
    if role == "root":
        repo.rotate_root()
    repo.publish()
    repo.expires = kept


def subjects(gate: AuthorityRefresher) -> list[str]:
    """Refresh, and return what is withdrawn; the authority's agreement must not count."""
    view = gate.refresh()
    assert view is not None
    assert view.expires <= now()
    assert not view.heard_since_start
    return [entry.subject for entry in view.withdrawals.entries]


@pytest.mark.parametrize("role", ROLES)
def test_law_1_a_withdrawal_that_expired_unread_is_in_force(
    repo: Repository, state: Path, role: str
) -> None:
    """As of an authority that fell silent while the gate was down, or whose clock is behind."""
    fresh(repo, state)
    repo.entries.append({"kind": "key", "subject": KEY, "reason": "test"})
    publish_expired(repo, role)
    gate = AuthorityRefresher(repo.trusted(), state)
    assert subjects(gate) == [KEY]
    assert gate.status.error is not None
    assert gate.status.error.endswith("is expired; what it withdraws counts")
    assert subjects(gate) == [KEY]  # nothing is new
    assert subjects(AuthorityRefresher(repo.trusted(), state)) == [KEY]  # nor after a restart
    repo.publish()
    assert len(fresh(repo, state).withdrawals.entries) == 1


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"kind": "key", "subject": KEY, "reason": "test", "effective": "2090-01-02T00:00:00Z"},
    ],
)
def test_law_1_what_expired_unread_takes_no_withdrawal_back(
    repo: Repository, state: Path, entry: dict[str, str] | None
) -> None:
    """A mirror that replays chooses the edition: one from between two withdrawals, say.

    What such an edition withdraws itself counts beside what it lacks.
    """
    begins = {"effective": "2090-01-01T00:00:00Z"}
    repo.entries.append({"kind": "key", "subject": KEY, "reason": "test"} | begins)
    repo.publish()
    fresh(repo, state)
    repo.entries[:] = [{"kind": "key", "subject": OTHER, "reason": "test"}]
    repo.entries.extend([] if entry is None else [entry])
    publish_expired(repo)
    gate = AuthorityRefresher(repo.trusted(), state)
    for each in (gate, gate, AuthorityRefresher(repo.trusted(), state)):  # nor after a restart
        view = each.refresh()
        assert view is not None
        assert not view.heard_since_start
        assert {one.subject for one in view.withdrawals.entries} == {KEY, OTHER}
        begin = [one.effective for one in view.withdrawals.entries if one.subject == KEY]
        assert rfc3339(begin[0] or now()) == begins["effective"]
        assert each.status.error == (
            "timestamp.json is expired, and lacks withdrawals that were verified before; "
            "what it withdraws counts, too"
        )
    repo.entries.append({"kind": "key", "subject": KEY, "reason": "test"})
    publish_expired(repo)
    assert {*subjects(gate)} == {KEY, OTHER}
    repo.entries[:] = [{"kind": "key", "subject": THIRD, "reason": "test"}]
    repo.publish()
    for each in (gate, AuthorityRefresher(repo.trusted(), state)):
        view = each.refresh()
        assert view is not None
        assert view.heard_since_start
        assert [one.subject for one in view.withdrawals.entries] == [THIRD]


def test_an_authority_is_not_heard_for_the_first_time_by_what_has_expired(
    repo: Repository, state: Path
) -> None:
    publish_expired(repo)
    assert refused(repo, state) == "timestamp.json is expired"
    assert AuthorityRefresher(repo.trusted(), state).refresh() is None
