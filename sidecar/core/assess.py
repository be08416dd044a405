"""The structural predicate: is this call admissible, before any policy is asked?

The steps are numbered as in ``assessment.STEPS``; each lives in a module of its own.

0. The request is well formed and every model it can reach is named.
1. The credential is valid now and names one declared environment         (``resolve``).
2. Each model resolves to one unsuperseded manifest, or a listed base      (``resolve``);
   a deployment does so through the binding that is in force              (``deployments``).
3. The manifest is a granted producer's, in window, covers the call        (``coverage``);
   what is or was tuned under a specification, a customer vouches for     (``specifications``).
4. Pre-activation: the declared envelope was run, passed, countersigned    (``preactivation``).
5. Approvals: every required role, each an authority of its own            (``approvals``).
6. Cascade: no constituent withdrew anything in the lineage                (``cascade``).
7. Freshness: every constituent's trust metadata is unexpired              (``cascade``).

A failed step never stops the others that can still be taken, so that ``admit explain`` shows them
all; the first failure, in step order, is the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sidecar.core import (
    approvals,
    cascade,
    coverage,
    deployments,
    preactivation,
    resolve,
    specifications,
    validity,
    waivers,
)
from sidecar.core.approvals import Option, Requirement
from sidecar.core.assessment import (
    Assessment,
    Chain,
    Finding,
    Inquiry,
    Question,
)
from sidecar.core.call import Call, Credential
from sidecar.core.cascade import Cascade
from sidecar.core.deployments import Bound
from sidecar.core.evidence import Environment, Evidence, Manifest, Signer, Suite
from sidecar.core.memory import LineageNode
from sidecar.core.preactivation import Candidate
from sidecar.core.reasons import Reason
from sidecar.core.resolve import Resolved
from sidecar.core.specifications import Pledge
from sidecar.core.trust_state import TrustState


@dataclass(frozen=True, slots=True)
class _Prepared:
    """One model after step 3, with every signature that may count, before anyone is chosen."""

    question: Question
    resolved: Resolved
    producers: tuple[Signer, ...]
    results: dict[Suite, tuple[Candidate, ...]]
    options: dict[Requirement, tuple[Option, ...] | Reason]
    binding: Bound | None
    pledges: tuple[Pledge, ...] = ()

    def signers(self) -> Iterator[str]:
        """Authorities whose signatures this model's admission may rely on."""
        yield from self.resolved.grantees
        if self.binding is not None:
            yield from (signer.authority for signer in self.binding.grants)
        for pledge in self.pledges:
            yield from (signer.authority for signer in pledge.signers)
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
        for model in call.named
        if (ready := _prepare(inquiry, environment, model, findings)) is not None
    ]
    pledge = _pledged(inquiry, environment, prepared, findings)
    declarers = resolve.declarers(inquiry, environment)
    excused = waivers.candidates(inquiry, environment, _bound(prepared))
    cascaded = Cascade.of(
        state,
        {credential.authority}
        | {signer.authority for signer in declarers}
        | {name for ready in prepared for name in ready.signers()}
        | {signer.authority for signer in (pledge.signers if pledge else ())}
        | {signer.authority for candidate in excused for signer in candidate.signers},
        now,
    )
    chains = tuple(_choose(ready, cascaded, findings) for ready in prepared)
    waived = waivers.standing_ones(cascaded, excused)
    specified = None if pledge is None else specifications.relied_on(pledge, cascaded)
    nodes = _check_lineage(inquiry, environment, declarers, cascaded, chains, findings)
    if specified is not None:
        below = cascade.specification_nodes(specified)
        findings.append(cascade.intact(cascaded, specified.specification.digest, below))
        nodes += below
    findings.append(cascade.fresh(cascaded))
    ordered = tuple(sorted(findings, key=lambda finding: finding.step))
    return Assessment(
        findings=ordered,
        reason=next((finding.reason for finding in ordered if not finding.holds), None),
        environment=environment,
        chains=chains,
        constituents=cascaded.constituents,
        manifests=_manifests(chains),
        valid_until=validity.until(
            inquiry, environment, cascaded, chains, nodes, waived, specified
        ),
        waivers=waived,
        specification=specified,
    )


def _named(call: Call) -> Finding:
    """Step 0, as far as it can be told without the bytes: nothing required may be empty.

    A reference that is still here was not looked up, so nobody knows which models it holds.
    """
    subject = call.operation or "request"
    if not (call.provider and call.operation and all(call.named)):
        return Finding(0, subject, Reason.MALFORMED_REQUEST, "names no operation or no model")
    if call.references:
        kinds = ", ".join(sorted({reference.kind for reference in call.references}))
        detail = f"builds on stored objects that are not registered here: {kinds}"
        return Finding(0, subject, Reason.OBJECT_UNREGISTERED, detail)
    if call.modelless == bool(call.named):
        detail = "names a model where none can be" if call.modelless else "names no model"
        return Finding(0, subject, Reason.MALFORMED_REQUEST, detail)
    if not set(call.deployments) <= set(call.named):
        detail = "says of a name that it does not use that it is a deployment's"
        return Finding(0, subject, Reason.MALFORMED_REQUEST, detail)
    if call.modelless:
        return Finding(0, subject, None, "can reach no model: only the environment is asked about")
    return Finding(0, subject, None, "names " + ", ".join(call.named))


def _prepare(
    inquiry: Inquiry, environment: Evidence[Environment], model: str, findings: list[Finding]
) -> _Prepared | None:
    """Steps 2 and 3 for one model, and everything that could count for steps 4 and 5."""
    binding: Bound | None = None
    if model in inquiry.call.deployments:
        binding, told = deployments.bound(inquiry, environment, model)
        findings.append(told)
        if binding is None:
            return None
    question = Question(inquiry, environment, model, binding.model if binding else None)
    resolved, found = resolve.manifest(question)
    if resolved is not None and binding is not None:
        found = deployments.disagreement(question, binding, resolved) or found
    findings.append(found)
    if resolved is None:
        return None
    if resolved.manifest is None:
        return _Prepared(question, resolved, (), {}, {}, binding)
    producers, covered = coverage.covered(question, resolved.manifest)
    findings.append(covered)
    above = (parent for parent, _ in resolved.parents)
    pledges, pledged = specifications.for_manifests(question, (resolved.manifest, *above))
    if pledged is not None:
        findings.append(pledged)
    return _Prepared(
        question,
        resolved,
        producers,
        preactivation.candidates(question, resolved.manifest, producers),
        approvals.candidates(question, resolved.manifest),
        binding,
        pledges,
    )


def _pledged(
    inquiry: Inquiry,
    environment: Evidence[Environment],
    prepared: list[_Prepared],
    findings: list[Finding],
) -> Pledge | None:
    """Step 3 for a tuning job: the specification it came with."""
    tuned = inquiry.call.tuned
    if not tuned:
        return None
    names = tuple(ready.question.name for ready in prepared if ready.question.model in tuned)
    pledge, told = specifications.for_tuning(inquiry, environment, names)
    findings.append(told)
    return pledge


def _choose(ready: _Prepared, cascaded: Cascade, findings: list[Finding]) -> Chain:
    """Steps 4 and 5: choose who is relied on, untainted evidence first."""
    question, resolved = ready.question, ready.resolved
    deployed = None if ready.binding is None else deployments.relied_on(ready.binding, cascaded)
    if resolved.manifest is None:
        return Chain(question.model, resolved.base, None, None, (), (), (), deployed)
    suites, passed = preactivation.passed(
        question, resolved.manifest, ready.results, cascaded.tainted
    )
    producer = cascaded.preferred(resolved.manifest, ready.producers) if ready.producers else None
    taken = frozenset(ready.producers) | {entry.signer for entry in suites}
    roles, approved = approvals.approved(question, ready.options, taken, cascaded.tainted)
    findings.extend((passed, approved))
    parents = tuple(
        (parent, cascaded.preferred(parent, signers)) for parent, signers in resolved.parents
    )
    return Chain(
        question.model,
        resolved.base,
        resolved.manifest,
        producer,
        parents,
        suites,
        roles,
        deployed,
        tuple(specifications.relied_on(pledge, cascaded) for pledge in ready.pledges),
    )


def _check_lineage(
    inquiry: Inquiry,
    environment: Evidence[Environment],
    declarers: tuple[Signer, ...],
    cascaded: Cascade,
    chains: tuple[Chain, ...],
    findings: list[Finding],
) -> tuple[LineageNode, ...]:
    """Step 6 for the environment and for each model; returns every node that was checked."""
    declarer = cascaded.preferred(environment, declarers)
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


def _bound(prepared: list[_Prepared]) -> Iterable[Evidence[Manifest]]:
    """The manifests, each once: two names of a call may be those of one model."""
    found = (ready.resolved.manifest for ready in prepared)
    return {item.digest: item for item in found if item is not None}.values()


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
