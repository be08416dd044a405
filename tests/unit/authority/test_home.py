from __future__ import annotations

import base64
import fcntl
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority import journal
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home, Publication
from sidecar.authority.withdrawing import PublishedWithdrawal
from sidecar.core import dsse
from sidecar.core.documents import (
    AttestationKey,
    AuthorityDocument,
    Withdrawal,
    WithdrawalKind,
)
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.keys import PublicKey
from sidecar.core.kinds import BY_URN
from sidecar.core.predicates import APPROVAL, RESULT, Approval, Subject
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from tests.unit.authority.helpers import DAY, Pin, key_file, withdrawn
from tests.unit.authority.reader import NOW, Reader

DIGEST = "ab" * 32
ALL_TYPES = tuple(BY_URN)
KEY_ROLES = ("root", "targets", "online", "attestation")


def approval(now: datetime = NOW) -> Statement[Approval]:
    predicate = Approval(
        "regulator",
        ("eu",),
        ("spiffe://acme.example/**",),
        ("completions",),
        Window(now, now + DAY),
    )
    return Statement(Subject("ft:m:acme::1", DigestSet(DIGEST)), APPROVAL, predicate)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_reader_that_pinned_the_first_root_reads_exactly_what_init_published(
    acme: Home, pinned: Pin
) -> None:
    key = AttestationKey(authority.pem(acme), Window(NOW, NOW + 730 * DAY), ALL_TYPES)
    expected = AuthorityDocument("urn:admissibility:authority:v1", "acme", (key,))
    assert pinned(acme).documents("acme") == (expected, withdrawn())


def test_the_published_folder_holds_metadata_and_targets_and_nothing_private(acme: Home) -> None:
    described = authority.describe(acme)
    assert names(acme.repository / "metadata") == [
        "1.root.json",
        "1.snapshot.json",
        "1.targets.json",
        "timestamp.json",
    ]
    assert [name.split(".", 1)[1] for name in names(acme.repository / "targets")] == [
        *sorted(("authority.json", "withdrawals.json"), key=_digest_of(acme))
    ]
    for path in acme.repository.rglob("*.json"):
        assert b"PRIVATE" not in path.read_bytes()
        assert b"file2:" not in path.read_bytes()
    assert described.expires == {
        "root": NOW + 365 * DAY,
        "targets": NOW + 90 * DAY,
        "snapshot": NOW + 7 * DAY,
        "timestamp": NOW + DAY,
    }


def _digest_of(home: Home) -> Callable[[str], str]:
    return lambda name: next((home.repository / "targets").glob(f"*.{name}")).name


def test_everything_private_is_for_its_owner_alone(acme: Home) -> None:
    modes = {
        str(path.relative_to(acme.path)): oct(path.stat().st_mode & 0o777)
        for path in (acme.path / "authority.yaml", *(acme.path / "keys").iterdir())
    }
    assert modes == {
        "authority.yaml": "0o600",
        **{f"keys/{key_file(acme, role).name}": "0o600" for role in KEY_ROLES},
    }
    assert oct((acme.path / "keys").stat().st_mode & 0o777) == "0o700"


def test_init_never_touches_an_authority_that_is_there(acme: Home) -> None:
    before = {path: path.read_bytes() for path in acme.path.rglob("*") if path.is_file()}
    with pytest.raises(AuthorityError, match="yaml exists; nothing was changed"):
        authority.init(acme.path, "other", now=NOW)
    assert {path: path.read_bytes() for path in acme.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("left", ["keys", "repository"])
def test_init_refuses_a_folder_with_what_is_left_of_an_authority(tmp_path: Path, left: str) -> None:
    (tmp_path / left).mkdir()
    with pytest.raises(AuthorityError, match=f"{left} exists; nothing was changed"):
        authority.init(tmp_path, "acme", now=NOW)
    assert names(tmp_path / left) == []


@pytest.mark.parametrize("name", ["", "Acme", "-acme", "a" * 64, "acme/../x", "acme corp"])
def test_a_name_no_operator_could_write_is_refused_before_any_key_is_made(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(AuthorityError, match="is not a name for an authority"):
        authority.init(tmp_path / "home", name, now=NOW)
    assert not (tmp_path / "home" / "keys").exists()


def test_a_home_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError) as caught:
        authority.load(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"{tmp_path / 'nowhere'} holds no authority; create one with: admit authority init"
    )


def test_load_gives_the_home_that_init_made(acme: Home) -> None:
    assert authority.load(acme.path) == acme == Home(acme.path, "acme")


def test_a_home_may_be_named_relative_to_where_a_command_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = authority.init(Path("homes/acme"), "acme", now=NOW)
    done = authority.issue(home, approval(), NOW, out=Path("out"))
    assert done.path.exists()
    assert names(tmp_path / "homes/acme") == [
        ".lock", "authority.yaml", "keys", "published.sha256", "repository", "signed"
    ]  # fmt: skip


def test_a_home_that_was_moved_still_has_its_keys(acme: Home, tmp_path: Path, pinned: Pin) -> None:
    moved = authority.load(acme.path.rename(tmp_path / "moved? #1"))
    authority.withdraw(moved, WithdrawalKind.RUN, "ftjob-1", "tainted", None, NOW)
    expected = withdrawn(Withdrawal(WithdrawalKind.RUN, "ftjob-1", "tainted"))
    root = authority.root_bytes(moved)
    (tmp_path / "plain").symlink_to(moved.repository)
    assert Reader(root, tmp_path / "plain", tmp_path / "r").documents("acme")[1] == expected


def test_a_withdrawal_is_read_by_everybody_who_follows(acme: Home, pinned: Pin) -> None:
    reader = pinned(acme)
    assert reader.documents("acme")[1] == withdrawn()
    done = authority.withdraw(acme, WithdrawalKind.CORPUS, DIGEST, "poisoned", None, NOW)
    entry = Withdrawal(WithdrawalKind.CORPUS, DIGEST, "poisoned")
    assert reader.documents("acme")[1] == withdrawn(entry)
    publication = Publication(2, NOW + DAY, ("targets", "snapshot", "timestamp"), ())
    assert done == PublishedWithdrawal(entry, (), publication)


def test_a_withdrawal_begins_when_it_is_said_to(acme: Home, pinned: Pin) -> None:
    moscow = timezone(timedelta(hours=3))
    later = (NOW + 3 * DAY).astimezone(moscow).replace(microsecond=999)
    authority.withdraw(acme, WithdrawalKind.MODEL, "openai/ft:m", "retired", later, NOW)
    entry = Withdrawal(WithdrawalKind.MODEL, "openai/ft:m", "retired", NOW + 3 * DAY)
    assert pinned(acme).documents("acme")[1] == withdrawn(entry)


def test_a_withdrawal_can_be_brought_forward_but_not_put_off(acme: Home, pinned: Pin) -> None:
    authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "first", NOW + 3 * DAY, NOW)
    with pytest.raises(AuthorityError, match="run ftjob-1 is withdrawn already, from "):
        authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "later", NOW + 4 * DAY, NOW)
    authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "now", NOW, NOW)
    entry = Withdrawal(WithdrawalKind.RUN, "ftjob-1", "now", NOW)
    assert pinned(acme).documents("acme")[1] == withdrawn(entry)


def test_law_1_a_withdrawal_at_once_is_at_once_whatever_this_machines_clock_shows(
    acme: Home, pinned: Pin
) -> None:
    """A scheduled one would count as in effect already where the clock is ahead."""
    scheduled = NOW + 300 * DAY
    authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "retired", scheduled, NOW)
    ahead = NOW + 2000 * DAY
    done = authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "leaked", None, ahead)
    entry = Withdrawal(WithdrawalKind.RUN, "ftjob-1", "leaked")
    assert (done.entry, done.repeated) == (entry, False)
    assert pinned(acme).documents("acme")[1] == withdrawn(entry)


def test_what_is_in_effect_gets_no_date(acme: Home, pinned: Pin) -> None:
    authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "first", None, NOW)
    already = r"run ftjob-1 is withdrawn already, and in effect \(first\)"
    for again in (NOW - 3 * DAY, NOW + 3 * DAY):
        with pytest.raises(AuthorityError, match=already):
            authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "again", again, NOW)
    entry = Withdrawal(WithdrawalKind.RUN, "ftjob-1", "first")
    assert pinned(acme).documents("acme")[1] == withdrawn(entry)


def test_a_withdrawal_that_is_repeated_is_published_again_as_it_was(
    acme: Home, pinned: Pin
) -> None:
    first = authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "first", None, NOW)
    again = authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "second", None, NOW + DAY)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.entry == first.entry == Withdrawal(WithdrawalKind.RUN, "ftjob-1", "first")
    assert again.publication.version == first.publication.version + 1
    assert pinned(acme).documents("acme")[1] == withdrawn(first.entry)


def test_an_authority_may_correct_itself_and_only_what_it_withdrew(acme: Home, pinned: Pin) -> None:
    authority.withdraw(acme, WithdrawalKind.CORPUS, DIGEST, "poisoned", None, NOW)
    authority.withdraw(acme, WithdrawalKind.RESULT, DIGEST, "wrong", None, NOW)
    with pytest.raises(AuthorityError, match=f"manifest {DIGEST} is not withdrawn"):
        authority.reinstate(acme, WithdrawalKind.MANIFEST, DIGEST, NOW)
    authority.reinstate(acme, WithdrawalKind.CORPUS, f"sha256:{DIGEST}", NOW)
    entry = Withdrawal(WithdrawalKind.RESULT, DIGEST, "wrong")
    assert pinned(acme).documents("acme")[1] == withdrawn(entry)


@pytest.mark.parametrize("key_type", ["ed25519", "ecdsa"])
def test_evidence_says_what_was_stated_and_verifies_with_the_published_key(
    tmp_path: Path, key_type: str
) -> None:
    home = authority.init(tmp_path / "h", "acme", now=NOW, key_type=key_type)
    data = authority.attest(home, approval(), NOW)
    key = PublicKey.from_pem(authority.pem(home))
    envelope = dsse.parse(data)
    assert parse_statement(envelope.payload) == approval()
    assert dsse.verified_by(envelope, [key]) == {key.fingerprint}
    value = json.loads(data)
    assert value["payloadType"] == "application/vnd.in-toto+json"
    assert base64.b64decode(value["payload"]) == envelope.payload
    hints = [(entry["keyid"], entry["fingerprint"]) for entry in value["signatures"]]
    assert hints == [("", key.fingerprint)]


def test_an_authority_does_not_sign_what_its_key_may_not_sign(tmp_path: Path) -> None:
    home = authority.init(tmp_path / "h", "acme", now=NOW, may_sign=(RESULT,))
    with pytest.raises(AuthorityError, match=f"may not sign {APPROVAL}"):
        authority.attest(home, approval(), NOW)


@pytest.mark.parametrize("at", [NOW - timedelta(seconds=1), NOW + 730 * DAY])
def test_an_authority_does_not_sign_outside_its_keys_window(acme: Home, at: datetime) -> None:
    with pytest.raises(AuthorityError, match="outside its window; rotate it"):
        authority.attest(acme, approval(), at)


def test_an_authority_never_signs_a_repository_that_somebody_changed(acme: Home) -> None:
    authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "tainted", None, NOW)
    stored = next((acme.repository / "targets").glob("*.withdrawals.json"))
    changed = [p for p in (acme.repository / "targets").iterdir() if b"ftjob-1" in p.read_bytes()]
    assert len(changed) == 1
    changed[0].write_bytes(changed[0].read_bytes().replace(b"ftjob-1", b"ftjob-2"))
    assert stored.exists()
    with pytest.raises(AuthorityError, match="does not hold what this authority published"):
        authority.publish(acme, NOW)


def test_an_authority_does_not_follow_a_root_with_somebody_elses_keys(
    acme: Home, tmp_path: Path
) -> None:
    other = authority.init(tmp_path / "other", "acme", now=NOW)
    authority.rotate(other, "root", NOW)
    foreign = (other.repository / "metadata/2.root.json").read_bytes()
    (acme.repository / "metadata/2.root.json").write_bytes(foreign)
    with pytest.raises(AuthorityError, match="names other keys for root than this authority"):
        authority.publish(acme, NOW)


def test_a_timestamp_put_back_by_a_mirror_is_not_signed_on_top_of(acme: Home) -> None:
    (acme.repository / "metadata/timestamp.json").write_bytes(b"{}")
    with pytest.raises(AuthorityError, match="does not hold what this authority published"):
        authority.publish(acme, NOW)


def test_an_older_edition_put_back_is_not_signed_on_top_of(acme: Home, pinned: Pin) -> None:
    """It would bring back to life what was withdrawn since then."""
    path = acme.repository / "metadata/timestamp.json"
    older = path.read_bytes()
    authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "tainted", None, NOW)
    newest = path.read_bytes()
    path.write_bytes(older)
    with pytest.raises(AuthorityError, match="holds another edition than this authority published"):
        authority.publish(acme, NOW)
    path.write_bytes(newest)
    assert authority.publish(acme, NOW).version == 3


@pytest.mark.parametrize("name", ["1.root.json", "1.targets.json", "1.snapshot.json"])
def test_metadata_whose_signature_does_not_hold_is_not_built_upon(acme: Home, name: str) -> None:
    path = acme.repository / "metadata" / name
    value = json.loads(path.read_bytes())
    value["signed"]["expires"] = "2999-01-01T00:00:00Z"
    path.write_text(json.dumps(value))
    with pytest.raises(AuthorityError, match="does not hold what this authority published"):
        authority.publish(acme, NOW)


def test_commands_on_one_home_wait_for_each_other(acme: Home, pinned: Pin) -> None:
    errors: list[Exception] = []

    def run(number: int) -> None:
        try:
            authority.withdraw(acme, WithdrawalKind.RUN, f"ftjob-{number}", "why", None, NOW)
        except Exception as error:  # noqa: BLE001 - reported by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    entries = pinned(acme).documents("acme")[1].entries
    assert sorted(entry.subject for entry in entries) == [f"ftjob-{n}" for n in range(8)]
    assert authority.describe(acme).versions["timestamp"] == 9


def test_no_other_process_gets_the_lock_while_a_command_runs(acme: Home) -> None:
    lock = acme.path / ".lock"
    with journal.locked(acme.path), lock.open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with lock.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_clock_that_went_back_is_warned_of(acme: Home) -> None:
    done = withdraw_key(acme, NOW - timedelta(days=900))
    (warning,) = done.warnings
    assert warning.startswith("the timestamp expires at ")
    assert "clock is or was wrong" in warning
    assert authority.publish(acme, NOW).warnings == ()
    assert authority.publish(acme, NOW).warnings == ()


def withdraw_key(home: Home, at: datetime) -> Publication:
    kind, subject = WithdrawalKind.KEY, "sha256:" + "a" * 64
    return authority.withdraw(home, kind, subject, "test", None, at).publication


def test_a_time_without_an_offset_is_refused(acme: Home) -> None:
    with pytest.raises(AuthorityError, match="has no offset"):
        authority.publish(acme, datetime(2026, 6, 1))  # noqa: DTZ001 - what is refused
