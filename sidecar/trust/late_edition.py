"""Reads an edition that had expired before it was read.

A TUF client takes nothing that has expired (specification 5.4.4): replayed metadata would look
current. But a gate that was down, or a publisher whose clock is behind, makes the authority's last
word one that expired unread, and a withdrawal in it would count nowhere: law 1 knows no such end.
So an edition newer than the kept one is kept all the same where it takes nothing back. It is as
stale as its expiry states, so it adds every no and no agreement; and since it takes back nothing,
whoever replays it gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tuf.api.exceptions import ExpiredMetadataError

from sidecar.core.documents import Withdrawal, read_withdrawals
from sidecar.trust.store import GoodSet
from sidecar.trust.updater import KeptUpdater

_UNEXPIRED = datetime(1970, 1, 1, tzinfo=UTC)
"""A reference time at which nothing has expired."""


def updated(
    updater: KeptUpdater, again: Callable[[datetime], KeptUpdater], before: GoodSet | None
) -> tuple[KeptUpdater, ExpiredMetadataError | None]:
    """Update metadata; where the newest has expired and is not what is kept, as if it had not.

    Args:
        updater: An updater.
        again: Makes another one, for a time at which metadata must not have expired.
        before: The last complete set.

    Returns:
        The updater that updated, and why the edition is stale, if it is.

    Raises:
        ExpiredMetadataError: It has expired and is the one that is kept, or nothing is kept.
        RepositoryError: As ``Updater.refresh``, which raises other errors, too.
    """
    try:
        updater.refresh()
    except ExpiredMetadataError as error:
        if before is None:
            raise
        late = again(_UNEXPIRED)
        late.refresh()
        if late.held["timestamp"] == before.timestamp:
            raise
        return late, error
    return updater, None


def check(late: ExpiredMetadataError | None, before: GoodSet | None, found: GoodSet) -> str:
    """Return why an edition that was understood is stale; refuse one that takes anything back.

    Raises:
        ExpiredMetadataError: It lacks something that the set before it withdraws.
    """
    if late is None:
        return ""
    if before is None or not _contains(found.withdrawals, before.withdrawals):
        raise ExpiredMetadataError(f"{late}, and lacks withdrawals that were verified before")
    return f"{late}; what it withdraws counts"


def _contains(new: bytes | None, old: bytes | None) -> bool:
    """Return whether everything that one document withdraws, another withdraws no later."""
    if new is None or old is None:
        return False
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
