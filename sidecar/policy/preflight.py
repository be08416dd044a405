"""Lists what an adaptation will be asked for, before its manifest is signed.

Theory of operation. A draft (an environment, an envelope, what the manifest will declare) is
completed as if every suite passed and every required role approved, and OPA is asked for its
decision about these facts. What it denies is missing from the draft; the roles and suites that
structure asks for are listed beside it. Nothing here is evidence, and a gate never reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sidecar.core.facts import (
    AdaptationFacts,
    ApprovalFacts,
    CorpusFacts,
    CredentialFacts,
    DocumentFacts,
    EnvironmentFacts,
    EvaluationFacts,
    Facts,
    RequestFacts,
    ResultFacts,
    SuiteFacts,
    WindowFacts,
)
from sidecar.core.grants import ALWAYS_REQUIRED, CUSTOMER, EVALUATOR, REGULATOR, OperatorTrust
from sidecar.core.patterns import any_matches
from sidecar.core.predicates import Corpus, EvaluationEnvelope, EvaluationOutput
from sidecar.core.window import rfc3339
from sidecar.policy.rules import Catalogue

MODEL = "draft"
"""The name of the model in the facts: it has none yet."""
_NAME = re.compile(r"\b[a-z][a-z0-9]*(?:-[a-z0-9]+)+\b")
"""A declaration or document as a rule's remedy names it: words with hyphens."""
_QUOTED = re.compile(r"`([a-z][a-z0-9]*(?:-[a-z0-9]+)+)`")
"""The same in its description."""


class State(StrEnum):
    """Whether something that will be asked for is there."""

    MISSING = "missing"
    """Nothing could be admitted with this draft."""

    LATER = "later"
    """It is signed after the manifest, and can only be signed then."""

    WARNING = "warning"
    """A rule that does not deny yet, or never does."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known before a manifest is signed.

    Attributes:
        environment: SPIFFE ID.
        jurisdictions: As declared.
        sector: As declared.
        purpose: As declared.
        risk_class: As declared.
        owner: As declared.
        environment_declarations: As declared.
        provider: As the gate's routes name it.
        operation: A call that will be made.
        base: The base model.
        method: Of the run, as the provider names it.
        hyperparameters: Of the run.
        corpora: Files of the run.
        outputs: Metrics of the run.
        envelope: Declared suites.
        documents: Kinds of documents that will be bound.
        declarations: Of the manifest.
        approval_declarations: Role → what its approval will declare.
        roles: Roles that the manifest will require in addition.
        days: Days that the manifest will be valid.
    """

    environment: str
    jurisdictions: tuple[str, ...]
    sector: str
    purpose: str
    risk_class: str
    owner: str
    environment_declarations: Mapping[str, str]
    provider: str
    operation: str
    base: str
    method: str
    hyperparameters: Mapping[str, Any]
    corpora: tuple[Corpus, ...]
    outputs: tuple[EvaluationOutput, ...]
    envelope: EvaluationEnvelope
    documents: tuple[str, ...] = ()
    declarations: Mapping[str, str] = field(default_factory=dict)
    approval_declarations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    days: float = 180


@dataclass(frozen=True, slots=True)
class Item:
    """Something that will be asked for.

    Attributes:
        state: Whether it is there.
        what: In a few words, or a rule's code.
        jurisdiction: Where it is asked for; empty for everywhere.
        by: Who supplies it: authorities that the operator grants it, else the role.
        detail: Why, or the rule's message.
        remedy: What to do.
        command: The command that supplies it; empty where there is none.
    """

    state: State
    what: str
    jurisdiction: str
    by: str
    detail: str
    remedy: str
    command: str


def jurisdictions(draft: Draft, operator: OperatorTrust | None) -> tuple[str, ...]:
    """Return the declared jurisdictions and those of the operator's floors (law 5)."""
    floors = () if operator is None else operator.floors_of(draft.environment)
    added = (name for floor in floors for name in floor.jurisdictions)
    return tuple(dict.fromkeys((*draft.jurisdictions, *added)))


def required_roles(draft: Draft, operator: OperatorTrust | None) -> tuple[str, ...]:
    """Return every role that must approve, sorted: a union that only grows."""
    found = {*ALWAYS_REQUIRED, *draft.roles}
    if operator is not None:
        found |= set(operator.required_roles)
        for place in jurisdictions(draft, operator):
            found |= set(operator.jurisdiction_roles.get(place, ()))
        for floor in operator.floors_of(draft.environment):
            found |= set(floor.roles)
    return tuple(sorted(found))


def facts(draft: Draft, operator: OperatorTrust | None, now: datetime) -> Facts:
    """Return the facts of a call, as they would be with everything that is signed later."""
    places = jurisdictions(draft, operator)
    ends = rfc3339(now + timedelta(days=90))
    environment = EnvironmentFacts(
        id=draft.environment,
        trust_domain=draft.environment.removeprefix("spiffe://").partition("/")[0],
        jurisdictions=places,
        sector=draft.sector,
        purpose=draft.purpose,
        risk_class=draft.risk_class,
        owner=draft.owner,
        declarations=dict(draft.environment_declarations),
        credential=CredentialFacts("jwt-svid", rfc3339(now + timedelta(hours=1))),
    )
    request = RequestFacts(
        provider=draft.provider,
        operation=draft.operation,
        models=(MODEL,),
        run=(MODEL,),
        tuned=(),
        specification=None,
        modelless=False,
        sandbox=False,
        stream=False,
        modalities=(),
        tool_types=(),
    )
    adaptation = _adaptation(draft, operator, now, ends)
    return Facts(request, environment, (adaptation,), (), (), rfc3339(now), "")


def _adaptation(
    draft: Draft, operator: OperatorTrust | None, now: datetime, ends: str
) -> AdaptationFacts:
    places = jurisdictions(draft, operator)
    passed = ResultFacts(performed=rfc3339(now), score=1.0, evaluator=EVALUATOR)
    return AdaptationFacts(
        model=MODEL,
        base=draft.base,
        parent=None,
        manifest="0" * 64,
        specification=None,
        producer="producer",
        method=draft.method,
        corpora=tuple(
            CorpusFacts(
                c.role, c.name, c.digest.sha256, c.bytes, c.records, c.classes, c.irregular or 0
            )
            for c in draft.corpora
        ),
        hyperparameters=dict(draft.hyperparameters),
        evaluations=tuple(
            EvaluationFacts(e.name, e.digest.sha256, e.metrics) for e in draft.outputs
        ),
        suites=tuple(
            SuiteFacts(s.kind, s.jurisdiction, s.name, s.threshold, (passed,))
            for s in draft.envelope.suites
        ),
        approvals=tuple(
            ApprovalFacts(
                role=role,
                authority=role,
                of_record=False,
                jurisdictions=places,
                conditions=(),
                declarations=dict(draft.approval_declarations.get(role, {})),
                not_after=ends,
            )
            for role in required_roles(draft, operator)
        ),
        documents=tuple(DocumentFacts(kind, kind, "0" * 64) for kind in draft.documents),
        declarations=dict(draft.declarations),
        window=WindowFacts(rfc3339(now), rfc3339(now + timedelta(days=draft.days))),
    )


def structural(draft: Draft, operator: OperatorTrust | None) -> Iterator[Item]:
    """Yield what steps 1, 4 and 5 of the predicate will ask for."""
    floors = () if operator is None else operator.floors_of(draft.environment)
    for floor in floors:
        if floor.sector not in {None, draft.sector}:
            yield Item(
                State.MISSING,
                "sector",
                "",
                CUSTOMER,
                f"the operator's floor demands {floor.sector!r}, not {draft.sector!r}",
                "Declare the sector of the floor.",
                f"admit declare environment {draft.environment} --sector {floor.sector} …",
            )
    answered = {suite.jurisdiction for suite in draft.envelope.suites}
    places = jurisdictions(draft, operator)
    for place in places:
        if place not in answered:
            yield Item(
                State.MISSING,
                "compliance suite",
                place,
                "producer",
                f"the envelope has no compliance suite for {place}",
                f"Declare a suite of kind compliance with jurisdiction {place} in the envelope.",
                "",
            )
    for suite in draft.envelope.suites:
        asked = () if suite.jurisdiction is None else (suite.jurisdiction,)
        yield _later(
            draft,
            operator,
            EVALUATOR,
            asked,
            f"result of {suite.name}",
            "admit result MANIFEST --results FILE",
        )
    for role in required_roles(draft, operator):
        for group in [(p,) for p in places] if role == REGULATOR else [places]:
            options = " ".join(f"--jurisdiction {place}" for place in group)
            yield _later(
                draft,
                operator,
                role,
                group,
                f"approval as {role}",
                f"admit approve MANIFEST --role {role} {options} "
                f"--environment {draft.environment} --operation {draft.operation}",
            )


def _later(
    draft: Draft,
    operator: OperatorTrust | None,
    role: str,
    places: tuple[str, ...],
    what: str,
    command: str,
) -> Item:
    """Return an item that is signed later, or is missing for want of a grant of its role."""
    where = ", ".join(places)
    if operator is None:
        return Item(State.LATER, what, where, role, "", "", command)
    names = sorted(
        name
        for name, grants in operator.grants.items()
        if any(
            grant.role == role
            and any_matches(grant.environments, draft.environment)
            and any_matches(grant.sectors, draft.sector)
            and (not places or any(any_matches(grant.jurisdictions, p) for p in places))
            for grant in grants
        )
    )
    if names:
        return Item(State.LATER, what, where, " or ".join(names), "", "", command)
    detail = f"the operator grants nobody the role {role} for this environment"
    return Item(State.MISSING, what, where, role, detail, "Ask the operator for a grant.", "")


def by_policies(answer: Mapping[str, Any], catalogue: Catalogue, draft: Draft) -> Iterator[Item]:
    """Yield what the policies denied, and what they warn of, of a decision about ``facts``."""
    described = {rule.code: rule.description for rule in catalogue.rules}
    for state, key in ((State.MISSING, "violations"), (State.WARNING, "warnings")):
        for entry in answer.get(key, ()):
            text = described.get(entry["code"], "")
            by, command = _supply(entry["term"], text, entry["remedy"], draft)
            yield Item(
                state,
                entry["code"],
                entry["jurisdiction"],
                by,
                entry["message"],
                entry["remedy"],
                command,
            )


def _supply(term: str, description: str, remedy: str, draft: Draft) -> tuple[str, str]:
    """Return the role that supplies a term of the facts, and its command."""
    text = remedy.partition(", declare")[0] if term.endswith("documents") else remedy
    names = dict.fromkeys(_NAME.findall(text) or _QUOTED.findall(description)) or {"NAME": None}
    declaring = " ".join(f"--declaration {name}=TEXT" for name in names)
    place, _, part = term.partition(".")
    if place == "environment":
        option = f"--{part.replace('_', '-').removesuffix('s')} TEXT"
        option = declaring if part == "declarations" else option
        return CUSTOMER, f"admit declare environment {draft.environment} {option} …"
    part = part.partition("[")[0]
    if part == "approvals":
        roles = required_roles(draft, None)
        role = next((r for r in roles if f"{r}'s approval" in description), CUSTOMER)
        return role, f"admit approve MANIFEST --role {role} {declaring} …"
    options = {
        "declarations": declaring,
        "documents": " ".join(f"--document {name}=FILE" for name in names),
        "corpora": "--training FILE --validation FILE --data-class CLASS",
        "evaluations": "--result-file FILE",
    }
    return "producer", f"admit bind JOB {options[part]} …" if part in options else ""
