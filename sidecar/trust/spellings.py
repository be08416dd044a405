"""Adds to withdrawals of models the names that their calls have, however they were written.

An API may take several names for a model, and a call is judged by one (``Provider.canonical``), or
by one at each endpoint (``Provider.elsewhere``). A withdrawal under another name would silently
withdraw nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sidecar.core.documents import Withdrawal, WithdrawalKind, WithdrawalsDocument
from sidecar.providers import withdrawn_names

_NAMED = frozenset({WithdrawalKind.MODEL, WithdrawalKind.BASE_MODEL})


def by_one_name(document: WithdrawalsDocument) -> WithdrawalsDocument:
    """Return the document with a further entry for each other name of a model.

    The entry as written stays: a manifest may name its base like that.
    """
    further = tuple(each for entry in document.entries for each in by_other_names(entry))
    if not further:
        return document
    return replace(document, entries=tuple(dict.fromkeys((*document.entries, *further))))


def by_other_names(entry: Withdrawal) -> Iterator[Withdrawal]:
    """Yield the same withdrawal under each other name of the model; nothing for other subjects.

    Of the two kinds only a base model is withdrawn by a pattern. What has variants of its name is
    one.
    """
    if entry.kind not in _NAMED:
        return
    for name in withdrawn_names(entry.subject):
        kind = WithdrawalKind.BASE_MODEL if "*" in name else entry.kind
        yield replace(entry, kind=kind, subject=name)
