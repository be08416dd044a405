"""Law 3: a statement that permits less than an older one withdraws it, in the same step."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home
from sidecar.authority.signing import Issued
from sidecar.core import dsse
from sidecar.core.documents import (
    Failure,
    Supersession,
    Withdrawal,
    WithdrawalKind,
    WithdrawalsDocument,
)
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.predicates import MANIFEST, Predicate
from sidecar.core.window import Window, rfc3339
from tests.support.simulator.predicates import manifest_predicate, statement
from tests.unit.authority.helpers import DAY, Pin, key_file
from tests.unit.authority.reader import NOW
from tests.unit.authority.statements import (
    MANIFEST_DIGEST,
    SUITES,
    approval,
    binding,
    environment,
    result,
    window,
)

LATER = NOW + timedelta(hours=1)


def issue(
    home: Home, out: Path, statement: Statement[Predicate], *, keep_older: bool = False
) -> Issued:
    return authority.issue(home, statement, NOW, out=out, keep_older=keep_older)


def noes(home: Home, pin: Pin) -> WithdrawalsDocument:
    return pin(home).documents("acme")[1]


def test_evidence_is_handed_out_recorded_and_publishes_nothing_by_itself(
    acme: Home, tmp_path: Path
) -> None:
    done = issue(acme, tmp_path / "out", approval())
    envelope = dsse.parse(done.path.read_bytes())
    assert done == Issued(
        approval(), envelope.digest, done.path, done.fingerprint, (), (), (), None
    )
    assert done.path == tmp_path / "out" / f"approval-{envelope.digest[:12]}.dsse.json"
    assert parse_statement(envelope.payload) == approval()
    (record,) = (acme.path / "signed").rglob("*.json")
    assert record.read_bytes() == done.path.read_bytes()
    private = (record, record.parent, acme.path / "signed")
    assert [oct(path.stat().st_mode & 0o777) for path in private] == [
        "0o600", "0o700", "0o700"
    ]  # fmt: skip
    assert authority.describe(acme).versions["timestamp"] == 1


@pytest.mark.parametrize(
    ("older", "newer", "kind"),
    [
        (
            approval(jurisdictions=("eu", "us")),
            approval(holds=window(90, LATER)),
            WithdrawalKind.APPROVAL,
        ),
        (result(), result(0.1, 1.0, holds=window(90, LATER)), WithdrawalKind.RESULT),
        (
            environment(jurisdictions=("eu", "us")),
            environment(holds=window(90, LATER)),
            WithdrawalKind.ENVIRONMENT,
        ),
        (
            binding(),
            binding("gpt-5", holds=window(90, LATER)),
            WithdrawalKind.DEPLOYMENT_BINDING,
        ),
    ],
)
def test_a_narrower_statement_withdraws_the_older_one(
    acme: Home,
    tmp_path: Path,
    pinned: Pin,
    older: Statement[Predicate],
    newer: Statement[Predicate],
    kind: WithdrawalKind,
) -> None:
    first = issue(acme, tmp_path, older)
    second = issue(acme, tmp_path, newer)
    noun = second.path.name.split("-")[0]
    judges = kind in {WithdrawalKind.APPROVAL, WithdrawalKind.RESULT}
    about = MANIFEST_DIGEST if judges else None
    entry = Withdrawal(kind, first.digest, f"replaced by {noun} {second.digest}", manifest=about)
    assert noes(acme, pinned).entries == (entry,)
    assert (second.replaced, second.statement) == ((first.digest,), newer)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (approval(), approval(jurisdictions=("eu", "us"), holds=window(90, LATER))),
        (result(), result(holds=window(90, LATER))),
        (environment(), environment(base_models=("openai/**",), holds=window(90, LATER))),
        (binding(), binding(holds=window(90, LATER))),
    ],
)
def test_a_renewal_of_the_same_or_wider_scope_leaves_the_older_one(
    acme: Home,
    tmp_path: Path,
    pinned: Pin,
    older: Statement[Predicate],
    newer: Statement[Predicate],
) -> None:
    issue(acme, tmp_path, older)
    done = issue(acme, tmp_path, newer)
    assert (done.replaced, done.publication) == ((), None)
    assert noes(acme, pinned).entries == ()


def test_a_piece_for_another_jurisdiction_leaves_the_first_piece(
    acme: Home, tmp_path: Path
) -> None:
    eu = issue(acme, tmp_path, approval())
    us = issue(acme, tmp_path, approval(jurisdictions=("us",), holds=window(90, LATER)))
    assert (us.replaced, us.beside) == ((), (eu.digest,))
    narrower = approval(
        environments=("spiffe://acme.example/env/prod",), holds=window(90, LATER + DAY)
    )
    kept = issue(acme, tmp_path, narrower, keep_older=True)
    assert (kept.replaced, set(kept.beside)) == ((), {eu.digest, us.digest})


def test_a_withdrawal_names_every_older_statement_that_it_hits(
    acme: Home, tmp_path: Path, pinned: Pin
) -> None:
    us = issue(acme, tmp_path, approval(jurisdictions=("us",)))
    eu = issue(acme, tmp_path, approval(holds=window(90, LATER)))
    narrower = approval(holds=window(30, LATER + DAY))
    done = issue(acme, tmp_path, narrower)
    assert set(done.replaced) == {us.digest, eu.digest}
    assert {entry.subject for entry in noes(acme, pinned).entries} == {us.digest, eu.digest}


def test_a_statement_of_the_same_second_begins_after_the_one_that_it_replaces(
    acme: Home, tmp_path: Path
) -> None:
    issue(acme, tmp_path, approval(jurisdictions=("eu", "us")))
    done = issue(acme, tmp_path, approval())
    assert done.statement.predicate.window == Window(NOW + timedelta(seconds=1), NOW + 90 * DAY)
    assert parse_statement(dsse.parse(done.path.read_bytes()).payload) == done.statement


def test_a_result_performed_earlier_does_not_replace_a_later_one(
    acme: Home, tmp_path: Path, pinned: Pin
) -> None:
    later = issue(acme, tmp_path, result(holds=window(90, LATER)))
    done = issue(acme, tmp_path, result(holds=window(30)))
    assert (done.replaced, done.later) == ((), (later.digest,))
    assert noes(acme, pinned).entries == ()


def test_law_1_a_failed_result_is_published_by_its_author(
    acme: Home, tmp_path: Path, pinned: Pin
) -> None:
    done = issue(acme, tmp_path, result(0.1, 1.0))
    failure = Failure(MANIFEST_DIGEST, SUITES[0], done.digest, "suite-11: score 0.1, threshold 0.9")
    assert noes(acme, pinned).failures == (failure,)
    # Neither a PASSED result nor a withdrawal of the FAILED one takes it back.
    issue(acme, tmp_path, result(holds=window(90, LATER)))
    authority.withdraw(acme, WithdrawalKind.RESULT, done.digest, "wrong", None, NOW)
    assert noes(acme, pinned).failures == (failure,)
    with pytest.raises(AuthorityError, match=f"no failure of {'cd' * 32} is published"):
        authority.retract(acme, "cd" * 32, NOW)
    authority.retract(acme, done.digest, NOW)
    assert noes(acme, pinned).failures == ()


def test_law_7_a_successor_is_announced_by_its_producer(
    acme: Home, tmp_path: Path, pinned: Pin
) -> None:
    holds = {"notBefore": rfc3339(NOW), "notAfter": rfc3339(NOW + DAY)}
    value = manifest_predicate(supersedes={"sha256": "cc" * 32}, window=holds)
    payload = statement(MANIFEST, value["model"]["id"], "dd" * 32, value)
    done = authority.issue(acme, parse_statement(payload), NOW, out=tmp_path)
    assert noes(acme, pinned).supersessions == (Supersession("cc" * 32, done.digest),)


def test_a_narrower_statement_is_not_signed_where_its_withdrawal_cannot_be(
    acme: Home, tmp_path: Path
) -> None:
    issue(acme, tmp_path / "out", approval(jurisdictions=("eu", "us")))
    key_file(acme, "targets").unlink()
    before = sorted((tmp_path / "out").iterdir())
    with pytest.raises(AuthorityError, match=r"targets-[0-9a-f]{12}\.pem: No such file"):
        issue(acme, tmp_path / "out", approval(holds=window(90, LATER)))
    assert sorted((tmp_path / "out").iterdir()) == before
    issue(acme, tmp_path / "out", approval(jurisdictions=("eu", "us"), holds=window(91)))


def test_a_folder_that_cannot_be_written_stops_everything(
    acme: Home, tmp_path: Path, pinned: Pin
) -> None:
    issue(acme, tmp_path, approval(jurisdictions=("eu", "us")))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AuthorityError, match="nothing was changed: cannot create"):
        issue(acme, tmp_path / "file", approval(holds=window(90, LATER)))
    assert noes(acme, pinned).entries == ()
    assert len(list((acme.path / "signed").rglob("*.json"))) == 1


@pytest.mark.parametrize("left", range(8))
def test_a_narrower_statement_that_died_anywhere_is_completed_by_the_next_command(
    acme: Home, tmp_path: Path, pinned: Pin, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """The file is there before the older statement is withdrawn, and both or neither happen."""
    out = tmp_path / "out"
    old = issue(acme, out, approval(jurisdictions=("eu", "us")))
    reader, really, done = pinned(acme), Path.replace, 0

    def dying(path: Path, target: Path) -> Path:
        nonlocal done
        if done == left:
            raise OSError(28, "No space left on device")
        done += 1
        return really(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        with pytest.raises(AuthorityError, match="No space left on device"):
            issue(acme, out, approval(holds=window(90, LATER)))
    if reader.documents("acme")[1].entries:
        assert len(list(out.glob("approval-*.json"))) == 2
    authority.load(acme.path)
    entries = [entry.subject for entry in reader.documents("acme")[1].entries]
    assert (entries, len(list(out.glob("approval-*.json")))) == (
        ([old.digest], 2) if left else ([], 1)
    )
    assert len(list((acme.path / "signed").rglob("*.json"))) == (2 if left else 1)


def test_a_withdrawal_does_not_wait_for_a_folder_that_was_taken_away(
    acme: Home, tmp_path: Path, pinned: Pin, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    old = issue(acme, tmp_path / "first", approval(jurisdictions=("eu", "us")))
    out, really = tmp_path / "stick", Path.replace

    def dying(path: Path, target: Path) -> Path:
        if target.parent == out:
            raise OSError(28, "No space left on device")
        return really(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        with pytest.raises(AuthorityError, match="decided"):
            issue(acme, out, approval(holds=window(90, LATER)))
        authority.load(acme.path)
    assert "could not be written to" in caplog.text
    assert [entry.subject for entry in noes(acme, pinned).entries] == [old.digest]
    assert len(list((acme.path / "signed").rglob("*.json"))) == 2


def test_a_withdrawal_of_the_newest_withdraws_what_was_signed_before_on_that_matter(
    acme: Home, tmp_path: Path, pinned: Pin
) -> None:
    ended = issue(acme, tmp_path, approval(holds=Window(NOW, NOW + DAY / 2)))
    old = issue(acme, tmp_path, approval())
    other = issue(acme, tmp_path, approval(role="auditor"))
    new = issue(acme, tmp_path, approval(holds=window(91, LATER)))
    done = authority.withdraw(
        acme, WithdrawalKind.APPROVAL, new.digest, "findings", None, NOW + DAY
    )
    why = f"older than approval {new.digest}"
    older = Withdrawal(WithdrawalKind.APPROVAL, old.digest, why, manifest=MANIFEST_DIGEST)
    entry = Withdrawal(WithdrawalKind.APPROVAL, new.digest, "findings", manifest=MANIFEST_DIGEST)
    assert (done.older, done.entry) == ((older,), entry)
    assert noes(acme, pinned).entries == (older, entry)
    assert {ended.digest, other.digest}.isdisjoint(e.subject for e in noes(acme, pinned).entries)
    authority.reinstate(acme, WithdrawalKind.APPROVAL, new.digest, NOW + DAY)
    assert noes(acme, pinned).entries == (older,)


def test_of_a_reinstated_statement_it_is_known_which_newer_one_permits_less(
    acme: Home, tmp_path: Path
) -> None:
    """Where both count, the loss of the newer one's file permits more (law 2)."""
    kind = WithdrawalKind.APPROVAL
    old = issue(acme, tmp_path, approval(jurisdictions=("eu", "us"))).digest
    new = issue(acme, tmp_path, approval()).digest

    def beside(subject: str, kind: WithdrawalKind = kind) -> tuple[tuple[str, str], ...]:
        return authority.counting_beside(authority.load(acme.path), kind, subject, NOW)

    authority.reinstate(acme, kind, old, NOW)
    assert beside(old) == beside(new) == ((new, old),)
    assert beside(old, WithdrawalKind.RESULT) == beside(MANIFEST_DIGEST) == ()
    authority.withdraw(acme, kind, new, "findings", None, NOW)
    assert beside(old) == ()


def test_a_withdrawal_names_what_was_signed_in_the_same_second_whichever_came_first(
    acme: Home, tmp_path: Path, pinned: Pin
) -> None:
    signed = [issue(acme, tmp_path, approval())]
    signed.append(issue(acme, tmp_path, approval(jurisdictions=("eu", "us"))))
    for done in signed:
        authority.withdraw(acme, WithdrawalKind.APPROVAL, done.digest, "findings", None, NOW + DAY)
        subjects = {entry.subject for entry in noes(acme, pinned).entries}
        assert subjects == {each.digest for each in signed}
        for each in signed:
            authority.reinstate(acme, WithdrawalKind.APPROVAL, each.digest, NOW + DAY)


def test_what_is_over_is_not_signed_but_a_failure_is(
    acme: Home, tmp_path: Path, pinned: Pin
) -> None:
    over = Window(NOW - 2 * DAY, NOW)
    with pytest.raises(AuthorityError) as caught:
        issue(acme, tmp_path, approval(holds=over))
    assert str(caught.value) == (
        f"nothing was signed: the approval would have ended at {rfc3339(NOW)}"
    )
    issue(acme, tmp_path, result(0.5, 1.0, holds=over))
    assert len(noes(acme, pinned).failures) == 1


def test_law_3_a_clock_that_is_ahead_leaves_no_older_statement_in_force(
    acme: Home, tmp_path: Path
) -> None:
    """By that clock the older one has ended; by those of gates it has not."""
    old = issue(acme, tmp_path / "out", approval())
    new = issue(acme, tmp_path / "out", approval(holds=window(91, LATER)))
    years_on = NOW + 2000 * DAY
    done = authority.withdraw(acme, WithdrawalKind.APPROVAL, new.digest, "unfit", None, years_on)
    assert [entry.subject for entry in done.older] == [old.digest]


def test_withdrawing_the_older_one_leaves_the_newer_one(
    acme: Home, tmp_path: Path, pinned: Pin
) -> None:
    old = issue(acme, tmp_path, approval())
    issue(acme, tmp_path, approval(holds=window(91, LATER)))
    authority.withdraw(acme, WithdrawalKind.APPROVAL, old.digest, "findings", None, NOW)
    entry = Withdrawal(WithdrawalKind.APPROVAL, old.digest, "findings", manifest=MANIFEST_DIGEST)
    assert noes(acme, pinned).entries == (entry,)
