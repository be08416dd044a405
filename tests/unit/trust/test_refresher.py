"""An authority that is asked again and again: what is new is found, and nothing else is read."""

from __future__ import annotations

import errno
import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.trust import refresher as refresher_module
from sidecar.trust import store
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.refresher import WHOLE_SECONDS, AuthorityRefresher
from tests.unit.trust.repository import Repository, now

POLL = ["metadata/timestamp.json", "metadata/2.root.json"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file that a source is asked for."""
    seen: list[str] = []
    real = DirectorySource.fetch

    def fetch(self: DirectorySource, name: str, max_bytes: int) -> bytes:
        seen.append(name)
        return real(self, name, max_bytes)

    monkeypatch.setattr(DirectorySource, "fetch", fetch)
    return seen


@pytest.fixture
def refreshed(repo: Repository, state: Path, asked: list[str]) -> AuthorityRefresher:
    made = AuthorityRefresher(repo.trusted(), state)
    assert made.refresh() is not None
    asked.clear()
    return made


def test_a_poll_without_news_reads_two_files(
    refreshed: AuthorityRefresher, asked: list[str]
) -> None:
    """All of a refresh at every poll was most of what an idle gate did."""
    before = refreshed.status
    view = refreshed.refresh()
    assert asked == POLL
    assert view is not None
    assert (view.version, view.heard_since_start) == (1, True)
    assert refreshed.status.refreshed is not None
    assert before.refreshed is not None
    assert refreshed.status.refreshed >= before.refreshed


def test_a_withdrawal_is_found_by_the_next_poll(
    refreshed: AuthorityRefresher, repo: Repository
) -> None:
    refreshed.refresh()
    repo.withdraw("model", "openai/ft:x")
    view = refreshed.refresh()
    assert view is not None
    assert [entry.subject for entry in view.withdrawals.entries] == ["openai/ft:x"]


def test_a_new_root_is_found_though_the_timestamp_is_the_same(
    refreshed: AuthorityRefresher, repo: Repository, asked: list[str]
) -> None:
    repo.rotate_root({})
    refreshed.refresh()
    assert "metadata/3.root.json" in asked
    asked.clear()
    refreshed.refresh()
    assert asked == ["metadata/timestamp.json", "metadata/3.root.json"]


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json"])
def test_a_source_that_lost_its_timestamp_is_an_error(
    refreshed: AuthorityRefresher, repo: Repository, name: str
) -> None:
    (repo.folder / "metadata" / name).unlink()
    refreshed.refresh()
    assert bool(refreshed.status.error) is (name == "timestamp.json")


def test_what_has_expired_is_asked_for_as_a_whole(
    refreshed: AuthorityRefresher, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later:
        @staticmethod
        def now(_: object) -> object:
            return now() + timedelta(days=3650)

    monkeypatch.setattr(refresher_module, "datetime", Later)
    refreshed.refresh()
    assert asked != POLL


def test_everything_is_verified_and_kept_again_once_a_minute(
    refreshed: AuthorityRefresher,
    state: Path,
    repo: Repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = state / repo.name / "last-good.json"
    kept.unlink()
    refreshed.refresh()
    assert not kept.exists()
    later = time.monotonic() + WHOLE_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    refreshed.refresh()
    assert kept.exists()


def test_after_a_failed_refresh_everything_is_asked_for(
    refreshed: AuthorityRefresher, repo: Repository, asked: list[str]
) -> None:
    timestamp = repo.folder / "metadata/timestamp.json"
    right = timestamp.read_bytes()
    timestamp.write_bytes(b"{}")
    refreshed.refresh()
    assert refreshed.status.error is not None
    timestamp.write_bytes(right)
    asked.clear()
    refreshed.refresh()
    assert refreshed.status.error is None
    assert asked != POLL


def test_law_1_a_full_disk_holds_up_no_withdrawal_and_ends_none(
    repo: Repository, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts before it can be kept, also once its source fails or goes back to what was kept."""
    made = AuthorityRefresher(repo.trusted(), state)
    assert made.refresh() is not None
    first = shutil.copytree(repo.folder, tmp_path / "first")
    repo.withdraw("model", "openai/ft:x")
    newest = shutil.copytree(repo.folder, tmp_path / "newest")

    def full(path: Path, data: bytes, *, mode: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def served(folder: Path) -> tuple[int, int, str | None]:
        shutil.rmtree(repo.folder)
        if folder.exists():
            shutil.copytree(folder, repo.folder)
        else:
            repo.folder.mkdir()
        view = made.refresh()
        assert view is not None
        assert view.heard_since_start
        return view.version, len(view.withdrawals.entries), made.status.error

    cannot = f"{state}/acme cannot be written: No space left on device"
    with monkeypatch.context() as patched:
        patched.setattr(store, "write_atomically", full)
        restart = "after a restart nothing counts until this version is read again"
        assert served(newest) == (2, 1, f"{cannot}; {restart}")
        assert served(first) == (2, 1, "New timestamp version 1 must be >= 2")
        assert served(tmp_path / "gone") == (2, 1, "metadata/timestamp.json is not there")
    assert served(newest) == (2, 1, None)
    again = AuthorityRefresher(repo.trusted(), state).recall()
    assert again is not None
    assert again.version == 2
