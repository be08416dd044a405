"""Adds to withdrawals of models the names that their calls have, however they were written.

An API may take several names for a model, and a call is judged by one (``Provider.canonical``), or
by one at each endpoint (``Provider.elsewhere``). A withdrawal under another name would withdraw
nothing, and nobody would notice.
"""

from __future__ import annotations

from dataclasses import replace

from sidecar.core.documents import WithdrawalKind, WithdrawalsDocument
from sidecar.providers import withdrawn_names

_NAMED = frozenset({WithdrawalKind.MODEL, WithdrawalKind.BASE_MODEL})


def by_one_name(document: WithdrawalsDocument) -> WithdrawalsDocument:
    """Return the document with a further entry for each other name of a model.

    The entry as written stays: a manifest may name its base like that.
    """
    further = tuple(
        replace(entry, subject=name)
        for entry in document.entries
        if entry.kind in _NAMED
        for name in withdrawn_names(entry.subject)
    )
    if not further:
        return document
    return replace(document, entries=tuple(dict.fromkeys((*document.entries, *further))))
