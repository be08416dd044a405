"""Compares what is about to be signed with what the manifest, policies and operator know.

Pure. A help for the signer, not a security boundary: a statement about an unknown name permits
nothing, silently. Every finding can be overridden.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sidecar.authority.matters import patterns_meet
from sidecar.authority.subjects import is_environment_pattern
from sidecar.core.evidence import Statement
from sidecar.core.grants import (
    ALWAYS_REQUIRED,
    EVALUATOR,
    PRODUCER,
    Grant,
    OperatorTrust,
)
from sidecar.core.kinds import kind_of
from sidecar.core.patterns import any_covers, any_matches, matches
from sidecar.core.predicates import (
    Approval,
    DeploymentBinding,
    Environment,
    EnvironmentSpec,
    Manifest,
    Predicate,
    Specification,
    Waiver,
)

_LISTED = 12
"""How many known names a message lists."""
_NEAR = 0.75
"""The least similarity (``difflib``) by which an unknown name is a misspelling of a known one."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names that a release and its policies know.

    Attributes:
        operations: Of every provider.
        sectors: Jurisdiction → sectors that its policies know.
        rules: Code of a policy rule → jurisdictions that evaluate it.
        risk_classes: Of environments.
        further: Returns the models that a call of one, or of a pattern, runs besides; both as
            ``provider/id``.
        canonical: Returns the one name by which calls and withdrawals have a model, or a pattern;
            both as ``provider/id``.
    """

    operations: frozenset[str]
    sectors: Mapping[str, frozenset[str]]
    rules: Mapping[str, frozenset[str]]
    risk_classes: frozenset[str]
    further: Callable[[str], tuple[str, ...]]
    canonical: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Signing:
    """What is about to be signed, and what it is compared with.

    Attributes:
        statement: The statement.
        author: The authority that signs it.
        now: Aware.
        manifest: What it is about, for approvals.
        operator: Grants and floors of an operator, if known.
    """

    statement: Statement[Predicate]
    author: str
    now: datetime
    manifest: Manifest | None = None
    operator: OperatorTrust | None = None


def problems(signing: Signing, known: Vocabulary) -> tuple[str, ...]:
    """Return what does not fit, one sentence each; none where everything does."""
    found = (*_by_vocabulary(signing, known), *by_operator(signing))
    return tuple(dict.fromkeys(found))


def _by_vocabulary(signing: Signing, known: Vocabulary) -> Iterator[str]:
    predicate = signing.statement.predicate
    if isinstance(predicate, Approval):
        yield from _approval(predicate, signing, known)
    elif isinstance(predicate, Environment):
        yield from _jurisdictions(predicate.jurisdictions, known)
        yield from _sector(predicate.sector, predicate.jurisdictions, known)
        yield from unknown("risk class", predicate.risk_class, known.risk_classes)
        for pattern in (*predicate.base_models, *predicate.tuning_models):
            yield from _model(pattern)
            yield from _spelled(pattern, known)
        for models in (predicate.base_models, predicate.tuning_models):
            yield from _further(models, known)
    elif isinstance(predicate, Waiver):
        yield from _waiver(predicate, known)
    elif isinstance(predicate, Specification):
        yield from _environments(predicate.environments, known)
        for pattern in predicate.models:
            yield from _model(pattern)
            yield from _spelled(pattern, known)
    elif isinstance(predicate, Manifest):
        yield from _environments(predicate.environments, known)
        yield from _manifest(predicate, signing)
        yield from _spelled_in(predicate, known)
    elif isinstance(predicate, DeploymentBinding):
        yield from _spelled(f"{predicate.provider}/{predicate.model}", known)
        yield from _called(f"{predicate.provider}/{predicate.deployment}", known)


def _approval(approval: Approval, signing: Signing, known: Vocabulary) -> Iterator[str]:
    yield from unknown("role", approval.role, _approving_roles(signing))
    yield from _operations(approval.operations, known)
    for pattern in approval.environments:
        yield from _spiffe(pattern)
    manifest = signing.manifest
    if manifest is None:
        yield from _jurisdictions(approval.jurisdictions, known)
        return
    yield from _spelled_in(manifest, known)
    if manifest.window.not_after <= signing.now:
        yield f"the manifest ended at {manifest.window.not_after:%Y-%m-%dT%H:%M:%SZ}"
    specs = manifest.environments
    yield from _apart(
        "jurisdiction", approval.jurisdictions, [name for s in specs for name in s.jurisdictions]
    )
    yield from _apart("environment", approval.environments, [s.id for s in specs])
    given = [name for name in approval.operations if not any(_operations((name,), known))]
    yield from _apart("operation", given, [name for s in specs for name in s.operations])


def _approving_roles(signing: Signing) -> frozenset[str]:
    asked = set(ALWAYS_REQUIRED)
    if signing.manifest is not None:
        asked |= set(signing.manifest.approvals.required)
    operator = signing.operator
    if operator is not None:
        asked |= set(operator.required_roles)
        asked |= {role for roles in operator.jurisdiction_roles.values() for role in roles}
        asked |= {role for floor in operator.floors for role in floor.roles}
    return frozenset(asked - {PRODUCER, EVALUATOR})


def _manifest(manifest: Manifest, signing: Signing) -> Iterator[str]:
    roles = set(ALWAYS_REQUIRED)
    if signing.operator is not None:
        if signing.operator.specified and manifest.specification is None:
            yield "it names no specification, and the operator requires one: give --specification"
        granted = signing.operator.grants.values()
        roles |= {grant.role for grants in granted for grant in grants}
    for role in manifest.approvals.required:
        near = difflib.get_close_matches(role, sorted(roles), 1, _NEAR)
        if role not in roles and (near or signing.operator is not None):
            yield from unknown("required role", role, roles)
    answered = {suite.jurisdiction for suite in manifest.envelope.suites}
    places = dict.fromkeys(n for spec in manifest.environments for n in spec.jurisdictions)
    for name in places:
        if name not in answered:
            yield f"no compliance suite for {name}: no call there could be admitted"


def _environments(specs: Sequence[EnvironmentSpec], known: Vocabulary) -> Iterator[str]:
    for spec in specs:
        yield from _spiffe(spec.id)
        yield from _jurisdictions(spec.jurisdictions, known)
        yield from _sector(spec.sector, spec.jurisdictions, known)
        yield from _operations(spec.operations, known)


def _waiver(waiver: Waiver, known: Vocabulary) -> Iterator[str]:
    yield from unknown("rule", waiver.rule, known.rules)
    yield from _jurisdictions((waiver.jurisdiction,), known)
    places = known.rules.get(waiver.rule, frozenset())
    if places and waiver.jurisdiction in known.sectors and waiver.jurisdiction not in places:
        yield f"rule {waiver.rule!r} is of {_names(places)}, not of {waiver.jurisdiction!r}"


def _jurisdictions(names: Iterable[str], known: Vocabulary) -> Iterator[str]:
    for name in names:
        yield from unknown("jurisdiction", name, known.sectors)


def _sector(name: str, jurisdictions: Iterable[str], known: Vocabulary) -> Iterator[str]:
    for place in jurisdictions:
        if place in known.sectors:
            yield from unknown(f"sector in {place}", name, known.sectors[place])


def _operations(names: Iterable[str], known: Vocabulary) -> Iterator[str]:
    for name in names:
        yield from unknown("operation", name, known.operations)


def _spiffe(pattern: str) -> Iterator[str]:
    if not is_environment_pattern(pattern):
        yield (
            f"environment {pattern!r} is no SPIFFE ID and no pattern over one; expected for "
            "example spiffe://acme.example/env/prod or spiffe://acme.example/**"
        )


def _model(pattern: str) -> Iterator[str]:
    provider, slash, name = pattern.partition("/")
    if pattern not in {"**", "*"} and not (provider and slash and name):
        yield f"model {pattern!r} is not provider/id, such as openai/{pattern.strip('/')}"


def _spelled(model: str, known: Vocabulary) -> Iterator[str]:
    """Yield a sentence if a model, or a pattern, is not written by the one name that counts."""
    name = known.canonical(model)
    if name != model:
        yield f"model {model!r} is {name!r} to calls and withdrawals, which miss any other name"


def _called(deployment: str, known: Vocabulary) -> Iterator[str]:
    """Yield a sentence if a deployment is not written by the one name that calls have."""
    name = known.canonical(deployment)
    if name != deployment:
        yield f"deployment {deployment!r} is {name!r} to calls, which miss any other name"


def _spelled_in(manifest: Manifest, known: Vocabulary) -> Iterator[str]:
    """Yield what ``_spelled`` does for every model that a manifest names beside its own."""
    for name in (f"{manifest.model.provider}/{manifest.model.base}", *(manifest.run.models or ())):
        yield from _spelled(name, known)


def _further(models: tuple[str, ...], known: Vocabulary) -> Iterator[str]:
    """Yield a problem for each model that a listed one runs, and that is not listed itself."""
    for pattern in models:
        for model in known.further(pattern):
            if not any_covers(models, model):
                yield f"a call of {pattern!r} also runs {model!r}, which must be listed as well"


def unknown(what: str, name: str, known: Iterable[str]) -> Iterator[str]:
    """Yield a sentence if no known name is ``name``, or matches it as a pattern."""
    names = sorted(known)
    if not names or any(matches(name, each) for each in names):
        return
    near = difflib.get_close_matches(name, names, 1, _NEAR)
    if near:
        yield f"{what} {name!r} is not known; did you mean {near[0]!r}?"
    else:
        more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        yield f"{what} {name!r} is not known; known: {', '.join(names[:_LISTED])}{more}"


def _apart(what: str, given: Iterable[str], wanted: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each pattern that overlaps with nothing in the manifest."""
    names = tuple(dict.fromkeys(wanted))
    for pattern in given:
        if not any(patterns_meet(pattern, each) for each in names):
            yield f"{what} {pattern!r} is outside the manifest, which has {_names(names)}"


def by_operator(signing: Signing) -> Iterator[str]:
    """Yield what does not fit an operator's grants and floors; nothing without an operator."""
    if signing.operator is None:
        return
    predicate, author = signing.statement.predicate, signing.author
    role = predicate.role if isinstance(predicate, Approval) else kind_of(predicate).role
    granted = signing.operator.of(author)
    grants = [grant for grant in granted if grant.role == role]
    if not grants:
        held = _names(grant.role for grant in granted) or "no role"
        yield f"the operator grants {author} {held}, not {role}"
        return
    for what, name in _asked(signing):
        if not any(_covers(grant, what, name) for grant in grants):
            yield f"no {role} grant of {author} covers {what} {name!r}"
    if isinstance(predicate, Environment):
        for floor in signing.operator.floors_of(signing.statement.subject.name):
            if floor.sector not in {None, predicate.sector}:
                yield (
                    f"the operator's floor for this environment demands sector {floor.sector!r}, "
                    f"not {predicate.sector!r}"
                )


def _asked(signing: Signing) -> Iterator[tuple[str, str]]:
    """Yield what a grant must cover: (kind of name, name)."""
    predicate = signing.statement.predicate
    manifest = predicate if isinstance(predicate, Manifest) else signing.manifest
    if manifest is not None:
        yield "model", f"{manifest.model.provider}/{manifest.model.id}"
    if isinstance(predicate, Approval):
        yield from (("jurisdiction", name) for name in predicate.jurisdictions)
        yield from (("environment", name) for name in predicate.environments)
    elif isinstance(predicate, Environment):
        yield from (("jurisdiction", name) for name in predicate.jurisdictions)
        yield "sector", predicate.sector
        yield "environment", signing.statement.subject.name
    elif isinstance(predicate, Waiver):
        yield "jurisdiction", predicate.jurisdiction
    elif isinstance(predicate, DeploymentBinding):
        yield "model", f"{predicate.provider}/{predicate.model}"
    elif isinstance(predicate, Manifest):
        yield from (("environment", spec.id) for spec in predicate.environments)
    elif isinstance(predicate, Specification):
        # For tuning, one grant must cover each pattern as a whole (core.specifications).
        yield from (("whole environment", spec.id) for spec in predicate.environments)


def _covers(grant: Grant, what: str, name: str) -> bool:
    if what == "model":
        return any_matches(grant.models, name)
    if what == "sector":
        return any_matches(grant.sectors, name)
    if what == "whole environment":
        return any_covers(grant.environments, name)
    patterns = grant.jurisdictions if what == "jurisdiction" else grant.environments
    return any(patterns_meet(pattern, name) for pattern in patterns)


def _names(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
