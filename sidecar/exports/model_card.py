"""Writes a manifest as a model card: Markdown with the front matter that Hugging Face reads."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from sidecar.core.predicates import Result, SuiteResult
from sidecar.core.window import rfc3339
from sidecar.exports.source import ManifestSource, plain_text, suite_label

_MARKED = re.compile(r"([\\`*_{}\[\]#|~!])")
_ADAPTER_METHODS = frozenset({"lora", "qlora"})
_NO_LINE = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")


def document(source: ManifestSource) -> bytes:
    """Return the card, in UTF-8."""
    front = yaml.safe_dump(front_matter(source), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n\n{_body(source)}".encode()


def front_matter(source: ManifestSource) -> dict[str, Any]:
    """Return the metadata; a licence is left out, since no manifest has one."""
    manifest = source.manifest
    found: dict[str, Any] = {
        "base_model": manifest.model.base,
        "base_model_relation": "adapter" if manifest.run.method in _ADAPTER_METHODS else "finetune",
        "datasets": [corpus.name for corpus in manifest.corpora],
        "tags": ["admissibility-manifest", f"method:{manifest.run.method}"],
    }
    results = _results(source)
    if results:
        found["model-index"] = [{"name": manifest.model.id, "results": results}]
    return found


def _results(source: ManifestSource) -> list[dict[str, Any]]:
    return [
        {
            "task": {"type": "text-generation"},
            "dataset": {
                "type": suite.annotations.kind,
                "name": suite_label(suite),
                "revision": suite.digest.sha256,
            },
            "metrics": [
                {
                    "type": "score",
                    "name": f"score ({_passed(suite)} from {suite.annotations.threshold:g})",
                    "value": suite.annotations.score,
                }
            ],
        }
        for result in source.results
        for suite in result.configuration
    ]


def _body(source: ManifestSource) -> str:
    parts = [
        *_introduction(source),
        "## Intended use",
        *_use(source),
        "## Training data",
        *_data(source),
        "## Training procedure",
        _table(
            ("hyperparameter", "value"),
            (
                (name, plain_text(value))
                for name, value in source.manifest.run.hyperparameters.items()
            ),
        ),
        *_asked(source),
        "## Evaluation",
        *_suites(source),
        *_scores(source),
        "## What the manifest states besides",
        _table(("fact", "value"), source.facts()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduction(source: ManifestSource) -> list[str]:
    run = source.manifest.run
    return [
        f"# {_text(source.manifest.model.id)}",
        f"Tuned from {_text(source.base)} by run {_text(run.id)} ({_text(run.method)}), "
        f"{rfc3339(run.started)} to {rfc3339(run.finished)}.",
        f"This card is a copy of manifest `{source.digest}`, and no evidence. "
        f"{source.verification} Whether the model may be called is decided by a gate, from the "
        f"signed evidence. SHA-256 of what was adapted: `{source.artifact}`.",
    ]


def _use(source: ManifestSource) -> list[str]:
    manifest = source.manifest
    rows = (
        (
            each.id,
            ", ".join(each.jurisdictions),
            each.sector,
            each.purpose,
            ", ".join(each.operations),
        )
        for each in manifest.environments
    )
    return [
        _table(("environment", "jurisdictions", "sector", "purpose", "operations"), rows),
        f"From {rfc3339(manifest.window.not_before)} until {rfc3339(manifest.window.not_after)}. "
        f"Must approve: {_text(', '.join(manifest.approvals.required))}.",
    ]


def _data(source: ManifestSource) -> list[str]:
    rows = (
        (
            each.role,
            each.name,
            each.digest.sha256,
            str(each.bytes),
            str(each.records),
            ", ".join(each.classes) or "not declared",
        )
        for each in source.manifest.corpora
    )
    return [_table(("role", "name", "SHA-256", "bytes", "records", "classes"), rows)]


def _suites(source: ManifestSource) -> list[str]:
    rows = (
        (
            suite.name,
            suite.kind,
            suite.jurisdiction or "",
            plain_text(suite.threshold),
            suite.digest.sha256,
        )
        for suite in source.manifest.envelope.suites
    )
    return [_table(("suite", "kind", "jurisdiction", "passes from", "SHA-256"), rows)]


def _asked(source: ManifestSource) -> list[str]:
    run = source.manifest.run
    rows = [
        *(("model", name, "") for name in run.models or ()),
        *(("grader", each.name, each.digest.sha256) for each in run.graders or ()),
    ]
    return [_table(("asked", "name", "SHA-256"), rows)] if rows else []


def _scores(source: ManifestSource) -> list[str]:
    outputs = [
        (output.name, name, plain_text(value))
        for output in source.manifest.evaluations
        for name, value in output.metrics.items()
    ]
    parts = [text for result in source.results for text in _result(result)]
    if not parts:
        parts = ["No evaluator's result was given when this copy was made."]
    return [*parts, _table(("output of the run", "metric", "value"), outputs)]


def _result(result: Result) -> list[str]:
    """Return a result in words and as a table of its scores."""
    rows = [
        (
            suite_label(suite),
            _passed(suite),
            plain_text(noted.score),
            plain_text(noted.threshold),
            "" if noted.samples is None else str(noted.samples),
            ""
            if noted.low is None or noted.high is None
            else f"{noted.low:.4f} to {noted.high:.4f}",
            noted.tool or "",
            noted.report or "",
        )
        for suite in result.configuration
        for noted in (suite.annotations,)
    ]
    head = ("suite", "", "score", "passes from", "answers", "95 % interval", "tool", "its report")
    window = result.window
    return [
        f"An evaluator's result: **{result.result}**, of suites that were run from "
        f"{rfc3339(window.not_before)} on, valid until {rfc3339(window.not_after)}. Its signature "
        "was not verified when this copy was made, and whether it was withdrawn is not known here.",
        _table(head, rows),
    ]


def _passed(suite: SuiteResult) -> str:
    noted = suite.annotations
    return "passes" if noted.score >= noted.threshold else "does not pass"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) if len(lines) > 2 else ""


def _text(value: str) -> str:
    """Escape text, so that a name can be neither markup nor a further line or cell."""
    return html.escape(_MARKED.sub(r"\\\1", _NO_LINE.sub(" ", value)), quote=False)
