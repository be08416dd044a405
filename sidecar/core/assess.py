"""The structural predicate: is this call admissible, before any policy is asked?

The steps are numbered as in ``assessment.STEPS``; each lives in a module of its own.

0. The request is well formed and every model it can reach is named.
1. The credential is valid now and names one declared environment         (``resolve``).
2. Each model resolves to a manifest in force, or to a listed base model   (``resolve``);
   a deployment does so through the binding that is in force              (``deployments``);
   what a name can be resolved to is collected in                         (``alternatives``).
3. The manifest is a granted producer's, in window, covers the call        (``coverage``);
   what is or was tuned under a specification, a customer signed it       (``specifications``).
4. Pre-activation: the declared envelope was run, passed, countersigned    (``preactivation``);
   on a sandbox route instead: the caller is a granted evaluator            (``sandbox``).
5. Approvals: every required role, each an authority of its own            (``approvals``);
   evaluators and approvers are chosen together                            (``choice``).
6. Cascade: no objector withdrew anything in the lineage                   (``cascade``).
7. Freshness: trust metadata is unexpired and was heard since start        (``cascade``).

A failed step never stops the others that can still be taken, so that ``admit explain`` shows them
all; the first failure, in step order, is the reason.

Evidence only adds agreement. Where several declarations, bindings or manifests could hold, the
call is admissible if any combination of them is, newest first (``combinations``); so a file that is
lost can only deny (law 2). Policies may refuse one and not another: ``admissible`` yields them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from sidecar.core import cascade, combinations, resolve, sandbox, specifications, validity, waivers
from sidecar.core.alternatives import Alternative, alternatives, reached
from sidecar.core.assessment import Assessment, Chain, Finding, Inquiry, Specified, Waived
from sidecar.core.call import Call, Credential
from sidecar.core.cascade import Cascade
from sidecar.core.choice import Choice, Prepared, choices
from sidecar.core.combinations import Rules
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.lineage import AnyNode, authority_node, environment_nodes
from sidecar.core.objectors import about, objectors
from sidecar.core.predicates import Environment, Manifest
from sidecar.core.reasons import Reason
from sidecar.core.snapshot import TrustState
from sidecar.core.specifications import SignedSpecification


def assess(call: Call, credential: Credential, state: TrustState, now: datetime) -> Assessment:
    """Apply the predicate.

    Args:
        call: The request, from the bytes the upstream will use.
        credential: The verified credential.
        state: One trust state, read once.
        now: The decision's one reference time (aware).

    Returns:
        The assessment; ``reason`` is ``None`` only if every step held for every model.
    """
    first: Assessment | None = None
    for assessment in _every(call, credential, state, now):
        if assessment.admissible:
            return assessment
        first = first or assessment
    assert first is not None  # at least one combination for at least one declaration
    return first


def admissible(
    call: Call, credential: Credential, state: TrustState, now: datetime
) -> Iterator[Assessment]:
    """Yield every assessment by which the predicate admits a call; ``assess`` returns the first.

    They rest on different declarations, bindings, manifests or authorities, the newest first.
    """
    return (each for each in _every(call, credential, state, now) if each.admissible)


def _every(
    call: Call, credential: Credential, state: TrustState, now: datetime
) -> Iterator[Assessment]:
    """Yield the assessments of all combinations of evidence, the preferred ones first."""
    inquiry = Inquiry(call, credential, state, now)
    wellformed = _named(call)
    if not wellformed.holds:
        yield _refused(now, (wellformed,))
        return
    environments, found = resolve.environments(inquiry)
    if not environments:
        yield _refused(now, (wellformed, found))
    for number, environment in enumerate(environments):
        yield from _assessments(inquiry, environment, wellformed, reported=number == 0)


def _named(call: Call) -> Finding:
    """Check step 0 as far as it needs no bytes: nothing required may be empty.

    A reference that is still here was not looked up, so nobody knows which models it holds.
    """
    subject = call.operation or "request"
    if not (call.provider and call.operation and all(call.named)):
        return Finding(0, subject, Reason.MALFORMED_REQUEST, "names no operation or no model")
    if call.references:
        kinds = ", ".join(sorted({reference.kind for reference in call.references}))
        detail = f"builds on stored objects that are not registered here: {kinds}"
        return Finding(0, subject, Reason.OBJECT_UNREGISTERED, detail)
    if call.sandbox and not sandbox.only_runs(call):
        detail = "does more than run adapted models, which is all that the sandbox is for"
        return Finding(0, subject, Reason.UNSUPPORTED_OPERATION, detail)
    contradiction = _contradiction(call)
    if contradiction:
        return Finding(0, subject, Reason.MALFORMED_REQUEST, contradiction)
    if call.modelless:
        return Finding(0, subject, None, "can reach no model: only the environment is asked about")
    return Finding(0, subject, None, "names " + ", ".join(call.named))


def _contradiction(call: Call) -> str:
    """Return how a call contradicts itself; empty if it does not."""
    if call.modelless == bool(call.named):
        return "names a model where none can be" if call.modelless else "names no model"
    if not set(call.deployments) <= set(call.named):
        return "marks a name as a deployment that it does not use"
    return ""


def _assessments(
    inquiry: Inquiry, environment: Evidence[Environment], wellformed: Finding, *, reported: bool
) -> Iterator[Assessment]:
    """Assess the newest bindings and manifests together, then those that hold together.

    Of the newest declaration a refusal is ``reported``; of others only what could hold is assessed.
    """
    declared = resolve.declared(inquiry, environment)
    if not declared.holds:
        yield from (_refused(inquiry.now, (wellformed, declared)),) if reported else ()
        return
    offered = [tuple(alternatives(inquiry, environment, name)) for name in inquiry.call.named]

    def combined(
        chosen: tuple[Alternative, ...], models: frozenset[str] | None = None
    ) -> Iterator[Assessment]:
        """Assess alternatives in a call that reaches ``models``; by default, what they reach."""
        findings = (wellformed, declared, *(f for each in chosen for f in each.findings))
        prepared = [each.prepared for each in chosen if each.prepared is not None]
        within = _models(inquiry.call, prepared) if models is None else models
        return _combined(inquiry, environment, prepared, findings, within)

    def can_hold(each: Alternative) -> bool:
        return each.can_hold(sandbox=inquiry.call.sandbox)

    newest = tuple(several[0] for several in offered)
    if reported or all(map(can_hold, newest)):
        yield from combined(newest)
    if sum(len(several) > 1 for several in offered) <= 1:
        # At most one name has alternatives: try each of them.
        _, *older = product(*offered)
        tried: Iterable[tuple[Alternative, ...]] = (
            each for each in older if all(map(can_hold, each))
        )
    else:
        rules: Rules[Alternative] = Rules(
            lambda each: each.names,
            lambda models: about(inquiry.state.operator, models),
            lambda each, models: can_hold(each) and next(combined((each,), models)).admissible,
        )
        tried = combinations.selected(offered, rules)
    for chosen in tried:
        yield from combined(chosen)


def _combined(
    inquiry: Inquiry,
    environment: Evidence[Environment],
    prepared: list[Prepared],
    findings: tuple[Finding, ...],
    models: frozenset[str],
) -> Iterator[Assessment]:
    """Take steps 3 to 7 for one combination, in a call that reaches ``models``.

    Yields:
        The preferred choice of evaluators and approvers, and the others if that one is admissible:
        all of them are usable, so step 6 and 7 find the same.
    """
    signed, specified = _specification(inquiry, environment, prepared)
    effective = inquiry.effective(environment)
    cascaded = Cascade.of(
        inquiry.state,
        objectors(inquiry.state.operator, effective, models, everywhere=inquiry.call.sandbox),
        (
            inquiry.credential.authority,
            *(signer.authority for signer in inquiry.customers(environment)),
        ),
        inquiry.now,
    )
    combination = _Combination(
        inquiry,
        environment,
        cascaded,
        prepared,
        (*findings, *specified),
        cascaded.preferred(environment, resolve.declarers(inquiry, environment)),
        waivers.usable(cascaded, waivers.options(inquiry, environment, _bound(prepared))),
        None if signed is None else specifications.relied_on(signed, cascaded),
    )
    options = [choices(ready, cascaded, models) for ready in prepared]
    for chosen in combinations.in_turn(options):
        assessment = _assessed(combination, chosen)
        yield assessment
        if not assessment.admissible:
            return


@dataclass(frozen=True, slots=True)
class _Combination:
    """What all choices of evaluators and approvers for one combination have in common."""

    inquiry: Inquiry
    environment: Evidence[Environment]
    cascaded: Cascade
    prepared: list[Prepared]
    findings: tuple[Finding, ...]
    declarer: Signer
    waived: tuple[Waived, ...]
    specified: Specified | None


def _assessed(combination: _Combination, chosen: tuple[Choice, ...]) -> Assessment:
    """Take steps 4 to 7 with what was chosen for each model."""
    inquiry, specified = combination.inquiry, combination.specified
    chains = tuple(chain for chain, _ in chosen)
    findings = [*combination.findings, *(finding for _, found in chosen for finding in found)]
    cascaded = combination.cascaded.relying_on(_authorities(combination, chains))
    nodes = _check_lineage(combination, cascaded, chains, findings)
    if specified is not None:
        below = tuple(cascade.specified_nodes(specified, cascaded))
        findings.append(cascade.withdrawal_finding(cascaded, specified.specification.digest, below))
        nodes += below
    findings.append(cascade.freshness_finding(cascaded))
    ordered = tuple(sorted(findings, key=lambda finding: finding.step))
    endings = validity.endings(
        inquiry, combination.environment, cascaded, chains, nodes, combination.waived, specified
    )
    effective = inquiry.effective(combination.environment)
    return Assessment(
        findings=ordered,
        reason=next((finding.reason for finding in ordered if not finding.holds), None),
        environment=combination.environment,
        chains=chains,
        constituents=cascaded.constituents,
        manifests=_manifests(chains),
        valid_until=validity.until(inquiry.now, endings),
        waivers=combination.waived,
        specification=specified,
        objectors=cascaded.objectors.names,
        must_be_fresh=cascaded.objectors.must_be_fresh,
        jurisdictions=effective.jurisdictions,
        floor_roles=tuple(sorted(effective.roles)),
        endings=endings,
    )


def _specification(
    inquiry: Inquiry, environment: Evidence[Environment], prepared: list[Prepared]
) -> tuple[SignedSpecification | None, tuple[Finding, ...]]:
    """Step 3 for a tuning job: the specification it came with."""
    tuned = inquiry.call.tuned
    if not tuned:
        return None, ()
    names = tuple(ready.question.name for ready in prepared if ready.question.model in tuned)
    signed, finding = specifications.for_tuning(inquiry, environment, names)
    return signed, (finding,)


def _models(call: Call, prepared: list[Prepared]) -> frozenset[str]:
    """Return ``provider/id`` of every model of the call, and of their parents and base models."""
    resolved = {ready.question.model for ready in prepared}
    unresolved = frozenset(f"{call.provider}/{name}" for name in call.named if name not in resolved)
    return unresolved.union(*map(reached, prepared))


def _authorities(combination: _Combination, chains: tuple[Chain, ...]) -> Iterator[str]:
    """Yield the authority of everything that was chosen: the constituents."""
    yield combination.inquiry.credential.authority
    yield combination.declarer.authority
    for ready in combination.prepared:
        yield from ready.resolved.grantees
    relied: list[Specified] = [combination.specified] if combination.specified is not None else []
    for chain in chains:
        relied.extend(chain.specifications)
        signers = [signer for _, signer in chain.parents]
        signers.extend(suite.signer for suite in chain.suites)
        signers.extend(role.signer for role in chain.approvals)
        if chain.deployed is not None:
            signers.append(chain.deployed.signer)
        if chain.producer is not None:
            signers.append(chain.producer)
        yield from (signer.authority for signer in signers)
    for under in relied:
        yield under.signer.authority
        yield from (signer.authority for _, signer in under.extended)
    yield from (entry.signer.authority for entry in combination.waived)


def _check_lineage(
    combination: _Combination, cascaded: Cascade, chains: tuple[Chain, ...], findings: list[Finding]
) -> tuple[AnyNode, ...]:
    """Step 6 for the environment and for each model; returns every node that was checked."""
    inquiry, environment = combination.inquiry, combination.environment
    vouching = authority_node(inquiry.credential.authority)
    nodes = tuple(dict.fromkeys((*environment_nodes(environment, combination.declarer), vouching)))
    findings.append(cascade.withdrawal_finding(cascaded, environment.statement.subject.name, nodes))
    for ready, chain in zip(combination.prepared, chains, strict=True):
        below = cascade.lineage(chain, cascaded, inquiry.call.provider, ready.question.scope)
        answering = cascade.answering(cascaded, ready.resolved.grantees)
        below = tuple(dict.fromkeys((*below, *answering)))
        findings.append(cascade.withdrawal_finding(cascaded, chain.model, below))
        nodes += below
    return nodes


def _manifests(chains: tuple[Chain, ...]) -> tuple[str, ...]:
    found = {chain.manifest.digest for chain in chains if chain.manifest is not None}
    found |= {parent.digest for chain in chains for parent, _ in chain.parents}
    return tuple(sorted(found))


def _bound(prepared: list[Prepared]) -> Iterable[Evidence[Manifest]]:
    """Return the manifests, each once: two names of a call may be those of one model."""
    found = (ready.resolved.manifest for ready in prepared)
    return {item.digest: item for item in found if item is not None}.values()


def _refused(now: datetime, findings: tuple[Finding, ...]) -> Assessment:
    """Return an assessment that ended before there was an environment to go on with."""
    return Assessment(
        findings=findings,
        reason=findings[-1].reason,
        environment=None,
        chains=(),
        constituents=(),
        manifests=(),
        valid_until=now,
    )
