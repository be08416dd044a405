"""Computes how long a decision holds: until the earliest end of anything it relies on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sidecar.core import resolve
from sidecar.core.assessment import SHUTDOWN, Chain, Ending, Inquiry, Specified, Waived
from sidecar.core.cascade import Cascade
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.lineage import AnyNode
from sidecar.core.predicates import Environment
from sidecar.core.snapshot import TrustState

LONGEST_VALIDITY = timedelta(days=1)
"""Longest validity of a decision, whatever it relies on."""


CREDENTIAL = "credential"


def endings(
    inquiry: Inquiry,
    environment: Evidence[Environment],
    cascaded: Cascade,
    chains: tuple[Chain, ...],
    nodes: tuple[AnyNode, ...],
    waived: tuple[Waived, ...],
    specified: Specified | None,
) -> tuple[Ending, ...]:
    """Return the ends of windows, keys and metadata, and the starts of what changes the answer.

    Args:
        inquiry: For the reference time.
        environment: The declaration in force.
        cascaded: Whose withdrawals count, and which are still to come.
        chains: What was relied on for each model.
        nodes: Everything that was checked for withdrawals.
        waived: Waivers that may have helped.
        specified: What a model would be tuned under.
    """
    state = inquiry.state
    name = environment.statement.subject.name
    declarers = resolve.declarers(inquiry, environment)
    customers = ", ".join(signer.authority for signer in declarers)
    found = [
        Ending(inquiry.credential.expires, CREDENTIAL, name),
        Ending(environment.predicate.window.not_after, "environment declaration", customers),
    ]
    required = {*cascaded.constituents, *cascaded.objectors.must_be_fresh}
    found.extend(
        Ending(state.authorities[each].expires, "published metadata", each)
        for each in required
        if each in state.authorities
    )
    found.extend(_key(state, signer) for signer in declarers)
    coming = cascaded.announced(nodes)
    if coming is not None:
        found.append(coming)
    newer = resolve.next_declaration(inquiry, name)
    if newer is not None:
        found.append(Ending(newer, "newer environment declaration", ""))
    for chain in chains:
        found.extend(_chain_endings(chain, state))
    for entry in waived:
        found.extend(_waiver_endings(cascaded, entry))
    if specified is not None:
        window = specified.specification.predicate.window
        found.append(Ending(window.not_after, "specification", specified.signer.authority))
        found.append(_key(state, specified.signer))
        found.extend(_key(state, signer) for _, signer in specified.extended)
    return tuple(found)


def until(now: datetime, found: tuple[Ending, ...]) -> datetime:
    """Return the earliest ending, at most ``LONGEST_VALIDITY`` from now."""
    return min(now + LONGEST_VALIDITY, *(ending.at for ending in found))


def _key(state: TrustState, signer: Signer) -> Ending:
    return Ending(state.keys[signer].window.not_after, "attestation key", signer.authority)


def _waiver_endings(cascaded: Cascade, entry: Waived) -> Iterator[Ending]:
    """Yield when a waiver that may have helped ends, and the decision with it."""
    yield Ending(entry.waiver.predicate.window.not_after, "waiver", entry.signer.authority)
    yield _key(cascaded.state, entry.signer)
    coming = cascaded.announced(cascaded.nodes(entry.waiver, entry.signer))
    if coming is not None:
        yield coming


def _chain_endings(chain: Chain, state: TrustState) -> Iterator[Ending]:
    producer = "" if chain.producer is None else chain.producer.authority
    if chain.manifest is not None:
        yield Ending(chain.manifest.predicate.window.not_after, "manifest", producer)
        model = chain.manifest.predicate.model
        if model.shutdown is not None:
            yield Ending(model.shutdown, SHUTDOWN, model.provider)
    for suite in chain.suites:
        yield Ending(suite.result.predicate.window.not_after, "result", suite.signer.authority)
    for entry in chain.approvals:
        window = entry.approval.predicate.window
        yield Ending(window.not_after, f"approval as {entry.role}", entry.signer.authority)
    if chain.deployed is not None:
        yield Ending(chain.deployed.until, "deployment binding", "")
    signers = [*(s.signer for s in chain.suites), *(a.signer for a in chain.approvals)]
    signers.extend(signer for _, signer in chain.parents)
    # A manifest's specification had its window when the run began; only its key must hold now.
    signers.extend(entry.signer for entry in chain.specifications)
    signers.extend(signer for entry in chain.specifications for _, signer in entry.extended)
    if chain.producer is not None:
        signers.append(chain.producer)
    yield from (_key(state, signer) for signer in signers)
