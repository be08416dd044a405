"""Logs what each authority withdraws and takes back, when the gate takes it in."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from sidecar.core.documents import Failure, Supersession, Withdrawal
from sidecar.core.snapshot import AuthorityView, TrustState
from sidecar.core.window import rfc3339
from sidecar.observe.json_lines import event

log = logging.getLogger("sidecar.trust")

MAX_LINES = 20
"""Lines about one publication of one authority; the rest is counted in one more."""

No = Withdrawal | Failure | Supersession


class TrustLog:
    """Compares each trust state with the one before; to be called from one thread at a time.

    The first view of an authority is logged as a count: its withdrawals are not news. After a
    restart that is the view which was kept, so what was published meanwhile is.

    Attributes:
        withdrew: When a new withdrawal of each authority was last taken in; without an entry while
            there was none since the start.
    """

    def __init__(self) -> None:
        self._known: dict[str, AuthorityView] = {}
        self.withdrew: dict[str, datetime] = {}

    def publish(self, state: TrustState) -> None:
        """Log what changed since the state before."""
        for name, view in state.authorities.items():
            known = self._known.get(name)
            if known is view:
                continue
            self._known[name] = view
            if known is None:
                count = len(_noes(view))
                if count:
                    log.info("%s: %d withdrawals in force", name, count)
            elif known.withdrawals is not view.withdrawals:
                before, after = _noes(known), _noes(view)
                new = [each for each in after if each not in before]
                if new:
                    self.withdrew[name] = datetime.now(UTC)
                _report(name, "withdrew", new)
                _report(name, "took back", (each for each in before if each not in after))


def _noes(view: AuthorityView) -> dict[No, None]:
    """Return every no of an authority, in its order."""
    found = view.withdrawals
    return dict.fromkeys((*found.entries, *found.failures, *found.supersessions))


def _report(authority: str, verb: str, entries: Iterable[No]) -> None:
    listed = list(entries)
    for each in listed[:MAX_LINES]:
        kind, subject, reason = _named(each)
        effective = each.effective if isinstance(each, Withdrawal) else None
        when = "" if effective is None else f", effective {rfc3339(effective)}"
        log.warning(
            "%s %s %s %s: %s%s",
            authority,
            verb,
            kind,
            subject,
            reason,
            when,
            extra=event(
                verb.replace(" ", "_"),
                authority=authority,
                kind=kind,
                subject=subject,
                reason=reason,
                effective=None if effective is None else rfc3339(effective),
            ),
        )
    if len(listed) > MAX_LINES:
        log.warning("%s %s %d more", authority, verb, len(listed) - MAX_LINES)


def _named(entry: No) -> tuple[str, str, str]:
    """Return kind, subject and reason of a no."""
    if isinstance(entry, Withdrawal):
        return entry.kind.value, entry.subject, entry.reason
    if isinstance(entry, Failure):
        return "failed manifest", entry.manifest, entry.reason
    return "superseded manifest", entry.manifest, f"by {entry.by}"
