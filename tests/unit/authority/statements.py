"""Statements that several tests of signing and withdrawing make."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sidecar.core.evidence import Statement
from sidecar.core.predicates import (
    APPROVAL,
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    RESULT,
    Approval,
    DeploymentBinding,
    Environment,
    Predicate,
    Result,
    Subject,
    SuiteAnnotations,
    SuiteResult,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from tests.unit.authority.reader import NOW

MANIFEST_DIGEST = "ab" * 32
SUITES = ("11" * 32, "22" * 32)
SPIFFE_ID = "spiffe://acme.example/env/prod"
MODEL = Subject("ft:m:acme::1", DigestSet(MANIFEST_DIGEST))


def window(days: float = 90, begin: datetime = NOW) -> Window:
    return Window(begin, begin + timedelta(days=days))


def approval(
    *,
    jurisdictions: tuple[str, ...] = ("eu",),
    environments: tuple[str, ...] = ("spiffe://acme.example/**",),
    operations: tuple[str, ...] = ("chat.completions",),
    role: str = "regulator",
    holds: Window | None = None,
    conditions: tuple[str, ...] = (),
    declarations: dict[str, str] | None = None,
) -> Statement[Predicate]:
    predicate = Approval(
        role,
        jurisdictions,
        environments,
        operations,
        holds or window(),
        conditions,
        declarations or {},
    )
    return Statement(MODEL, APPROVAL, predicate)


def result(
    *scores: float, holds: Window | None = None, suites: tuple[str, ...] = SUITES
) -> Statement[Predicate]:
    rows = tuple(
        SuiteResult(f"suite-{suite[:2]}", DigestSet(suite), SuiteAnnotations("regression", 0.9, at))
        for suite, at in zip(suites, scores or (1.0, 1.0), strict=True)
    )
    passed = all(row.annotations.score >= 0.9 for row in rows)
    return Statement(
        MODEL, RESULT, Result("PASSED" if passed else "FAILED", rows, holds or window())
    )


def environment(
    *,
    jurisdictions: tuple[str, ...] = ("eu",),
    base_models: tuple[str, ...] = ("openai/gpt-4o-*",),
    sector: str = "finance",
    holds: Window | None = None,
) -> Statement[Predicate]:
    subject = Subject(SPIFFE_ID, DigestSet(hashlib.sha256(SPIFFE_ID.encode()).hexdigest()))
    predicate = Environment(
        jurisdictions, sector, "support", "limited", "acme", holds or window(), base_models
    )
    return Statement(subject, ENVIRONMENT, predicate)


def binding(model: str = "gpt-4o", *, holds: Window | None = None) -> Statement[Predicate]:
    digest = DigestSet(hashlib.sha256(model.encode()).hexdigest())
    predicate = DeploymentBinding("azure", "prod", model, holds or window())
    return Statement(Subject("prod", digest), DEPLOYMENT_BINDING, predicate)
