"""Index one authority's withdrawals and failures by what they withdraw.

Law 3: withdrawing an approval, a result, a declaration or a binding also withdraws what the same
author signed earlier on that matter. The index holds those older items as ``AuthoredNode``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.evidence import Evidence
from sidecar.core.kinds import kind_of
from sidecar.core.memory import LineageNode
from sidecar.core.predicates import Predicate

K = TypeVar("K")
V = TypeVar("V")


class AuthoredNode(NamedTuple):
    """A piece of evidence as one author signed it: the kind and digest to withdraw, the author."""

    kind: WithdrawalKind
    digest: str
    author: str


Matter = tuple[object, ...]
Earlier = Mapping[tuple[WithdrawalKind, str], tuple[AuthoredNode, ...]]
"""Kind and digest of a statement → it and its author's earlier ones on the matter."""


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


def earlier_statements(items: Iterable[Evidence[Predicate]]) -> Earlier:
    """Return for each statement on a matter those of the same author that began no later."""
    by_matter: dict[tuple[str, Matter], list[tuple[datetime, str, WithdrawalKind]]]
    by_matter = defaultdict(list)
    for item in items:
        subject = matter(item)
        if subject is not None:
            kind = kind_of(item.predicate).withdrawal
            for author in dict.fromkeys(signer.authority for signer in item.signers):
                by_matter[author, subject].append((_began(item), item.digest, kind))
    found: dict[tuple[WithdrawalKind, str], list[AuthoredNode]] = defaultdict(list)
    for (author, _), statements in by_matter.items():
        if len(statements) > 1:
            ordered = sorted(statements)
            for number, (_, digest, kind) in enumerate(ordered):
                found[kind, digest].extend(
                    AuthoredNode(kind, older, author) for _, older, _ in ordered[:number]
                )
    return frozen(found)


def matter(item: Evidence[Any]) -> Matter | None:
    """Return what a statement is about, apart from its author; ``None`` for single statements."""
    kind, subject = kind_of(item.predicate), item.statement.subject
    if kind.matter is None:
        return None
    return kind.noun, *kind.matter(subject, item.predicate)


def _began(item: Evidence[Any]) -> datetime:
    began: datetime = item.predicate.window.not_before
    return began


def frozen(index: Mapping[K, Iterable[V]]) -> Mapping[K, tuple[V, ...]]:
    """Return ``index`` read-only, with tuples."""
    return MappingProxyType({key: tuple(values) for key, values in index.items()})
