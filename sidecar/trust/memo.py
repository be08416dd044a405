"""Keeps what was verified of one authority in memory, so that a heartbeat reads less."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sidecar.core.documents import (
    AuthorityDocument,
    TrustDomainsDocument,
    WithdrawalsDocument,
    read_authority,
    read_trust_domains,
    read_withdrawals,
)
from sidecar.trust.spellings import by_one_name
from sidecar.trust.store import DomainsSet, GoodSet


@dataclass(slots=True)
class Memo:
    """The documents that were read last: a heartbeat changes none, and they may be large.

    Attributes:
        authority: Bytes and value of ``authority.json``.
        withdrawals: The same of ``withdrawals.json``.
        trust_domains: The same of ``trust-domains.json``.
        newest: The last complete set of this process; it counts also where it cannot be written.
        unkept_domains: The last set of the delegated role, where it could not be written.
        unaccepted: The editions of ``unaccepted``, where they could not be written.
        united: The last result of ``unaccepted.united``, and what it was made of.
        at: When metadata must not have expired, for audits of the past; ``None`` for now.
    """

    authority: tuple[bytes, AuthorityDocument] | None = None
    withdrawals: tuple[bytes, WithdrawalsDocument] | None = None
    trust_domains: tuple[bytes, TrustDomainsDocument] | None = None
    newest: GoodSet | None = None
    unkept_domains: DomainsSet | None = None
    unaccepted: tuple[GoodSet, ...] | None = None
    united: tuple[WithdrawalsDocument, tuple[bytes, ...], WithdrawalsDocument] | None = None
    at: datetime | None = None

    def read_authority(self, data: bytes, name: str) -> AuthorityDocument:
        """Like ``documents.read_authority``; always of the same ``name``."""
        if self.authority is None or self.authority[0] != data:
            self.authority = (data, read_authority(data, name=name))
        return self.authority[1]

    def read_withdrawals(self, data: bytes) -> WithdrawalsDocument:
        """Like ``documents.read_withdrawals``, with every name that a model is called by."""
        if self.withdrawals is None or self.withdrawals[0] != data:
            self.withdrawals = (data, by_one_name(read_withdrawals(data)))
        return self.withdrawals[1]

    def read_trust_domains(self, data: bytes) -> TrustDomainsDocument:
        """Like ``documents.read_trust_domains``."""
        if self.trust_domains is None or self.trust_domains[0] != data:
            self.trust_domains = (data, read_trust_domains(data))
        return self.trust_domains[1]
