"""Writes a manifest as a CycloneDX 1.6 ML-BOM (ECMA-424), in JSON.

The model is the BOM's main component, with a model card; the base model is its ancestor, corpora
are components of type ``data``. What CycloneDX has no place for is in properties.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sidecar.core.window import rfc3339
from sidecar.exports.source import ManifestSource, plain_text, stable_uuid, suite_label

MODEL_REF = "model"
_APPROACHES = {
    "supervised": "supervised",
    "FINE_TUNING": "supervised",
    "dpo": "supervised",
    "lora": "supervised",
    "qlora": "supervised",
    "DISTILLATION": "supervised",
    "CONTINUED_PRE_TRAINING": "self-supervised",
    "reinforcement": "reinforcement-learning",
    "REINFORCEMENT_FINE_TUNING": "reinforcement-learning",
}
"""Approach for a method where one is certain; a method that is not here states none."""


def bom(source: ManifestSource) -> dict[str, Any]:
    """Return the BOM. Made again of the same manifest, it differs in its timestamp alone."""
    corpora = list(_corpora(source))
    related = list(_related(source))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{stable_uuid('cyclonedx', source.digest)}",
        "version": 1,
        "metadata": {
            "timestamp": rfc3339(source.at),
            "component": _model(source, [each["bom-ref"] for each in corpora]),
            "properties": [
                {"name": f"admissibility:{name}", "value": text} for name, text in source.facts()
            ],
        },
        "components": [*related, *corpora],
        "dependencies": [
            {"ref": MODEL_REF, "dependsOn": [each["bom-ref"] for each in (*related, *corpora)]}
        ],
    }


def document(source: ManifestSource) -> bytes:
    """Return the BOM as indented JSON."""
    return json.dumps(bom(source), indent=2, ensure_ascii=False).encode() + b"\n"


def _model(source: ManifestSource, datasets: list[str]) -> dict[str, Any]:
    manifest, run = source.manifest, source.manifest.run
    approach = _APPROACHES.get(run.method)
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL_REF,
        "group": manifest.model.provider,
        "name": manifest.model.id,
        "version": source.artifact,
        "hashes": [{"alg": "SHA-256", "content": source.artifact}],
        "pedigree": {
            "ancestors": [
                {
                    "type": "machine-learning-model",
                    "group": manifest.model.provider,
                    "name": manifest.model.base,
                }
            ],
            "notes": f"Tuned by run {run.id} ({run.method}).",
        },
        "modelCard": {
            "modelParameters": {
                **({} if approach is None else {"approach": {"type": approach}}),
                "datasets": [{"ref": each} for each in datasets],
            },
            "quantitativeAnalysis": {"performanceMetrics": list(_metrics(source))},
            "considerations": {
                "useCases": [
                    f"{each.purpose} ({each.sector}; {', '.join(each.jurisdictions)})"
                    for each in manifest.environments
                ],
            },
            "properties": [
                {"name": f"hyperparameter:{name}", "value": plain_text(value)}
                for name, value in run.hyperparameters.items()
            ],
        },
    }


def _corpora(source: ManifestSource) -> Iterator[dict[str, Any]]:
    for number, corpus in enumerate(source.manifest.corpora):
        data: dict[str, Any] = {"type": "dataset", "name": corpus.name}
        if corpus.classes:
            data["sensitiveData"] = list(corpus.classes)
        yield {
            "type": "data",
            "bom-ref": f"corpus-{number}",
            "name": corpus.name,
            "hashes": [{"alg": "SHA-256", "content": corpus.digest.sha256}],
            "data": [data],
            "properties": [
                {"name": "admissibility:role", "value": corpus.role},
                {"name": "admissibility:bytes", "value": str(corpus.bytes)},
                {"name": "admissibility:records", "value": str(corpus.records)},
            ],
        }


def _related(source: ManifestSource) -> Iterator[dict[str, Any]]:
    """Yield the base model, and the models and graders that the run asked."""
    run = source.manifest.run
    names = [("base-model", source.base), *(("asked-model", name) for name in run.models or ())]
    for number, (role, name) in enumerate(names):
        provider, _, identifier = name.partition("/")
        yield {
            "type": "machine-learning-model",
            "bom-ref": f"{role}-{number}",
            "group": provider,
            "name": identifier or name,
            "properties": [{"name": "admissibility:role", "value": role}],
        }
    for number, grader in enumerate(run.graders or ()):
        yield {
            "type": "data",
            "bom-ref": f"grader-{number}",
            "name": grader.name,
            "hashes": [{"alg": "SHA-256", "content": grader.digest.sha256}],
            "properties": [{"name": "admissibility:role", "value": "grader"}],
        }


def _metrics(source: ManifestSource) -> Iterator[dict[str, Any]]:
    """Yield the metrics of the run, and the scores of evaluators with their intervals."""
    for output in source.manifest.evaluations:
        for name, value in output.metrics.items():
            yield {"type": name, "value": plain_text(value), "slice": output.name}
    for result in source.results:
        for suite in result.configuration:
            noted = suite.annotations
            found: dict[str, Any] = {
                "type": f"{noted.kind} score",
                "value": plain_text(noted.score),
                "slice": suite_label(suite),
            }
            if noted.low is not None and noted.high is not None:
                found["confidenceInterval"] = {
                    "lowerBound": plain_text(noted.low),
                    "upperBound": plain_text(noted.high),
                }
            yield found
