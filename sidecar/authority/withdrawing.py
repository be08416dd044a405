"""Withdraws, reinstates, and retracts: only the authority itself publishes each no of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.authority import records
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import (
    Home,
    OpenHome,
    Publication,
    instant,
    locked_home,
    publish_changes,
)
from sidecar.authority.signing import judged_manifest, older_on_matter, replaces
from sidecar.authority.subjects import normalised
from sidecar.core.documents import (
    WITHDRAWALS_FILE,
    Withdrawal,
    WithdrawalKind,
    WithdrawalsDocument,
)
from sidecar.core.kinds import kind_of
from sidecar.core.window import rfc3339


@dataclass(frozen=True, slots=True)
class PublishedWithdrawal:
    """What a withdrawal published.

    Attributes:
        entry: The withdrawal that was asked for.
        older: Entries for older statements on the same matter.
        publication: The edition they are in.
        repeated: The withdrawal was in effect before, and ``entry`` is that one.
    """

    entry: Withdrawal
    older: tuple[Withdrawal, ...]
    publication: Publication
    repeated: bool = False


def withdraw(
    home: Home,
    kind: WithdrawalKind,
    subject: str,
    reason: str,
    effective: datetime | None,
    now: datetime,
) -> PublishedWithdrawal:
    """Withdraw something and publish.

    A withdrawal of an approval, a result, an environment's declaration or a deployment binding
    also withdraws what this authority stated before on that matter, as far as it is recorded.
    One that is in effect already, by whatever clock, is published once more as it is: whoever is
    unsure whether the first attempt got through repeats the command.

    Args:
        home: The authority's home.
        kind: What sort of thing.
        subject: Which one; see ``subjects.normalised``.
        reason: For people and logs.
        effective: From when on; ``None`` is at once, on every gate, whatever its clock shows.
        now: Aware.

    Raises:
        AuthorityError: The subject can match nothing, is recorded as another kind, or is withdrawn
            already from no later than ``effective``.
    """
    since = None if effective is None else instant(effective)
    entry = Withdrawal(kind, normalised(kind, subject), reason, since)
    with locked_home(home.path) as opened:
        entry = replace(entry, manifest=_about(opened, entry))
        repeated = _published_before(opened.withdrawals, entry)
        entry = repeated or entry
        older = _older(opened, entry, now)
        changed = _with_entries(opened.withdrawals, (*older, entry))
        done = publish_changes(opened, replace(opened, withdrawals=changed), now)
        return PublishedWithdrawal(entry, older, done, repeated is not None)


def reinstate(home: Home, kind: WithdrawalKind, subject: str, now: datetime) -> Publication:
    """Take a withdrawal back, and publish. Older statements on the matter stay withdrawn.

    Raises:
        AuthorityError: It is not withdrawn.
    """
    subject = normalised(kind, subject)
    with locked_home(home.path) as opened:
        kept = tuple(
            entry
            for entry in opened.withdrawals.entries
            if (entry.kind, entry.subject) != (kind, subject)
        )
        if kept == opened.withdrawals.entries:
            raise AuthorityError(f"{kind} {subject} is not withdrawn; see: admit authority show")
        changed = replace(opened.withdrawals, entries=kept)
        return publish_changes(opened, replace(opened, withdrawals=changed), now)


def edition_with(home: Home, entries: tuple[Withdrawal, ...]) -> str | None:
    """Return the digest of what is published, if everything given is withdrawn in it.

    Args:
        home: The authority's home.
        entries: As `withdraw` published them; compared by kind and subject.

    Returns:
        Hex SHA-256 of ``withdrawals.json``; ``None`` where something was taken back since.
    """
    with locked_home(home.path) as opened:
        held = {(one.kind, one.subject) for one in opened.withdrawals.entries}
        if not held.issuperset((one.kind, one.subject) for one in entries):
            return None
        return hashlib.sha256(opened.published.documents[WITHDRAWALS_FILE]).hexdigest()


def counting_beside(
    home: Home, kind: WithdrawalKind, subject: str, now: datetime
) -> tuple[tuple[str, str], ...]:
    """Return pairs of a statement that counts and an older one that permits more and counts too.

    Losing the newer one's file then permits more. Whoever takes a withdrawal back may want that:
    the withdrawal of an approval denies everything that was tuned from the approved model.

    Args:
        home: The authority's home, where the statement was reinstated.
        kind: What was reinstated.
        subject: Which one; without a pair unless it is the digest of a recorded statement.
        now: Aware.

    Returns:
        Digests, newer and older; one of each pair is ``subject``.
    """
    with locked_home(home.path) as opened:
        recorded = _recorded(opened, kind, normalised(kind, subject))
        if recorded is None:
            return ()
        withdrawn = {entry.subject for entry in opened.withdrawals.entries if entry.in_effect(now)}
        return tuple(
            (newer.digest, older.digest)
            for other in records.on_matter(opened.path, recorded.statement, recorded.digest)
            if other.digest not in withdrawn and other.statement.predicate.window.not_after > now
            for newer, older in ((recorded, other), (other, recorded))
            if replaces(newer, older)
        )


def retract(home: Home, digest: str, now: datetime) -> Publication:
    """Take back the failures of a FAILED result, and publish.

    Args:
        home: The authority's home.
        digest: Hex SHA-256 of the result's payload, or of the manifest that failed.
        now: Aware.

    Raises:
        AuthorityError: No published failure is of that result or manifest.
    """
    digest = normalised(WithdrawalKind.RESULT, digest)
    with locked_home(home.path) as opened:
        failures = opened.withdrawals.failures
        kept = tuple(one for one in failures if digest not in {one.result, one.manifest})
        if kept == failures:
            raise AuthorityError(f"no failure of {digest} is published; see: admit authority show")
        changed = replace(opened.withdrawals, failures=kept)
        return publish_changes(opened, replace(opened, withdrawals=changed), now)


def _published_before(known: WithdrawalsDocument, entry: Withdrawal) -> Withdrawal | None:
    """Return the published entry by which the subject is withdrawn no later than by ``entry``.

    Raises:
        AuthorityError: There is one, and ``entry`` states a time: it would be postponed.
    """
    published = entries_for(known, entry)
    first = next((e for e in published if not begins_earlier(entry.effective, e.effective)), None)
    if first is None or entry.effective is None:
        return first
    began = "and in effect" if first.effective is None else f"from {rfc3339(first.effective)}"
    raise AuthorityError(
        f"{entry.kind} {entry.subject} is withdrawn already, {began} ({first.reason}); a "
        "withdrawal can be brought forward, not postponed"
    )


def _with_entries(
    known: WithdrawalsDocument, entries: tuple[Withdrawal, ...]
) -> WithdrawalsDocument:
    """Return the document with ``entries`` in place of those for the same subjects."""
    replaced = {each for entry in entries for each in entries_for(known, entry)}
    kept = tuple(each for each in known.entries if each not in replaced)
    return replace(known, entries=(*kept, *entries))


def _older(opened: OpenHome, entry: Withdrawal, now: datetime) -> tuple[Withdrawal, ...]:
    """Entries for the older statements on the matter, unless they take effect sooner already.

    Those that ended are left out. Where this machine's clock is past the end of the last edition,
    it may be ahead, so then they ended if they did by that time.
    """
    ended = min(now, opened.published.timestamp.signed.expires)
    kind, recorded = entry.kind, _recorded(opened, entry.kind, entry.subject)
    if recorded is None:
        return ()
    entries = tuple(
        Withdrawal(
            kind,
            item.digest,
            f"older than {kind} {entry.subject}",
            entry.effective,
            judged_manifest(item.statement),
        )
        for item in older_on_matter(opened, recorded, ended)
    )
    return tuple(
        one
        for one in entries
        if all(
            begins_earlier(one.effective, known.effective)
            for known in entries_for(opened.withdrawals, one)
        )
    )


def _recorded(
    opened: OpenHome, kind: WithdrawalKind, subject: str
) -> records.RecordedStatement | None:
    """Return the statement with this digest, if it is recorded and withdrawn under this kind."""
    found = records.find(opened.path, subject)
    if found is None or kind_of(found.statement.predicate).withdrawal is not kind:
        return None
    return found


def _about(opened: OpenHome, entry: Withdrawal) -> str | None:
    """Return the manifest that a recorded approval or result is about."""
    if entry.kind not in {WithdrawalKind.APPROVAL, WithdrawalKind.RESULT}:
        return None
    recorded = records.find(opened.path, entry.subject)
    return None if recorded is None else judged_manifest(recorded.statement)


def begins_earlier(new: datetime | None, known: datetime | None) -> bool:
    """Return whether an entry would take effect before the one that is published.

    One without a time does before any with a time, also a past one: a gate's clock may be behind,
    or the clock of this machine ahead.
    """
    if known is None:
        return False
    return new is None or new < known


def entries_for(known: WithdrawalsDocument, entry: Withdrawal) -> tuple[Withdrawal, ...]:
    """Return the published entries for the subject of ``entry``."""
    wanted = (entry.kind, entry.subject)
    return tuple(one for one in known.entries if (one.kind, one.subject) == wanted)
