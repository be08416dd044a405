"""Assumes the credential of an environment, for questions that no workload asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from sidecar.core.call import Credential
from sidecar.core.grants import CUSTOMER, OperatorTrust
from sidecar.core.spiffe_id import check_spiffe_id

ASSUMED = timedelta(days=3650)
"""How long the assumed credential is valid: longer than anything that is relied on."""


def assumed_credential(operator: OperatorTrust, environment: str, now: datetime) -> Credential:
    """Return a valid credential of an environment, as its trust domain's owner would vouch.

    Args:
        operator: The operator's grants.
        environment: SPIFFE ID.
        now: Aware.

    Raises:
        EvidenceError: It is no SPIFFE ID of a workload.
    """
    trust_domain = check_spiffe_id(environment)
    return Credential(
        spiffe_id=environment,
        trust_domain=trust_domain,
        kind="assumed",
        expires=now + ASSUMED,
        authority=_owner(operator, trust_domain),
    )


def _owner(operator: OperatorTrust, trust_domain: str) -> str:
    """Return the authority that owns the trust domain; empty if it is granted to none."""
    for name, grants in operator.grants.items():
        if any(g.role == CUSTOMER and trust_domain in g.trust_domains for g in grants):
            return name
    return ""
