"""What is kept of an authority: its newest word, understood or not, safe from tampering."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from sidecar.core.documents import MAX_DOCUMENT_BYTES
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.refresh import RefreshError
from sidecar.trust.store import GoodSet
from sidecar.trust.view import NoViewError, read_kept, store_of
from tests.unit.trust.refreshing import fresh, refused
from tests.unit.trust.repository import Repository, sign


def without(repo: Repository, name: str) -> dict[str, bytes]:
    return {each: data for each, data in repo.documents.items() if each != name}


def other_name(repo: Repository) -> dict[str, bytes]:
    return repo.documents | {
        "authority.json": repo.documents["authority.json"].replace(b'"acme"', b'"evil"')
    }


def critical(repo: Repository) -> dict[str, bytes]:
    value = json.loads(repo.documents["withdrawals.json"]) | {"critical": ["novel"], "novel": 1}
    return repo.documents | {"withdrawals.json": json.dumps(value).encode()}


def too_large(repo: Repository) -> dict[str, bytes]:
    return repo.documents | {"withdrawals.json": b" " * (MAX_DOCUMENT_BYTES + 1)}


@pytest.mark.parametrize(
    ("documents", "why"),
    [
        (
            lambda repo: without(repo, "withdrawals.json"),
            f"withdrawals.json: is not published, or larger than {MAX_DOCUMENT_BYTES} bytes",
        ),
        (
            lambda repo: without(repo, "authority.json"),
            f"authority.json: is not published, or larger than {MAX_DOCUMENT_BYTES} bytes",
        ),
        (other_name, "authority.json: is of 'evil', not of 'acme'"),
        (critical, "withdrawals.json: the critical field 'novel' is not understood"),
        (
            too_large,
            f"withdrawals.json: is not published, or larger than {MAX_DOCUMENT_BYTES} bytes",
        ),
    ],
)
def test_law_1_a_newest_word_that_cannot_be_understood_ends_no_withdrawal(
    repo: Repository,
    state: Path,
    documents: Callable[[Repository], dict[str, bytes]],
    why: str,
) -> None:
    """It replaces nothing; ``test_views_outlive`` shows that the view is stale from then on."""
    repo.withdraw("key", "sha256:" + "a" * 64)
    view = fresh(repo, state)
    repo.publish(documents(repo))
    for _ in range(2):
        assert refused(repo, state) == f"its newest documents cannot be understood: {why}"
        assert read_kept(repo.trusted(), state).view == view
    repo.publish()
    assert fresh(repo, state).version == 4


def test_a_delegated_role_speaks_for_nobody(repo: Repository, state: Path) -> None:
    """Only what the targets role lists itself is read; a helper's key cannot add a document."""
    fresh(repo, state)
    helper = CryptoSigner.generate_ed25519()
    keyid = helper.public_key.keyid
    data = repo.documents["withdrawals.json"]
    listed = TargetFile.from_data("withdrawals.json", data)
    inner = sign(Targets(1, None, repo.expires["targets"], {"withdrawals.json": listed}), [helper])
    repo.next_set()
    authority = repo.documents["authority.json"]
    outer = Targets(
        repo.versions["targets"],
        None,
        repo.expires["targets"],
        {"authority.json": TargetFile.from_data("authority.json", authority)},
        Delegations(
            {keyid: helper.public_key},
            {"helper": DelegatedRole("helper", [keyid], 1, True, ["*.json"])},
        ),
    )
    repo.write({"metadata/1.helper.json": inner, **repo.upper(repo.sign("targets", outer))})
    assert refused(repo, state).startswith(
        "its newest documents cannot be understood: withdrawals.json"
    )


def test_what_is_kept_is_for_its_owner_only(repo: Repository, state: Path) -> None:
    fresh(repo, state)
    folder = state / "acme"
    names = (".", "last-good.json", "seen.json", "reserved-version", "lock", "metadata")
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) & 0o077 for name in names}
    assert modes == dict.fromkeys(names, 0)


def test_a_tampered_set_is_not_believed(repo: Repository, state: Path) -> None:
    fresh(repo, state)
    path = state / "acme/last-good.json"
    kept = json.loads(path.read_text())
    kept["withdrawals"] = kept["withdrawals"].replace("[]", "[ ]")
    path.write_text(json.dumps(kept))
    with pytest.raises(NoViewError, match="does not hold any more: Observed length"):
        read_kept(repo.trusted(), state)
    fresh(repo, state)


@pytest.mark.parametrize("name", ["last-good.json", "seen.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_a_damaged_file_is_no_view(
    repo: Repository, state: Path, name: str, content: bytes
) -> None:
    fresh(repo, state)
    path = state / "acme" / name
    path.write_bytes(content)
    with pytest.raises(NoViewError) as caught:
        read_kept(repo.trusted(), state)
    assert str(caught.value) == f"{path} is damaged"
    assert refused(repo, state) == f"{path} is damaged"  # it is a floor: none is made up


def test_what_was_fetched_is_synced_before_it_is_relied_on(
    repo: Repository, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    repo.rotate_root()
    fresh(repo, state)
    folder = state / "acme"
    names = {os.path.relpath(path, folder) for path in synced}
    assert names == {
        "..",
        ".",
        ".seen.json.tmp",
        ".last-good.json.tmp",
        ".reserved-version.tmp",
        "metadata",
        "metadata/root_history",
        "metadata/root_history/.1.root.json.tmp",
        "metadata/root_history/.2.root.json.tmp",
    }
    synced.clear()
    repo.publish()
    fresh(repo, state)
    assert [os.path.relpath(path, folder) for path in synced] == [
        ".last-good.json.tmp",
        ".",
    ]
    synced.clear()
    fresh(repo, state)
    assert synced == []


def test_hostile_text_cannot_forge_a_log_line(repo: Repository, state: Path) -> None:
    error = RefreshError("a\nb\x1b[31m" + "x" * 1000)
    assert str(error) == "a?b?[31m" + "x" * (REPOSITORY.message_characters - 8)


def test_snapshot_signed_by_the_wrong_role_is_refused(repo: Repository, state: Path) -> None:
    """A document of one role in the place of another."""
    files = repo.next_set()
    snapshot = Metadata[Snapshot].from_bytes(files["metadata/2.snapshot.json"]).signed
    repo.write(files | {"metadata/timestamp.json": repo.sign("timestamp", snapshot)})
    assert refused(repo, state) == "Expected 'timestamp', got 'snapshot'"


def test_a_folder_held_for_too_long_is_reported(
    repo: Repository, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = fresh(repo, state)
    monkeypatch.setattr("sidecar.trust.store.LOCK_SECONDS", 0.05)
    with (state / "acme/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refused(repo, state) == f"{state}/acme is held by another process"
        assert read_kept(repo.trusted(), state).view == view
    assert fresh(repo, state) == view


def test_two_at_once_exclude_each_other(
    repo: Repository, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.trust.store.LOCK_SECONDS", 0.05)
    with store_of(repo.trusted(), state).locked():
        assert refused(repo, state) == f"{state}/acme is held by another process"
    assert fresh(repo, state).version == 1


def test_a_folder_that_cannot_be_made_is_reported(repo: Repository, state: Path) -> None:
    (state / "acme").write_text("")
    assert refused(repo, state) == f"{state}/acme: File exists"


def test_a_file_that_cannot_be_written_is_reported(repo: Repository, state: Path) -> None:
    (state / "acme/metadata/root_history").mkdir(parents=True)
    (state / "acme/metadata/timestamp.json").mkdir()
    assert refused(repo, state).startswith("IsADirectoryError: ")


def kept(repo: Repository) -> GoodSet:
    """A set as it is kept."""
    files = repo.next_set()
    return GoodSet(
        root=repo.versions["root"],
        timestamp=files["metadata/timestamp.json"],
        snapshot=files[f"metadata/{repo.versions['snapshot']}.snapshot.json"],
        targets=files[f"metadata/{repo.versions['targets']}.targets.json"],
        authority=repo.documents["authority.json"],
        withdrawals=repo.documents["withdrawals.json"],
    )


def of_another_role(repo: Repository) -> GoodSet:
    good = kept(repo)
    return replace(good, timestamp=good.snapshot)


def of_two_publications(repo: Repository) -> GoodSet:
    return replace(kept(repo), snapshot=kept(repo).snapshot)


def without_targets(repo: Repository) -> GoodSet:
    snapshot = repo.sign("snapshot", Snapshot(1, None, repo.expires["snapshot"], {}))
    return over(repo, snapshot, MetaFile(1))


def of_another_version(repo: Repository) -> GoodSet:
    """The timestamp speaks of version 8, without a hash that would tell."""
    return over(repo, kept(repo).snapshot, MetaFile(8))


def over(repo: Repository, snapshot: bytes, listed: MetaFile) -> GoodSet:
    timestamp = Timestamp(1, None, repo.expires["timestamp"], listed)
    return replace(kept(repo), snapshot=snapshot, timestamp=repo.sign("timestamp", timestamp))


def unsigned(repo: Repository) -> GoodSet:
    repo.signers["targets"] = []
    return kept(repo)


HOLDS = "what is kept does not hold any more: "
UNDERSTOOD = "its newest documents cannot be understood: "


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (of_another_role, HOLDS + "a snapshot document in the place of timestamp"),
        (of_two_publications, HOLDS + "Observed hash"),
        (without_targets, HOLDS + "the snapshot lists no targets"),
        (of_another_version, HOLDS + "snapshot version 1, not 8"),
        (unsigned, HOLDS + "targets was signed by 0/1 keys"),
        (lambda repo: replace(kept(repo), authority=b"{}"), HOLDS + "Observed length 2"),
        (
            lambda repo: replace(kept(repo), withdrawals=None),
            UNDERSTOOD + "withdrawals.json: was not downloaded",
        ),
    ],
)
def test_a_kept_set_is_verified_like_a_fetched_one(
    tmp_path: Path, state: Path, make: Callable[[Repository], GoodSet], why: str
) -> None:
    repo = Repository(tmp_path / "r", "acme")
    store = store_of(repo.trusted(), state)
    store.folder.mkdir()
    store.keep(kept(repo))
    assert read_kept(repo.trusted(), state).view.name == "acme"
    repo.versions |= dict.fromkeys(("timestamp", "snapshot", "targets"), 0)
    store.keep(make(repo))
    with pytest.raises(NoViewError) as caught:
        read_kept(repo.trusted(), state)
    assert str(caught.value).startswith(why)


def test_a_document_that_is_no_text_is_not_understood(repo: Repository, state: Path) -> None:
    view = fresh(repo, state)
    repo.publish(repo.documents | {"withdrawals.json": b"\xff"})
    text = "its newest documents cannot be understood: withdrawals.json: not UTF-8"
    assert refused(repo, state) == text
    assert read_kept(repo.trusted(), state).view == view
