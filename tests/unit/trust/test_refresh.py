"""One authority against its repository: what TUF must withstand, with real keys and files."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    MetaFile,
    Timestamp,
)

from sidecar.core.snapshot import AuthorityView
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.refresh import RefreshError, refresh
from sidecar.trust.source import Trigger
from sidecar.trust.view import NoViewError, read_kept
from tests.unit.trust.refreshing import KEY, expected, fresh, refused
from tests.unit.trust.repository import HOUR, Repository, now


def test_what_an_authority_publishes_is_read_whole(repo: Repository, state: Path) -> None:
    repo.withdraw("key", KEY)
    view = fresh(repo, state)
    assert view == expected(repo, 2, repo.expires["timestamp"])
    assert read_kept(repo.trusted(), state).view == view


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_a_view_expires_with_the_first_of_its_four_parts(
    tmp_path: Path, state: Path, role: str
) -> None:
    first = now() + HOUR / 2
    repo = Repository(tmp_path / "r", "acme")
    repo.expires[role] = first
    if role == "root":
        repo.rotate_root()
    repo.publish()
    assert fresh(repo, state).expires == first


def test_a_restart_without_its_source_keeps_the_last_word(repo: Repository, state: Path) -> None:
    view = fresh(repo, state)
    shutil.rmtree(repo.folder)
    assert refused(repo, state) == f"there is no folder {repo.folder}"
    assert read_kept(repo.trusted(), state).view == view


@dataclass
class Counted:
    """A repository, and the names that it was asked for."""

    source: DirectorySource
    asked: list[str] = field(default_factory=list)

    def fetch(self, name: str, max_bytes: int) -> bytes:
        self.asked.append(name)
        return self.source.fetch(name, max_bytes)

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        return self.source.changes(poll_seconds, stop)


def test_a_refresh_asks_for_no_file_twice(repo: Repository, state: Path) -> None:
    fresh(repo, state)
    repo.rotate_root()
    repo.withdraw("key", KEY)
    source = Counted(DirectorySource(repo.folder))
    refresh(repo.trusted(), source, state)
    roots = [name for name in source.asked if name.endswith("root.json")]
    assert roots == ["metadata/2.root.json", "metadata/3.root.json"]
    assert len(source.asked) == len(set(source.asked))


def test_an_authority_that_was_never_reached_has_no_view(repo: Repository, state: Path) -> None:
    shutil.rmtree(repo.folder)
    refused(repo, state)
    with pytest.raises(NoViewError, match=r"^was never verified$"):
        read_kept(repo.trusted(), state)


# rollback, freeze, fast-forward, mix-and-match, endless data


def test_a_rollback_is_refused_across_a_restart(
    repo: Repository, state: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(repo.folder, old)
    repo.withdraw("key", KEY)
    view = fresh(repo, state)
    shutil.rmtree(repo.folder)
    shutil.copytree(old, repo.folder)
    assert refused(repo, state) == "New timestamp version 1 must be >= 2"
    assert read_kept(repo.trusted(), state).view == view


def test_without_the_kept_state_the_same_rollback_would_pass(
    repo: Repository, state: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(repo.folder, old)
    repo.withdraw("key", KEY)
    fresh(repo, state)
    assert refresh(repo.trusted(), DirectorySource(old), tmp_path / "forgetful").view.version == 1


def soon_over(repo: Repository, state: Path) -> AuthorityView:
    """A view read while it holds, which is not for long; longer where the machine is busy."""
    for seconds in (2, 4, 8, 16):
        repo.expires["timestamp"] = now() + timedelta(seconds=seconds)
        repo.publish()
        with suppress(RefreshError):
            return fresh(repo, state)
    return fresh(repo, state)


@pytest.mark.slow
def test_a_frozen_authority_expires_and_says_so(repo: Repository, state: Path) -> None:
    view = soon_over(repo, state)
    assert view.expires == repo.expires["timestamp"]
    while now() <= view.expires:
        time.sleep(0.05)
    assert refused(repo, state) == "timestamp.json is expired"
    assert read_kept(repo.trusted(), state).view == view
    repo.expires["timestamp"] = now() + HOUR
    repo.publish()
    assert fresh(repo, state).expires == repo.expires["timestamp"]


def test_a_timestamp_without_its_snapshot_neither_prolongs_nor_ends_the_last_word(
    repo: Repository, state: Path
) -> None:
    view = fresh(repo, state)
    repo.expires["timestamp"] = now() + 10 * HOUR
    files = repo.next_set()
    half = {name: data for name, data in files.items() if "snapshot" not in name}
    repo.write(half)
    assert refused(repo, state) == "metadata/2.snapshot.json is not there"
    assert read_kept(repo.trusted(), state).view == view
    assert view.expires < repo.expires["timestamp"]
    repo.write(files)
    assert fresh(repo, state) == expected(repo, 2, repo.expires["snapshot"])


def test_half_a_publication_raises_the_floor_at_once(
    repo: Repository, state: Path, tmp_path: Path
) -> None:
    fresh(repo, state)
    old = (repo.folder / "metadata/timestamp.json").read_bytes()
    files = repo.next_set()
    repo.write({"metadata/timestamp.json": files["metadata/timestamp.json"]})
    refused(repo, state)
    repo.write({"metadata/timestamp.json": old})
    assert refused(repo, state) == "New timestamp version 1 must be >= 2"


def test_a_mixture_of_two_publications_is_refused(repo: Repository, state: Path) -> None:
    view = fresh(repo, state)
    second = repo.next_set()
    repo.entries.append(
        {"kind": "key", "subject": KEY, "reason": "x", "effective": "2026-01-01T00:00:00Z"}
    )
    third = repo.next_set()
    repo.write(third)
    repo.write({"metadata/3.targets.json": second["metadata/2.targets.json"]})
    assert refused(repo, state).startswith("Observed length")
    assert read_kept(repo.trusted(), state).view == view
    repo.write(third)
    assert fresh(repo, state).withdrawals.entries[0].subject == KEY


def test_a_document_that_is_withheld_keeps_the_last_word(repo: Repository, state: Path) -> None:
    view = fresh(repo, state)
    repo.withdraw("key", KEY)
    for path in (repo.folder / "targets").glob("*withdrawals.json"):
        path.unlink()
    assert "withdrawals.json is not there" in refused(repo, state)
    assert read_kept(repo.trusted(), state).view == view


def test_a_fast_forward_is_recovered_from_by_replacing_the_online_keys(
    repo: Repository, state: Path
) -> None:
    fresh(repo, state)
    repo.publish(timestamp=2**31, snapshot=2**31)
    assert fresh(repo, state).version == 2**31
    repo.versions |= {"timestamp": 1, "snapshot": 1}
    repo.rotate_root(
        {role: [CryptoSigner.generate_ed25519()] for role in ("timestamp", "snapshot")}
    )
    repo.publish()
    assert fresh(repo, state) == expected(repo, 2, repo.expires["timestamp"])


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_replacing_one_online_key_is_enough_to_recover(
    repo: Repository, state: Path, role: str
) -> None:
    repo.publish(snapshot=2**31)
    fresh(repo, state)
    repo.versions |= {"snapshot": 1}
    repo.rotate_root({role: [CryptoSigner.generate_ed25519()]})
    repo.publish()
    assert fresh(repo, state).version == repo.versions["timestamp"]


def test_without_new_keys_a_fast_forward_cannot_be_taken_back(
    repo: Repository, state: Path
) -> None:
    repo.publish(timestamp=2**31)
    fresh(repo, state)
    repo.versions["timestamp"] = 5
    repo.rotate_root()
    repo.publish()
    assert refused(repo, state) == f"New timestamp version 6 must be >= {2**31}"


@pytest.mark.parametrize("name", ["timestamp", "1.snapshot", "1.targets", "2.root"])
def test_endless_data_is_not_read_to_its_end(repo: Repository, state: Path, name: str) -> None:
    with (repo.folder / f"metadata/{name}.json").open("wb") as file:
        file.truncate(1 << 34)  # sparse: 16 GiB without a block
    assert refused(repo, state) == (f"metadata/{name}.json is larger than {REPOSITORY.fetch} bytes")


def test_a_length_that_was_signed_does_not_raise_the_cap(repo: Repository, state: Path) -> None:
    huge = Timestamp(9, None, repo.expires["timestamp"], MetaFile(2, 1 << 34))
    with (repo.folder / "metadata/2.snapshot.json").open("wb") as file:
        file.truncate(1 << 34)
    repo.write({"metadata/timestamp.json": repo.sign("timestamp", huge)})
    assert refused(repo, state) == (
        f"metadata/2.snapshot.json is larger than {REPOSITORY.fetch} bytes"
    )


def test_a_timestamp_beyond_its_own_cap_is_refused(repo: Repository, state: Path) -> None:
    path = repo.folder / "metadata/timestamp.json"
    path.write_bytes(path.read_bytes() + b" " * REPOSITORY.timestamp)
    assert refused(repo, state).startswith("metadata/timestamp.json: ")


def test_a_root_that_is_kept_is_not_written_again(repo: Repository, state: Path) -> None:
    """A rename over a file waits for the disk, while a withdrawal waits for the refresh."""
    fresh(repo, state)
    kept = state / repo.name / "metadata/root_history/1.root.json"
    before = kept.stat().st_ino
    repo.publish()
    assert fresh(repo, state).version == 2
    assert kept.stat().st_ino == before
    kept.write_bytes(b"damaged")
    repo.publish()
    assert fresh(repo, state).version == 3
    assert kept.read_bytes() == repo.first_root
