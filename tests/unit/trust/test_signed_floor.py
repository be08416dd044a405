"""What the targets keys signed is not brought back by whoever signs timestamp and snapshot."""

from __future__ import annotations

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Timestamp

from sidecar.trust.refresher import AuthorityRefresher
from sidecar.trust.view import read_kept
from tests.unit.trust.refreshing import KEY, expected, fresh, refused
from tests.unit.trust.repository import Repository, now, under_another_id

ONLINE = ("timestamp", "snapshot")
OLDER = (
    "targets version 1 must be >= 2, which was verified before and is signed by a key that the"
    " role still has; publish a newer version"
)


def new_keys(*roles: str) -> dict[str, list[CryptoSigner]]:
    return {role: [CryptoSigner.generate_ed25519()] for role in roles}


def roll_back(repo: Repository) -> None:
    """List the first targets metadata in a newer snapshot and timestamp."""
    first = (repo.folder / "metadata/1.targets.json").read_bytes()
    repo.versions |= {role: repo.versions[role] + 1 for role in ONLINE} | {"targets": 1}
    repo.write(repo.upper(first))


@pytest.mark.parametrize("roles", [ONLINE, ("timestamp",), ("snapshot",)])
def test_law_1_new_online_keys_take_no_withdrawal_back(
    repo: Repository, state: Path, roles: tuple[str, ...]
) -> None:
    fresh(repo, state)
    repo.withdraw("key", KEY)
    fresh(repo, state)
    repo.rotate_root(new_keys(*roles))
    roll_back(repo)
    for _ in range(2):  # nor what the first refresh left
        assert refused(repo, state) == OLDER
        assert len(read_kept(repo.trusted(), state).view.withdrawals.entries) == 1
    repo.versions["targets"] = 2
    repo.publish()
    assert fresh(repo, state) == expected(
        repo, repo.versions["timestamp"], repo.expires["timestamp"]
    )


def test_law_1_nor_one_of_which_only_the_targets_metadata_came(
    repo: Repository, state: Path
) -> None:
    """A mirror withholds the document of the withdrawal, and then rolls back under new keys."""
    fresh(repo, state)
    repo.entries.append({"kind": "key", "subject": KEY, "reason": "test"})
    files = repo.next_set()
    repo.write({name: data for name, data in files.items() if "withdrawals.json" not in name})
    assert "withdrawals.json is not there" in refused(repo, state)
    repo.rotate_root(new_keys(*ONLINE))
    roll_back(repo)
    assert refused(repo, state) == OLDER
    assert refused(repo, state) == OLDER


def test_law_1_another_id_of_a_targets_key_is_no_other_key(repo: Repository, state: Path) -> None:
    fresh(repo, state)
    repo.withdraw("key", KEY)
    fresh(repo, state)
    former = repo.signers["targets"]
    repo.rotate_root(new_keys(*ONLINE) | {"targets": [under_another_id(former[0], "ab" * 32)]})
    repo.versions["targets"] = 0
    repo.entries.clear()
    repo.publish()
    assert refused(repo, state) == OLDER


def test_law_1_one_version_with_two_contents_takes_back_no_withdrawal(
    repo: Repository, state: Path
) -> None:
    """As from a home that was restored from before the withdrawal, and said something else."""
    fresh(repo, state)
    repo.withdraw("key", KEY)
    gate = AuthorityRefresher(repo.trusted(), state)
    assert fresh_view(gate)
    repo.versions["targets"] -= 1
    repo.entries[:] = [{"kind": "key", "subject": "sha256:" + "b" * 64, "reason": "test"}]
    repo.publish()
    for _ in range(2):  # nor what the first refresh left
        assert not fresh_view(gate)  # its agreement does not count
        assert gate.status.error == (
            "targets version 2 was verified before with other content: two copies of the"
            " authority's home publish; compare what they withdraw, and publish a newer version"
            " from one that has all of it"
        )
        kept = read_kept(repo.trusted(), state).view.withdrawals.entries
        assert [entry.subject for entry in kept] == [KEY, "sha256:" + "b" * 64]
    repo.withdraw("key", KEY)
    assert fresh_view(gate)
    assert gate.status.withdrawals == 2


@pytest.mark.parametrize(
    ("roles", "role"), [(("timestamp", "snapshot"), "timestamp"), (("snapshot",), "snapshot")]
)
def test_law_1_a_listing_of_one_version_with_two_contents_ends_the_agreement(
    repo: Repository, state: Path, roles: tuple[str, ...], role: str
) -> None:
    """A TUF client keeps the first and says nothing; the withdrawal in the second counts here."""
    fresh(repo, state)
    gate = AuthorityRefresher(repo.trusted(), state)
    copy = dict(repo.versions)
    repo.publish()  # by a copy of the home, from before the withdrawal
    assert fresh_view(gate)
    repo.versions |= {each: copy[each] for each in roles}
    repo.withdraw("key", KEY)
    for _ in range(2):
        assert not fresh_view(gate)
        assert gate.status.error is not None
        version = copy[role] + 1
        assert gate.status.error.startswith(f"{role} version {version} was verified before with")
        assert "its keys changed" in gate.status.stale(now())
        assert gate.status.withdrawals == 1
    assert not fresh_view(AuthorityRefresher(repo.trusted(), state))  # nor after a restart
    assert len(read_kept(repo.trusted(), state).view.withdrawals.entries) == 1
    repo.entries.clear()
    repo.publish()
    assert fresh_view(gate)
    assert (gate.status.withdrawals, gate.status.error) == (0, None)


def fresh_view(gate: AuthorityRefresher) -> bool:
    """Refresh, and return whether the authority's agreement counts."""
    view = gate.refresh()
    assert view is not None
    return view.heard_since_start


def test_the_same_version_signed_once_more_is_the_same(repo: Repository, state: Path) -> None:
    """A second signature, or one made anew, changes nothing that was signed."""
    fresh(repo, state)
    spare = CryptoSigner.generate_ed25519()
    repo.rotate_root({"targets": [*repo.signers["targets"], spare]})
    repo.versions["targets"] -= 1
    repo.publish()
    assert fresh(repo, state).version == repo.versions["timestamp"]
    gate = AuthorityRefresher(repo.trusted(), state)
    path = repo.folder / "metadata/timestamp.json"
    timestamp = Metadata[Timestamp].from_bytes(path.read_bytes())
    timestamp.sign(spare, append=True)
    path.write_bytes(timestamp.to_bytes())
    assert fresh_view(gate)
    assert gate.status.error is None


def test_replacing_the_targets_key_recovers_from_its_fast_forward(
    repo: Repository, state: Path
) -> None:
    repo.publish(targets=2**31)
    fresh(repo, state)
    repo.versions["targets"] = 1
    repo.rotate_root(new_keys(*ONLINE, "targets"))
    repo.publish()
    assert fresh(repo, state).version == repo.versions["timestamp"]
