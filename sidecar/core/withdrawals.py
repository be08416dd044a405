"""Index one authority's withdrawals and failures by what they withdraw.

Law 3: withdrawing an approval, a result, a declaration or a binding also withdraws what the same
author signed earlier on that matter. The index holds those older items as ``AuthoredNode``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from sidecar.core import wire
from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.evidence import Evidence
from sidecar.core.kinds import kind_of
from sidecar.core.memory import LineageNode, WithdrawnStatement
from sidecar.core.predicates import Predicate

K = TypeVar("K")
V = TypeVar("V")


class AuthoredNode(NamedTuple):
    """A piece of evidence as one author signed it: the kind and digest to withdraw, the author."""

    kind: WithdrawalKind
    digest: str
    author: str


Matter = list[object]
"""JSON values; see ``kinds.EvidenceKind.matter``."""
Earlier = Mapping[tuple[WithdrawalKind, str], tuple[AuthoredNode, ...]]
"""Kind and digest of a withdrawn statement → its author's earlier ones on the matter."""


@dataclass(frozen=True, slots=True)
class WithdrawalIndex:
    """One authority's withdrawals.

    Attributes:
        entries: How many it published.
        exact: By kind and subject.
        patterns: Those whose subject has a wildcard.
        authored: By evidence and author: what a withdrawal of a newer statement also withdraws.
    """

    entries: int
    exact: Mapping[tuple[WithdrawalKind, str], tuple[Withdrawal, ...]]
    patterns: tuple[Withdrawal, ...]
    authored: Mapping[AuthoredNode, tuple[Withdrawal, ...]]

    @classmethod
    def of(cls, entries: tuple[Withdrawal, ...], earlier: Earlier) -> WithdrawalIndex:
        """Index ``entries``; ``earlier`` as ``earlier_statements`` returns it."""
        exact: dict[tuple[WithdrawalKind, str], list[Withdrawal]] = defaultdict(list)
        authored: dict[AuthoredNode, list[Withdrawal]] = defaultdict(list)
        patterns = []
        for entry in entries:
            if entry.by_pattern and "*" in entry.subject:
                patterns.append(entry)
                continue
            exact[entry.kind, entry.subject].append(entry)
            for node in earlier.get((entry.kind, entry.subject), ()):
                authored[node].append(entry)
        return cls(len(entries), frozen(exact), tuple(patterns), frozen(authored))

    def hits(self, node: LineageNode | AuthoredNode) -> tuple[Withdrawal, ...]:
        """Return the entries that withdraw ``node``, whenever they take effect."""
        if isinstance(node, AuthoredNode):
            return self.authored.get(node, ())
        found = self.exact.get((node.kind, node.subject), ())
        if not self.patterns:
            return found
        return found + tuple(e for e in self.patterns if e.hits(node.kind, node.subject))


def withdrawn_statements(
    items: Iterable[Evidence[Predicate]],
    entries: Iterable[Withdrawal],
    before: tuple[WithdrawnStatement, ...],
) -> tuple[WithdrawnStatement, ...]:
    """Return ``before`` with every known statement on a matter that an entry names by digest."""
    named = {(entry.kind, entry.subject) for entry in entries}
    found = {
        statement
        for item in items
        if (kind_of(item.predicate).withdrawal, item.digest) in named
        for statement in _statements(item)
    }
    return before if found <= {*before} else tuple(sorted({*before, *found}))


def earlier_statements(
    items: Iterable[Evidence[Predicate]], withdrawn: tuple[WithdrawnStatement, ...]
) -> Earlier:
    """Return for each withdrawn statement those of its author on the matter that began no later."""
    newest: dict[tuple[str, str], list[WithdrawnStatement]] = defaultdict(list)
    for statement in withdrawn:
        newest[statement.author, statement.matter].append(statement)
    found: dict[tuple[WithdrawalKind, str], list[AuthoredNode]] = defaultdict(list)
    if not newest:
        return {}
    for older in (each for item in items for each in _statements(item)):
        for newer in newest.get((older.author, older.matter), ()):
            if (older.began, older.digest) < (newer.began, newer.digest):
                node = AuthoredNode(older.kind, older.digest, older.author)
                found[newer.kind, newer.digest].append(node)
    return frozen(found)


def _statements(item: Evidence[Predicate]) -> Iterator[WithdrawnStatement]:
    """Yield a statement on a matter once for each of its authors."""
    about = matter(item)
    if about is not None:
        kind, text = kind_of(item.predicate).withdrawal, wire.canonical(about).decode()
        for author in dict.fromkeys(signer.authority for signer in item.signers):
            yield WithdrawnStatement(kind, item.digest, author, text, _began(item))


def matter(item: Evidence[Any]) -> Matter | None:
    """Return what a statement is about, apart from its author; ``None`` for single statements."""
    kind, subject = kind_of(item.predicate), item.statement.subject
    if kind.matter is None:
        return None
    return [kind.noun, *kind.matter(subject, item.predicate)]


def _began(item: Evidence[Any]) -> datetime:
    began: datetime = item.predicate.window.not_before
    return began


def frozen(index: Mapping[K, Iterable[V]]) -> Mapping[K, tuple[V, ...]]:
    """Return ``index`` read-only, with tuples."""
    return MappingProxyType({key: tuple(values) for key, values in index.items()})
