"""What an edition withdraws that verified counts, though the edition itself is not accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from sidecar.core.reasons import EvidenceError
from sidecar.trust import unaccepted
from sidecar.trust.memo import Memo
from sidecar.trust.refresher import AuthorityRefresher
from sidecar.trust.store import Store
from sidecar.trust.view import NoViewError, read_kept
from tests.unit.trust.refreshing import KEY, fresh, refused
from tests.unit.trust.repository import HOUR, Repository, now


def no(digit: str) -> dict[str, str]:
    return {"kind": "key", "subject": f"sha256:{digit * 64}", "reason": "test"}


def publish_expired(repo: Repository, *digits: str) -> None:
    """Publish an edition that withdraws these alone, and has expired."""
    repo.entries[:] = [no(digit) for digit in digits]
    kept, repo.expires["timestamp"] = repo.expires["timestamp"], now() - HOUR
    repo.publish()
    repo.expires["timestamp"] = kept


def counted(repo: Repository, state: Path) -> set[str]:
    """The digits of what is withdrawn, by what is kept."""
    entries = read_kept(repo.trusted(), state).view.withdrawals.entries
    return {entry.subject[-1] for entry in entries}


@pytest.fixture
def heard(repo: Repository, state: Path) -> Repository:
    """A repository whose first withdrawal, ``a``, is in force."""
    repo.entries.append(no("a"))
    repo.publish()
    fresh(repo, state)
    assert KEY.endswith("a")
    return repo


def test_law_1_one_after_the_other_adds_and_only_what_is_accepted_takes_back(
    heard: Repository, state: Path
) -> None:
    publish_expired(heard, "b")
    refused(heard, state)
    publish_expired(heard, "c")
    refused(heard, state)
    assert counted(heard, state) == {"a", "b", "c"}
    publish_expired(heard, "a", "d")  # takes nothing back of what is accepted
    gate = AuthorityRefresher(heard.trusted(), state)
    view = gate.refresh()
    assert view is not None
    assert not view.heard_since_start
    assert counted(heard, state) == {"a", "b", "c", "d"}
    heard.entries[:] = [no("e")]
    heard.publish()
    fresh(heard, state)
    assert counted(heard, state) == {"e"}
    assert not (state / heard.name / "unaccepted.json").exists()


def test_what_adds_nothing_is_not_kept_and_what_has_more_replaces_it(
    heard: Repository, state: Path
) -> None:
    store = Store(state / heard.name)
    publish_expired(heard)
    refused(heard, state)
    assert store.unaccepted() == ()
    for digits in ("b", "bc", "b", "bcd"):
        publish_expired(heard, *digits)
        refused(heard, state)
        assert len(store.unaccepted()) == 1
    assert counted(heard, state) == {"a", "b", "c", "d"}


def test_editions_that_differ_fill_no_disk(
    heard: Repository, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unaccepted, "MAX_SETS", 2)
    for digit in "bcd":
        publish_expired(heard, digit)
        last = refused(heard, state)
    assert last.endswith(
        "and lacks withdrawals that were verified before; too many editions differ"
    )
    assert counted(heard, state) == {"a", "b", "c"}


def test_a_full_disk_makes_no_difference_until_the_restart(
    heard: Repository, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the version that was verified is the floor, so that nothing older counts."""
    gate = AuthorityRefresher(heard.trusted(), state)
    assert gate.refresh()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    publish_expired(heard, "b")
    with monkeypatch.context() as patch:
        patch.setattr("sidecar.trust.store.write_atomically", full)
        for _ in range(2):
            view = gate.refresh()
            assert view is not None
            assert {entry.subject[-1] for entry in view.withdrawals.entries} == {"a", "b"}
    with pytest.raises(NoViewError, match="nothing older counts"):
        read_kept(heard.trusted(), state)
    assert gate.refresh()  # written, now that there is room
    assert len(Store(state / heard.name).unaccepted()) == 1
    publish_expired(heard, "c")
    view = gate.refresh()
    assert view is not None
    assert {entry.subject[-1] for entry in view.withdrawals.entries} == {"a", "b", "c"}


def test_law_1_new_online_keys_end_it_and_bring_nothing_back(
    heard: Repository, state: Path
) -> None:
    """Their versions begin anew; targets metadata from before a withdrawal adds none."""
    publish_expired(heard, "b")
    refused(heard, state)
    first = (heard.folder / "metadata/1.targets.json").read_bytes()
    keys = {role: [CryptoSigner.generate_ed25519()] for role in ("timestamp", "snapshot")}
    heard.rotate_root(keys)
    heard.versions |= {"timestamp": 1, "snapshot": 1}
    versions = dict(heard.versions)
    heard.versions["targets"] = 1
    heard.write(heard.upper(first))
    refused(heard, state)
    assert counted(heard, state) == {"a", "b"}
    heard.versions |= versions
    heard.entries[:] = [no("c")]
    heard.publish()
    assert heard.versions["timestamp"] == 2
    fresh(heard, state)
    assert counted(heard, state) == {"c"}


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"sets": 1}', b'{"sets": [1]}', b'{"sets": [{}]}'])
def test_a_damaged_file_is_never_guessed_at(heard: Repository, state: Path, data: bytes) -> None:
    path = state / heard.name / "unaccepted.json"
    path.write_bytes(data)
    with pytest.raises(NoViewError, match=r"unaccepted\.json is damaged"):
        read_kept(heard.trusted(), state)
    assert "unaccepted.json is damaged" in refused(heard, state)
    path.unlink()
    fresh(heard, state)


def test_what_is_kept_is_verified_again(heard: Repository, state: Path) -> None:
    """The pinned root alone is believed, as for the last complete set."""
    publish_expired(heard, "b")
    refused(heard, state)
    path = state / heard.name / "unaccepted.json"
    path.write_bytes(path.read_bytes().replace(b"b" * 64, b"c" * 64))
    with pytest.raises(NoViewError, match="does not hold any more"):
        read_kept(heard.trusted(), state)


def test_the_second_content_is_read_as_far_as_it_can_be(heard: Repository, state: Path) -> None:
    """It is a copy of the home: whatever is wrong with it hides the conflict no more."""
    heard.versions["timestamp"] -= 1
    heard.versions["snapshot"] -= 1
    heard.entries.append(no("b"))
    files = heard.next_set()
    document = next(name for name in files if name.endswith("withdrawals.json"))
    heard.write({name: data for name, data in files.items() if name != document})
    two = "timestamp version 2 was verified before with other content"
    assert refused(heard, state).startswith(two)
    assert counted(heard, state) == {"a"}
    heard.write({document: files[document]})
    assert refused(heard, state).startswith(two)
    assert counted(heard, state) == {"a", "b"}


def test_the_union_is_the_same_object_while_nothing_changes(heard: Repository, state: Path) -> None:
    memo = Memo()
    publish_expired(heard, "b")
    refused(heard, state)
    first, second = (read_kept(heard.trusted(), state, memo).view for _ in range(2))
    assert first.withdrawals is second.withdrawals
    with pytest.raises(EvidenceError):
        unaccepted.united(first.withdrawals, [b"{}"], memo)
