"""Manifests to export: as a provider's job gives them, with everything, and with hostile names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sidecar.core.evidence import Statement
from sidecar.core.predicates import (
    MANIFEST,
    Grader,
    Manifest,
    ModelClaim,
    Result,
    Subject,
    SuiteAnnotations,
    SuiteResult,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from sidecar.exports.source import ManifestSource
from tests.unit.binding.jobs import CORPORA, RUN, expected
from tests.unit.binding.samples import BASE, MODEL

AT = datetime(2026, 1, 3, 12, tzinfo=UTC)
DIGEST, ARTIFACT = "1a" * 32, "2b" * 32
HOSTILE = 'a|b`c\n# x <script>alert("1")</script> [y](z) {{t}} ---'


def source(manifest: Manifest | None = None, **changes: object) -> ManifestSource:
    predicate = manifest or expected()
    subject = Subject(predicate.model.id, DigestSet(ARTIFACT))
    made = ManifestSource(DIGEST, Statement(subject, MANIFEST, predicate), AT)
    return replace(made, **changes)  # type: ignore[arg-type]


def result() -> Result:
    suite = SuiteResult(
        "jailbreaks",
        DigestSet("5f" * 32),
        SuiteAnnotations("adversarial", 0.95, 0.975, samples=200, low=0.94, high=0.99),
    )
    return Result("PASSED", (suite,), Window(AT, AT + timedelta(days=90)))


def whole() -> ManifestSource:
    """A manifest with every optional part, as a distillation and reinforcement would have it."""
    run = replace(
        RUN,
        graders=(Grader("reward", DigestSet("7f" * 32)),),
        models=("openai/gpt-4.1-2025-04-14",),
        hyperparameters={**RUN.hyperparameters, "learning_rate": 1e-05},
    )
    classes = replace(CORPORA[0], classes=("personal-data", "export-controlled"))
    manifest = expected(
        model=ModelClaim("openai", MODEL, BASE, DigestSet("3c" * 32), AT + timedelta(days=300)),
        run=run,
        corpora=(classes, CORPORA[1]),
        supersedes=DigestSet("4d" * 32),
        specification=DigestSet("5e" * 32),
        declarations={"gpai-modification": "minor"},
    )
    return source(manifest, signer="sha256:" + "6f" * 32, results=(result(),))


def hostile() -> ManifestSource:
    """A manifest whose names are markup in every format."""
    manifest = expected(
        model=ModelClaim("openai", HOSTILE, HOSTILE),
        corpora=(replace(CORPORA[0], name=HOSTILE, classes=(HOSTILE,)),),
        run=replace(RUN, id=HOSTILE, method=HOSTILE, hyperparameters={HOSTILE: HOSTILE}),
        declarations={HOSTILE: HOSTILE},
    )
    return source(manifest)


SOURCES = {"plain": source(), "whole": whole(), "hostile": hostile()}
