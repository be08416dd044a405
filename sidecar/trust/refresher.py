"""Refreshes one authority again and again, and reports its status."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sidecar.core.trust_state import AuthorityView
from sidecar.trust import sources
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.refresh import NotUnderstoodError, RefreshError, refresh
from sidecar.trust.view import Memo, NoViewError, read_kept

_LOG = logging.getLogger("sidecar.trust")


@dataclass(frozen=True, slots=True)
class AuthorityStatus:
    """The state of an authority's repository, as this process knows it.

    Attributes:
        name: As the operator knows it.
        version: Of its timestamp metadata; None where nothing verified is kept.
        expires: When its metadata expires; None as above.
        refreshed: When a refresh last succeeded in this process.
        error: Why the last refresh failed; None where it succeeded or none has ended yet.
    """

    name: str
    version: int | None
    expires: datetime | None
    refreshed: datetime | None
    error: str | None


class AuthorityRefresher:
    """Refreshes one authority; ``status`` is replaced whole with each refresh."""

    def __init__(self, authority: TrustedAuthority, state_dir: Path) -> None:
        self._authority = authority
        self.source = sources.open_source(authority.source)
        self._state_dir = state_dir
        self._memo = Memo()
        self._heard = False
        self.status = AuthorityStatus(authority.name, None, None, None, None)

    def recall(self) -> AuthorityView | None:
        """Return the view that is kept from before, without asking the source."""
        view, _ = self._kept()
        self._note(view, self.status.refreshed, self.status.error)
        return view

    def refresh(self) -> AuthorityView | None:
        """Ask the source; return the view that holds afterwards, if any."""
        try:
            found = refresh(self._authority, self.source, self._state_dir, self._memo)
        except RefreshError as error:
            # What cannot be understood is its newest word all the same: the one before is stale.
            self._heard &= not isinstance(error, NotUnderstoodError)
            kept, why = self._kept()
            text = str(error) if not why or why in str(error) else f"{error}; {why}"
            self._note(kept, self.status.refreshed, text)
            return kept
        self._heard = True
        self._note(found.view, datetime.now(UTC), found.domains_error or None)
        return replace(found.view, heard_since_start=True)

    def _kept(self) -> tuple[AuthorityView | None, str]:
        """The view that is kept, and why it is stale or absent."""
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
        )
        if replace(self.status, refreshed=None) != replace(before, refreshed=None):
            _log_status(self.status)


def _log_status(status: AuthorityStatus) -> None:
    until = status.expires.isoformat() if status.expires is not None else "never verified"
    if status.error is None:
        _LOG.info("%s: version %s, until %s", status.name, status.version, until)
    else:
        _LOG.warning("%s: %s (its last verified word: %s)", status.name, status.error, until)
