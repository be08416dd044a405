"""Resolves a deployment to the model that signed evidence binds it to (step 2).

A deployment can be pointed at another model under the same name, by anyone who manages the account.
Only the provider knows what it runs, so only a provider's binding (or that of a provider of record)
counts, and only for the models it is granted. It binds one manifest, or one base model, for one
window; a provider's newest binding replaces its older ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sidecar.core.assessment import Deployed, Finding, Inquiry, Question
from sidecar.core.cascade import Cascade
from sidecar.core.eligibility import newest_of_each_author, next_beginning
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import PROVIDER, Grant, Scope
from sidecar.core.patterns import any_matches
from sidecar.core.predicates import DeploymentBinding, Environment, base_model_digest
from sidecar.core.reasons import Reason
from sidecar.core.resolve import Resolved
from sidecar.core.window import rfc3339


@dataclass(frozen=True, slots=True)
class BindingInForce:
    """A binding in force, with every signer that counts for it.

    ``coming`` is when the next binding of the same deployment comes into force.
    """

    item: Evidence[DeploymentBinding]
    grants: dict[Signer, Grant]
    coming: datetime | None

    @property
    def model(self) -> str:
        """The id of the model that the deployment runs."""
        return self.item.predicate.model


def bindings(
    inquiry: Inquiry, environment: Evidence[Environment], name: str
) -> tuple[tuple[BindingInForce, Finding], ...] | Finding:
    """Return each provider's binding of a deployment that is in force, newest first, or step 2.

    One that is withdrawn stays in force, for step 6 to refuse: otherwise withdrawing the newest
    binding would bring an older one back.
    """
    state, now = inquiry.state, inquiry.now
    known = state.bindings.get((inquiry.call.provider, name), ())
    granted = {item.digest: _grants(inquiry, environment, item) for item in known}
    counting = {
        digest: {s: grant for s, grant in grants.items() if state.keys[s].agrees(now)}
        for digest, grants in granted.items()
    }
    current = newest_of_each_author(counting, known, now)
    if not current:
        detail = "no provider's binding of this deployment holds now"
        return Finding(2, name, Reason.DEPLOYMENT_UNBOUND, detail)
    coming = next_beginning(state, ((item, tuple(granted[item.digest])) for item in known), now)
    return tuple(
        (
            BindingInForce(item, counting[item.digest], coming),
            _bound_by(name, item, counting[item.digest]),
        )
        for item in current
    )


def _bound_by(
    name: str, item: Evidence[DeploymentBinding], signers: dict[Signer, Grant]
) -> Finding:
    until = rfc3339(item.predicate.window.not_after)
    detail = f"bound to {item.predicate.model} by {min(signers).authority} until {until}"
    return Finding(2, name, None, detail)


def agreeing(
    question: Question, binding: BindingInForce, found: tuple[tuple[Resolved | None, Finding], ...]
) -> tuple[tuple[Resolved | None, Finding], ...]:
    """Return what the model resolved to that is what was bound; if nothing is, step 2 refuses."""
    checked = [
        (
            resolved,
            None if resolved is None else _disagreement(question, binding, resolved),
            finding,
        )
        for resolved, finding in found
    ]
    same = tuple((resolved, finding) for resolved, wrong, finding in checked if wrong is None)
    return same or tuple((resolved, wrong or finding) for resolved, wrong, finding in checked)


def _disagreement(
    question: Question, binding: BindingInForce, resolved: Resolved
) -> Finding | None:
    """Return what is wrong if the model resolved to something else than what was bound."""
    if resolved.manifest is not None:
        meant, kind = resolved.manifest.digest, "manifest"
    else:
        meant, kind = base_model_digest(question.inquiry.call.provider, question.target), "base"
    if binding.item.statement.subject.digest.sha256 == meant:
        return None
    detail = (
        f"bound to something else than the manifest of {question.target} that is in force"
        if kind == "manifest"
        else f"bound to a manifest of {question.target}, which is a base model"
    )
    return Finding(2, question.model, Reason.DEPLOYMENT_UNBOUND, detail)


def relied_on(binding: BindingInForce, cascaded: Cascade) -> tuple[Deployed, ...]:
    """Return the binding with a signer of each provider to rely on; usable ones, if there are."""
    return tuple(
        _relied_on(binding, signer, cascaded)
        for signer in cascaded.preferred_of_each(binding.item, binding.grants)
    )


def _relied_on(binding: BindingInForce, signer: Signer, cascaded: Cascade) -> Deployed:
    item = binding.item
    ends = [item.predicate.window.not_after, cascaded.state.keys[signer].window.not_after]
    if binding.coming is not None:
        ends.append(binding.coming)
    return Deployed(item, signer, binding.grants[signer].of_record, min(ends))


def _grants(
    inquiry: Inquiry, environment: Evidence[Environment], item: Evidence[DeploymentBinding]
) -> dict[Signer, Grant]:
    """Return each signer's grant to bind this model for this environment, if it has one.

    A provider binds an adapted model that its grant covers, and a base model that it answers for.
    """
    predicate = item.predicate
    effective = inquiry.effective(environment)
    name = f"{predicate.provider}/{predicate.model}"
    scope = Scope(effective.environment, effective.sector)
    digest = item.statement.subject.digest.sha256
    is_base = digest == base_model_digest(predicate.provider, predicate.model)
    found: dict[Signer, Grant] = {}
    for signer in item.signers:
        for grant in inquiry.state.operator.of(signer.authority):
            models = grant.base_models if is_base else grant.models
            if grant.covers(PROVIDER, scope, effective.jurisdictions) and any_matches(models, name):
                found.setdefault(signer, grant)
    return found
