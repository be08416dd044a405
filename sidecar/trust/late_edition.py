"""Reads an edition that had expired before it was read.

A TUF client takes nothing that has expired (specification 5.4.4): replayed metadata would look
current. But a gate that was down, or a publisher whose clock is behind, makes the authority's last
word one that expired unread, and a withdrawal in it would count nowhere: law 1 knows no such end.
So an edition newer than the kept one is kept all the same where it takes nothing back. It is as
stale as its expiry states, so it adds every no and no agreement; and since it takes back nothing,
whoever replays it gains nothing. Of one that takes something back, the withdrawals count beside
those that it lacks (``unaccepted``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tuf.api.exceptions import ExpiredMetadataError

from sidecar.trust import unaccepted
from sidecar.trust.memo import Memo
from sidecar.trust.store import GoodSet, Store
from sidecar.trust.updater import KeptUpdater

UNEXPIRED = datetime(1970, 1, 1, tzinfo=UTC)
"""A reference time at which nothing has expired."""


def updated(
    updater: KeptUpdater, again: Callable[..., KeptUpdater], before: GoodSet | None
) -> tuple[KeptUpdater, ExpiredMetadataError | None]:
    """Update metadata; where the newest has expired and is not what is kept, as if it had not.

    Args:
        updater: An updater.
        again: Makes another one; ``at`` is a time at which metadata must not have expired.
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
        late = again(at=UNEXPIRED)
        late.refresh()
        if late.held["timestamp"] == before.timestamp:
            raise
        return late, error
    return updater, None


def check(
    late: ExpiredMetadataError | None,
    before: GoodSet | None,
    found: GoodSet,
    store: Store,
    memo: Memo,
) -> str:
    """Return why an edition that was understood is stale; refuse one that takes anything back.

    What that one withdraws counts beside what was withdrawn before.

    Raises:
        ExpiredMetadataError: It lacks something that the set before it withdraws.
        StoreError: What is kept is damaged.
    """
    if late is None:
        return ""
    if before is None:
        raise late
    if not unaccepted.contains(found.withdrawals, before.withdrawals):
        counts = unaccepted.add(store, memo, before, found)
        lacks = "and lacks withdrawals that were verified before"
        end = "what it withdraws counts, too" if counts else "too many editions differ"
        raise ExpiredMetadataError(f"{late}, {lacks}; {end}")
    return f"{late}; what it withdraws counts"
