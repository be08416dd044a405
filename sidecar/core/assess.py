"""The structural predicate: is this call admissible, before any policy is asked?

The steps are numbered as in ``assessment.STEPS``; each lives in a module of its own.

0. The request is well formed and every model it can reach is named.
1. The credential is valid now and names one declared environment         (``resolve``).
2. Each model resolves to one unsuperseded manifest, or a listed base      (``resolve``).
3. The manifest is a granted producer's, in window, covers the call        (``coverage``).
4. Pre-activation: the declared envelope was run, passed, countersigned    (``preactivation``).
5. Approvals: every required role, each an authority of its own            (``approvals``).
6. Cascade: no constituent withdrew anything in the lineage                (``cascade``).
7. Freshness: every constituent's trust metadata is unexpired              (``cascade``).

A failed step never stops the others that can still be taken, so that ``admit explain`` shows them
all; the first failure, in step order, is the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidecar.core import approvals, cascade, coverage, preactivation, resolve, waivers
from sidecar.core.approvals import Option, Requirement
from sidecar.core.assessment import (
    Assessment,
    Chain,
    Finding,
    Inquiry,
    Node,
    Question,
    Waived,
)
from sidecar.core.call import Call, Credential
from sidecar.core.cascade import Cascade
from sidecar.core.evidence import Environment, Evidence, Manifest, Signer, Suite
from sidecar.core.preactivation import Candidate
from sidecar.core.reasons import Reason
from sidecar.core.resolve import Resolved
from sidecar.core.trust_state import TrustState

LONGEST_VALIDITY = timedelta(days=1)
"""No decision is good for longer, whatever it relies on."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """One model after step 3, with every signature that may count, before anyone is chosen."""

    question: Question
    resolved: Resolved
    producers: tuple[Signer, ...]
    results: dict[Suite, tuple[Candidate, ...]]
    options: dict[Requirement, tuple[Option, ...] | Reason]

    def signers(self) -> Iterator[str]:
        """Authorities whose signatures this model's admission may rely on."""
        yield from self.resolved.grantees
        yield from (signer.authority for signer in self.producers)
        for _, parent_signers in self.resolved.parents:
            yield from (signer.authority for signer in parent_signers)
        for rows in self.results.values():
            yield from (signer.authority for row in rows for signer in row.signers)
        for options in self.options.values():
            if not isinstance(options, Reason):
                yield from (option.signer.authority for option in options)


def assess(call: Call, credential: Credential, state: TrustState, now: datetime) -> Assessment:
    """Apply the predicate.

    Args:
        call: The request, from the bytes the upstream will use.
        credential: The verified credential.
        state: One trust state, read once.
        now: The decision's one reference time (aware).

    Returns:
        The assessment; ``reason`` is null only if every step held for every model.
    """
    inquiry = Inquiry(call, credential, state, now)
    wellformed = _named(call)
    if not wellformed.holds:
        return _refused(now, (wellformed,))
    environment, declared = resolve.environment(inquiry)
    if environment is None:
        return _refused(now, (wellformed, declared))
    findings = [wellformed, declared]
    prepared = [
        ready
        for model in call.models
        if (ready := _prepare(Question(inquiry, environment, model), findings)) is not None
    ]
    declarers = resolve.declarers(inquiry, environment)
    excused = waivers.candidates(inquiry, environment, _bound(prepared))
    cascaded = Cascade.of(
        state,
        {credential.authority}
        | {signer.authority for signer in declarers}
        | {name for ready in prepared for name in ready.signers()}
        | {signer.authority for candidate in excused for signer in candidate.signers},
        now,
    )
    chains = tuple(_choose(ready, cascaded, findings) for ready in prepared)
    waived = waivers.standing_ones(cascaded, excused)
    nodes = _check_lineage(inquiry, environment, declarers, cascaded, chains, findings)
    findings.append(cascade.fresh(cascaded))
    ordered = tuple(sorted(findings, key=lambda finding: finding.step))
    return Assessment(
        findings=ordered,
        reason=next((finding.reason for finding in ordered if not finding.holds), None),
        environment=environment,
        chains=chains,
        constituents=cascaded.constituents,
        manifests=_manifests(chains),
        valid_until=min(
            [
                _valid_until(inquiry, environment, cascaded, chains, nodes),
                *(_waiver_end(cascaded, entry) for entry in waived),
            ]
        ),
        waivers=waived,
    )


def _named(call: Call) -> Finding:
    """Step 0, as far as it can be told without the bytes: nothing required may be empty."""
    subject = call.operation or "request"
    if not (call.provider and call.operation and call.models and all(call.models)):
        return Finding(0, subject, Reason.MALFORMED_REQUEST, "names no operation or no model")
    return Finding(0, subject, None, "names " + ", ".join(call.models))


def _prepare(question: Question, findings: list[Finding]) -> _Prepared | None:
    """Steps 2 and 3 for one model, and everything that could count for steps 4 and 5."""
    resolved, found = resolve.manifest(question)
    findings.append(found)
    if resolved is None:
        return None
    if resolved.manifest is None:
        return _Prepared(question, resolved, (), {}, {})
    producers, covered = coverage.covered(question, resolved.manifest)
    findings.append(covered)
    return _Prepared(
        question,
        resolved,
        producers,
        preactivation.candidates(question, resolved.manifest, producers),
        approvals.candidates(question, resolved.manifest),
    )


def _choose(ready: _Prepared, cascaded: Cascade, findings: list[Finding]) -> Chain:
    """Steps 4 and 5: choose who is relied on, untainted evidence first."""
    question, resolved = ready.question, ready.resolved
    if resolved.manifest is None:
        return Chain(question.model, resolved.base, None, None, (), (), ())
    suites, passed = preactivation.passed(
        question, resolved.manifest, ready.results, cascaded.tainted
    )
    producer = _best(resolved.manifest, ready.producers, cascaded)
    taken = frozenset(ready.producers) | {entry.signer for entry in suites}
    roles, approved = approvals.approved(question, ready.options, taken, cascaded.tainted)
    findings.extend((passed, approved))
    parents = tuple(
        (parent, _best(parent, signers, cascaded) or signers[0])
        for parent, signers in resolved.parents
    )
    return Chain(question.model, resolved.base, resolved.manifest, producer, parents, suites, roles)


def _best(
    item: Evidence[Manifest], signers: tuple[Signer, ...], cascaded: Cascade
) -> Signer | None:
    """The signer to rely on: one whose key stands, if there is one."""
    return min(signers, key=lambda s: (cascaded.tainted(item, s), s), default=None)


def _check_lineage(
    inquiry: Inquiry,
    environment: Evidence[Environment],
    declarers: tuple[Signer, ...],
    cascaded: Cascade,
    chains: tuple[Chain, ...],
    findings: list[Finding],
) -> tuple[Node, ...]:
    """Step 6 for the environment and for each model; returns every node that was checked."""
    declarer = min(declarers, key=lambda s: (cascaded.tainted(environment, s), s))
    nodes = cascade.environment_nodes(environment, declarer)
    findings.append(cascade.intact(cascaded, environment.statement.subject.name, nodes))
    for chain in chains:
        below = cascade.lineage(chain, inquiry.call.provider)
        findings.append(cascade.intact(cascaded, chain.model, below))
        nodes += below
    return nodes


def _manifests(chains: tuple[Chain, ...]) -> tuple[str, ...]:
    found = {chain.manifest.digest for chain in chains if chain.manifest is not None}
    found |= {parent.digest for chain in chains for parent, _ in chain.parents}
    return tuple(sorted(found))


def _valid_until(
    inquiry: Inquiry,
    environment: Evidence[Environment],
    cascaded: Cascade,
    chains: tuple[Chain, ...],
    nodes: tuple[Node, ...],
) -> datetime:
    """The earliest end of anything relied on: windows, keys, metadata, coming withdrawals."""
    state, now = inquiry.state, inquiry.now
    ends = [now + LONGEST_VALIDITY, inquiry.credential.expires]
    ends.append(environment.predicate.window.not_after)
    ends.extend(
        state.authorities[n].expires for n in cascaded.constituents if n in state.authorities
    )
    ends.extend(state.keys[s].window.not_after for s in resolve.declarers(inquiry, environment))
    coming = cascaded.next_change(nodes)
    if coming is not None:
        ends.append(coming)
    for chain in chains:
        ends.extend(_chain_ends(chain, state))
    return min(ends)


def _bound(prepared: list[_Prepared]) -> Iterator[Evidence[Manifest]]:
    yield from (ready.resolved.manifest for ready in prepared if ready.resolved.manifest)


def _waiver_end(cascaded: Cascade, entry: Waived) -> datetime:
    """A decision that a waiver may have helped ends with the waiver."""
    ends = [entry.waiver.predicate.window.not_after]
    ends.append(cascaded.state.keys[entry.signer].window.not_after)
    coming = cascaded.next_change(cascade.evidence_nodes(entry.waiver, entry.signer))
    return min(ends if coming is None else [*ends, coming])


def _chain_ends(chain: Chain, state: TrustState) -> Iterator[datetime]:
    if chain.manifest is not None:
        yield chain.manifest.predicate.window.not_after
        if chain.manifest.predicate.model.shutdown is not None:
            yield chain.manifest.predicate.model.shutdown
    yield from (entry.result.predicate.window.not_after for entry in chain.suites)
    yield from (entry.approval.predicate.window.not_after for entry in chain.approvals)
    signers = [*(s.signer for s in chain.suites), *(a.signer for a in chain.approvals)]
    signers.extend(signer for _, signer in chain.parents)
    if chain.producer is not None:
        signers.append(chain.producer)
    yield from (state.keys[signer].window.not_after for signer in signers)


def _refused(now: datetime, findings: tuple[Finding, ...]) -> Assessment:
    """An assessment that ended before there was an environment to go on with."""
    return Assessment(
        findings=findings,
        reason=findings[-1].reason,
        environment=None,
        chains=(),
        constituents=(),
        manifests=(),
        valid_until=now,
    )
