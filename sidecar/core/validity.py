"""Compute how long a decision holds: until the earliest end of anything it relies on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sidecar.core import resolve
from sidecar.core.assessment import Chain, Inquiry, Specified, Waived
from sidecar.core.cascade import Cascade
from sidecar.core.evidence import Environment, Evidence
from sidecar.core.lineage import AnyNode, evidence_nodes
from sidecar.core.snapshot import TrustState

LONGEST_VALIDITY = timedelta(days=1)
"""No decision is good for longer, whatever it relies on."""


def until(
    inquiry: Inquiry,
    environment: Evidence[Environment],
    cascaded: Cascade,
    chains: tuple[Chain, ...],
    nodes: tuple[AnyNode, ...],
    waived: tuple[Waived, ...],
    specified: Specified | None,
) -> datetime:
    """Return the earliest end of windows, keys and metadata, or start of what changes the answer.

    Args:
        inquiry: For the reference time.
        environment: The declaration in force.
        cascaded: Whose withdrawals count, and which are still to come.
        chains: What was relied on for each model.
        nodes: Everything that was checked for withdrawals.
        waived: Waivers that may have helped.
        specified: What a model would be tuned under.
    """
    state, now = inquiry.state, inquiry.now
    name = environment.statement.subject.name
    ends = [now + LONGEST_VALIDITY, inquiry.credential.expires]
    ends.append(environment.predicate.window.not_after)
    required = {*cascaded.constituents, *cascaded.objectors.must_be_fresh}
    ends.extend(state.authorities[n].expires for n in required if n in state.authorities)
    ends.extend(state.keys[s].window.not_after for s in resolve.declarers(inquiry, environment))
    changes = (cascaded.next_change(nodes), resolve.next_declaration(inquiry, name))
    ends.extend(change for change in changes if change is not None)
    for chain in chains:
        ends.extend(_chain_ends(chain, state))
    ends.extend(_waiver_end(cascaded, entry) for entry in waived)
    if specified is not None:
        ends.append(specified.specification.predicate.window.not_after)
        ends.append(state.keys[specified.signer].window.not_after)
        ends.extend(state.keys[signer].window.not_after for _, signer in specified.extended)
    return min(ends)


def _waiver_end(cascaded: Cascade, entry: Waived) -> datetime:
    """Return when a waiver that may have helped ends, and the decision with it."""
    ends = [entry.waiver.predicate.window.not_after]
    ends.append(cascaded.state.keys[entry.signer].window.not_after)
    coming = cascaded.next_change(evidence_nodes(entry.waiver, entry.signer))
    return min(ends if coming is None else [*ends, coming])


def _chain_ends(chain: Chain, state: TrustState) -> Iterator[datetime]:
    if chain.manifest is not None:
        yield chain.manifest.predicate.window.not_after
        if chain.manifest.predicate.model.shutdown is not None:
            yield chain.manifest.predicate.model.shutdown
    yield from (entry.result.predicate.window.not_after for entry in chain.suites)
    yield from (entry.approval.predicate.window.not_after for entry in chain.approvals)
    if chain.deployed is not None:
        yield chain.deployed.until
    signers = [*(s.signer for s in chain.suites), *(a.signer for a in chain.approvals)]
    signers.extend(signer for _, signer in chain.parents)
    # A manifest's specification had its window when the run began; only its key must hold now.
    signers.extend(entry.signer for entry in chain.specifications)
    signers.extend(signer for entry in chain.specifications for _, signer in entry.extended)
    if chain.producer is not None:
        signers.append(chain.producer)
    yield from (state.keys[signer].window.not_after for signer in signers)
