"""Reuses an assessment for another credential of the same environment, at another time.

Of a call the predicate reads what can name a model; of a credential its SPIFFE ID, its expiry and
the roots that vouch for it. ``assessed_call`` empties all other fields, so that an assessment
cannot depend on them. ``reads.Reads`` detects whether the trust state or the time has changed an
answer; where it has not, ``for_credential`` returns what ``assess`` would.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sidecar.core import validity
from sidecar.core.assessment import Assessment, Ending
from sidecar.core.call import Call, Credential
from sidecar.core.facts import EnvironmentFacts, Facts
from sidecar.core.proving import credential_facts, request_facts

Caller = tuple[str, str, str]
"""SPIFFE ID, trust domain, and the authority whose roots vouch for it."""


def assessed_call(call: Call) -> Call:
    """Return what the predicate reads of a call."""
    return replace(call, stream=False, modalities=(), tool_types=(), owned=(), ignored=())


def assessed_caller(credential: Credential) -> Caller:
    """Return what the predicate reads of a credential, beside the time at which it expires."""
    return credential.spiffe_id, credential.trust_domain, credential.authority


def for_credential(assessment: Assessment, credential: Credential, now: datetime) -> Assessment:
    """Return an admissible assessment for another credential that the predicate reads alike.

    Args:
        assessment: Made of the same question, from a state in which what it read is the same.
        credential: One that has not expired.
        now: Not before the assessment was made, and before the next instant that it read.
    """
    own = credential.expires
    ends = tuple(
        Ending(own, each.what, each.whose) if each.what == validity.CREDENTIAL else each
        for each in assessment.endings
    )
    return replace(assessment, endings=ends, valid_until=validity.until(now, ends))


def for_request(facts: Facts, call: Call, credential: Credential, now: str, nonce: str) -> Facts:
    """Return the facts of another call and credential that the predicate reads alike.

    What the assessment proved is the same objects, so that it is written as JSON once.

    Args:
        facts: Proven by the assessment of the question.
        call: The call, whole.
        credential: Its credential.
        now: The decision's reference time (RFC 3339).
        nonce: Of this query.
    """
    declared = facts.environment
    return Facts(
        request_facts(call, facts.request.specification),
        EnvironmentFacts(
            declared.id,
            declared.trust_domain,
            declared.jurisdictions,
            declared.sector,
            declared.purpose,
            declared.risk_class,
            declared.owner,
            declared.declarations,
            credential_facts(credential),
        ),
        facts.adaptations,
        facts.deployments,
        facts.waivers,
        now,
        nonce,
    )
