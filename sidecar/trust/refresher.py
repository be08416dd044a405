"""Refreshes one authority again and again, and reports its status."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from sidecar.core.snapshot import AuthorityView
from sidecar.trust import sources
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.memo import Memo
from sidecar.trust.refresh import NotUnderstoodError, Refreshed, RefreshError, refresh
from sidecar.trust.view import NoViewError, read_kept

_LOG = logging.getLogger("sidecar.trust")

WHOLE_SECONDS = 60.0
"""How often everything is verified and kept again, though the source has nothing new."""


@dataclass(frozen=True, slots=True)
class AuthorityStatus:
    """The state of an authority's repository in this process.

    Attributes:
        name: As the operator knows it.
        version: Of its timestamp metadata; None where nothing verified is kept.
        expires: When its metadata expires; None as above.
        refreshed: When a refresh last succeeded in this process.
        error: Why the last refresh failed; None where it succeeded or none has ended yet.
        heard: As ``AuthorityView.heard_since_start``; a view without it is stale.
        withdrawals: Entries and failures that it publishes.
        followed: Since when this process follows it.
    """

    name: str
    version: int | None
    expires: datetime | None
    refreshed: datetime | None
    error: str | None
    heard: bool = False
    withdrawals: int = 0
    followed: datetime | None = field(default=None, compare=False)

    def age(self, now: datetime) -> float:
        """Return the seconds since it was read; where it never was, since it is followed."""
        since = self.refreshed or self.followed
        return math.inf if since is None else (now - since).total_seconds()

    def stale(self, now: datetime) -> str:
        """Why the authority's agreement does not count at ``now``; empty where it does."""
        if self.expires is None:
            return "was never verified"
        if self.expires <= now:
            return "has expired"
        if self.heard:
            return ""
        return "not read since the gate started, its keys changed, or its newest set was not kept"


class AuthorityRefresher:
    """Refreshes one authority; ``status`` is replaced whole with each refresh.

    Args:
        authority: From ``trust.yaml``.
        state_dir: The state folder.
        heard: Whether it was heard already, by a process that this one continues.
        at: When metadata must not have expired: for audits of the past. ``None`` for now.
    """

    def __init__(
        self,
        authority: TrustedAuthority,
        state_dir: Path,
        *,
        heard: bool = False,
        at: datetime | None = None,
    ) -> None:
        self._authority = authority
        self.source = sources.open_source(authority.source)
        self._state_dir = state_dir
        self._memo = Memo(at=at)
        self._heard = heard
        self._last: Refreshed | None = None
        self._last_at = 0.0
        self._followed = datetime.now(UTC)
        self.status = AuthorityStatus(
            authority.name, None, None, None, None, followed=self._followed
        )

    def recall(self) -> AuthorityView | None:
        """Return the view that is kept from before, without asking the source."""
        view, _ = self._kept()
        self._note(view, self.status.refreshed, self.status.error)
        return view

    def refresh(self) -> AuthorityView | None:
        """Ask the source; return the view that holds afterwards, if any.

        A source that has what was verified a moment ago is read no further.
        """
        if self._last is not None and self._unchanged(self._last):
            self._note(self._last.view, datetime.now(UTC), None)
            return self._last.view
        self._last = None
        try:
            found = refresh(self._authority, self.source, self._state_dir, self._memo)
        except RefreshError as error:
            # A set that cannot be parsed is still the newest one: the one before is stale.
            self._heard &= not isinstance(error, NotUnderstoodError)
            kept, why = self._kept()
            text = str(error) if not why or why in str(error) else f"{error}; {why}"
            self._note(kept, self.status.refreshed, text)
            return kept
        # A set that a restart would lose, or that had expired: its withdrawals count, its
        # agreement does not.
        self._heard = found.outlasts and not found.late
        view = replace(found.view, heard_since_start=self._heard)
        self._note(view, datetime.now(UTC), found.problem or None)
        if not found.problem:
            self._last, self._last_at = replace(found, view=view), time.monotonic()
        return view

    def _unchanged(self, last: Refreshed) -> bool:
        if time.monotonic() - self._last_at >= WHOLE_SECONDS:
            return False
        return last.view.expires > datetime.now(UTC) and last.edition.is_newest(self.source)

    def _kept(self) -> tuple[AuthorityView | None, str]:
        """Return the view that is kept, and why it is stale or absent."""
        try:
            kept = read_kept(self._authority, self._state_dir, self._memo)
        except NoViewError as error:
            return None, str(error)
        heard = self._heard and not kept.replaced
        return replace(kept.view, heard_since_start=heard), kept.replaced

    def _note(
        self, view: AuthorityView | None, refreshed: datetime | None, error: str | None
    ) -> None:
        before = self.status
        self.status = AuthorityStatus(
            self._authority.name,
            view.version if view is not None else None,
            view.expires if view is not None else None,
            refreshed,
            error,
            view is not None and view.heard_since_start,
            0 if view is None else len(view.withdrawals.entries) + len(view.withdrawals.failures),
            self._followed,
        )
        if _logged(self.status) != _logged(before):
            _log_status(self.status)


def _logged(status: AuthorityStatus) -> tuple[object, ...]:
    """Return what a line of the log is written about, once for each change."""
    return status.version, status.expires, status.error


def _log_status(status: AuthorityStatus) -> None:
    if status.expires is None:
        _LOG.warning("%s: %s (no verified set)", status.name, status.error)
        return
    until = status.expires.isoformat()
    if status.error is None:
        _LOG.info("%s: version %s, until %s", status.name, status.version, until)
    else:
        _LOG.warning("%s: %s (last verified set expires: %s)", status.name, status.error, until)
