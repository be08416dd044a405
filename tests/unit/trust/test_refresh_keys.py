"""Signatures, thresholds and replaced keys of an authority, with real keys and files."""

from __future__ import annotations

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from sidecar.trust.view import KeptView, NoViewError, read_kept
from tests.unit.trust.refreshing import expected, fresh, refused
from tests.unit.trust.repository import Repository, under_another_id


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_metadata_by_a_stranger_is_refused(repo: Repository, state: Path, role: str) -> None:
    view = fresh(repo, state)
    repo.signers[role] = [CryptoSigner.generate_ed25519()]
    repo.publish()
    assert refused(repo, state) == f"{role} was signed by 0/1 keys"
    assert read_kept(repo.trusted(), state).view == view


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_unsigned_metadata_is_refused(repo: Repository, state: Path, role: str) -> None:
    repo.signers[role] = []
    repo.publish()
    assert refused(repo, state) == f"{role} was signed by 0/1 keys"


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_threshold_of_two_is_not_met_by_one(tmp_path: Path, state: Path, role: str) -> None:
    repo = Repository(tmp_path / "r", "acme")
    repo.thresholds[role] = 2
    pair = [CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()]
    pinned = repo.rotate_root({role: pair})
    repo.publish()
    assert fresh(repo, state, pinned).version == 1
    repo.signers[role] = pair[:1]
    repo.publish()
    assert refused(repo, state, pinned) == f"{role} was signed by 1/2 keys"


def test_a_new_root_that_counts_one_key_twice_is_refused(repo: Repository, state: Path) -> None:
    view = fresh(repo, state)
    once = CryptoSigner.generate_ed25519()
    repo.thresholds["targets"] = 2
    repo.rotate_root({"targets": [once, under_another_id(once, "b" * 64)]})
    repo.publish()
    assert refused(repo, state) == (
        "metadata/2.root.json is refused: role targets counts one key under two ids"
    )
    assert read_kept(repo.trusted(), state).view == view


def test_a_new_root_by_a_stranger_is_refused(repo: Repository, state: Path) -> None:
    view = fresh(repo, state)
    repo.signers["root"] = [CryptoSigner.generate_ed25519()]
    repo.rotate_root()
    assert refused(repo, state) == "root was signed by 0/1 keys"
    assert read_kept(repo.trusted(), state).view == view


def test_a_chain_of_roots_is_followed_from_the_pinned_one(repo: Repository, state: Path) -> None:
    for _ in range(4):
        repo.rotate_root({role: [CryptoSigner.generate_ed25519()] for role in repo.signers})
    repo.publish()
    assert fresh(repo, state) == expected(repo, 2, repo.expires["timestamp"])


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_law_1_what_rested_on_a_replaced_key_is_stale_and_still_there(
    repo: Repository, state: Path, role: str
) -> None:
    """Nothing newer can be had: it is no agreement any more, and still every no."""
    view = fresh(repo, state)
    repo.rotate_root({role: [CryptoSigner.generate_ed25519()]})
    assert refused(repo, state).endswith("was signed by 0/1 keys")
    assert read_kept(repo.trusted(), state) == KeptView(
        view, f"root version 2 replaced its keys: {role} was signed by 0/1 keys"
    )
    repo.publish()
    assert fresh(repo, state).version == 2


def test_a_new_root_key_alone_takes_no_word_away(repo: Repository, state: Path) -> None:
    view = fresh(repo, state)
    repo.rotate_root({"root": [CryptoSigner.generate_ed25519()]})
    assert fresh(repo, state) == view


def test_a_root_that_was_seen_cannot_be_forgotten(repo: Repository, state: Path) -> None:
    """Its file is lost and the source denies it: the keys that it took away must not come back."""
    fresh(repo, state)
    repo.rotate_root({"targets": [CryptoSigner.generate_ed25519()]})
    refused(repo, state)
    (state / "acme/metadata/root_history/2.root.json").unlink()
    (repo.folder / "metadata/2.root.json").unlink()
    lost = "root version 2 was seen before and is gone, 1 is left"
    assert refused(repo, state) == lost
    with pytest.raises(NoViewError) as caught:
        read_kept(repo.trusted(), state)
    assert str(caught.value) == lost


def test_pinning_another_root_starts_anew(repo: Repository, state: Path, tmp_path: Path) -> None:
    repo.rotate_root()
    fresh(repo, state)
    other = Repository(tmp_path / "other", "acme")
    other.publish()
    with pytest.raises(NoViewError, match="does not hold any more"):
        read_kept(other.trusted(), state)
    assert fresh(other, state) == expected(other, 1, other.expires["timestamp"])
    assert read_kept(other.trusted(), state).view.document.keys[0].pem == other.attestation.pem


def test_pinning_a_later_root_of_the_same_line_keeps_the_floor(
    repo: Repository, state: Path
) -> None:
    old = (repo.folder / "metadata/timestamp.json").read_bytes()
    repo.publish()
    later = repo.rotate_root()
    view = fresh(repo, state)
    assert read_kept(repo.trusted(later), state).view == view
    repo.write({"metadata/timestamp.json": old})
    assert refused(repo, state, later) == "New timestamp version 1 must be >= 2"
