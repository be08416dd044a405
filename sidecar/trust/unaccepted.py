"""Counts what an authority withdraws in editions that verified and are not accepted.

Theory of operation. An edition may verify and still not replace the one before it: it had expired
before it was read and lacks something withdrawn (``late_edition``), or has a version that another
edition had (``signed_floor``). Its author said every no in it, so it counts (law 1); what it lacks
is not taken back. So such editions are kept as they were signed, beside the last complete set, and
what they withdraw is added to what that withdraws. They end when the authority is heard again: once
a newer edition is accepted.

Only editions that add something are kept, and ``MAX_SETS`` at most: a mirror that replays one after
the other fills no disk. Where they cannot be kept they count in this process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tuf.api.metadata import Metadata, Root, Timestamp

from sidecar.core.documents import Withdrawal, WithdrawalsDocument, read_withdrawals
from sidecar.trust import roots
from sidecar.trust.memo import Memo
from sidecar.trust.spellings import by_one_name
from sidecar.trust.store import GoodSet, Store

MAX_SETS = 8


def sets(store: Store, memo: Memo) -> tuple[GoodSet, ...]:
    """Return the editions whose withdrawals count beside those of the last complete set.

    Raises:
        StoreError: What is kept is damaged.
    """
    return memo.unaccepted if memo.unaccepted is not None else store.unaccepted()


def add(store: Store, memo: Memo, before: GoodSet, found: GoodSet) -> bool:
    """Count what an edition withdraws beside what the last complete set withdraws.

    Args:
        store: Where it is kept.
        memo: Holds it where that fails.
        before: The last complete set.
        found: The edition, which verified and was understood.

    Returns:
        Whether it counts; it does not where too many differ.

    Raises:
        StoreError: What is kept is damaged.
    """
    known = sets(store, memo)
    newest_first = (*reversed(known), before)
    if any(contains(each.withdrawals, found.withdrawals) for each in newest_first):
        if memo.unaccepted is not None:  # there may be room now
            _keep(store, memo, known)
        return True
    others = tuple(each for each in known if not contains(found.withdrawals, each.withdrawals))
    if len(others) >= MAX_SETS:
        return False
    _keep(store, memo, (*others, found))
    return True


def forget(store: Store, memo: Memo, root: Root, accepted: GoodSet) -> None:
    """Drop editions that one replaces which was accepted, and had not expired.

    Args:
        store: Where they are kept.
        memo: Holds them where that failed.
        root: Under which ``accepted`` verified.
        accepted: The last complete set.

    Raises:
        StoreError: What is kept is damaged.
    """
    known = sets(store, memo)
    left = tuple(each for each in known if not _replaces(store, root, accepted, each))
    if left != known:
        _keep(store, memo, left)


def _keep(store: Store, memo: Memo, found: tuple[GoodSet, ...]) -> None:
    try:
        store.keep_unaccepted(found)
        memo.unaccepted = None
    except OSError:
        memo.unaccepted = found


def _replaces(store: Store, root: Root, accepted: GoodSet, other: GoodSet) -> bool:
    """Return whether an accepted set is newer: versions begin anew under other online keys."""
    if accepted.timestamp == other.timestamp or _version(accepted) > _version(other):
        return True
    if other.root is None or other.root >= root.version:
        return False
    try:
        signed = roots.parse(store.root_file(other.root).read_bytes()).signed
    except (OSError, roots.RootError):
        return False
    return roots.online_digest(signed) != roots.online_digest(root)


def _version(found: GoodSet) -> int:
    return int(Metadata[Timestamp].from_bytes(found.timestamp).signed.version)


def united(
    document: WithdrawalsDocument, others: Iterable[bytes], memo: Memo
) -> WithdrawalsDocument:
    """Return the document with everything that others withdraw as well.

    Args:
        document: Of the last complete set.
        others: ``withdrawals.json`` of each further edition, verified.
        memo: Has the last result.

    Raises:
        EvidenceError: One is malformed.
    """
    more = tuple(others)
    if not more:
        memo.united = None
        return document
    if memo.united is None or memo.united[0] is not document or memo.united[1] != more:
        read = [document, *(by_one_name(read_withdrawals(each)) for each in more)]
        found = replace(
            document,
            entries=tuple(dict.fromkeys(entry for each in read for entry in each.entries)),
            failures=tuple(dict.fromkeys(entry for each in read for entry in each.failures)),
            supersessions=tuple(
                dict.fromkeys(entry for each in read for entry in each.supersessions)
            ),
        )
        memo.united = (document, more, found)
    return memo.united[2]


def contains(new: bytes | None, old: bytes | None) -> bool:
    """Return whether everything that one document withdraws, another withdraws no later."""
    if new is None or old is None:
        return False
    if new == old:  # as at each poll of a source that goes on serving the same
        return True
    after, before = read_withdrawals(new), read_withdrawals(old)
    known = {(each.kind, each.subject): each for each in after.entries}
    return (
        set(after.failures) >= set(before.failures)
        and set(after.supersessions) >= set(before.supersessions)
        and all(_begins(known.get((old.kind, old.subject)), old) for old in before.entries)
    )


def _begins(new: Withdrawal | None, old: Withdrawal) -> bool:
    """Return whether a withdrawal is there and begins no later than before."""
    if new is None or new.manifest != old.manifest:
        return False
    return new.effective is None or (old.effective is not None and new.effective <= old.effective)
