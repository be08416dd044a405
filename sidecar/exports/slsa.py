"""Writes a manifest as SLSA provenance v1, in an unsigned in-toto statement.

https://slsa.dev/spec/v1.1/provenance. The build is the tuning run, its builder the provider of the
run, its resolved dependencies everything that went into it, and its byproducts the run's outputs.
"""

from __future__ import annotations

from typing import Any

from sidecar.core import wire
from sidecar.core.evidence import STATEMENT_TYPE
from sidecar.core.window import rfc3339
from sidecar.exports.source import ManifestSource, urn

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:admissibility:tuning:v1"
"""Build type whose external parameters are ``provider``, ``base``, ``method``, …, as below."""


def statement(source: ManifestSource) -> dict[str, Any]:
    """Return the statement, unsigned."""
    manifest, run = source.manifest, source.manifest.run
    parameters: dict[str, Any] = {
        "provider": manifest.model.provider,
        "base": manifest.model.base,
        "method": run.method,
        "hyperparameters": run.hyperparameters,
    }
    if run.seed is not None:
        parameters["seed"] = run.seed
    if manifest.specification is not None:
        parameters["specification"] = manifest.specification.sha256
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": source.model, "digest": {"sha256": source.artifact}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "resolvedDependencies": _dependencies(source),
            },
            "runDetails": {
                "builder": {"id": urn("provider", manifest.model.provider)},
                "metadata": {
                    "invocationId": run.id,
                    "startedOn": rfc3339(run.started),
                    "finishedOn": rfc3339(run.finished),
                },
                "byproducts": [
                    *(
                        _resource(output.name, output.digest.sha256, metrics=output.metrics)
                        for output in manifest.evaluations
                    ),
                    _resource(
                        "adaptation manifest",
                        source.digest,
                        signature=dict(source.facts())["signature"],
                    ),
                ],
            },
        },
    }


def document(source: ManifestSource) -> bytes:
    """Return the statement as RFC 8785 canonical JSON."""
    return wire.canonical(statement(source))


def _dependencies(source: ManifestSource) -> list[dict[str, Any]]:
    manifest, run = source.manifest, source.manifest.run
    found: list[dict[str, Any]] = [
        _resource(
            corpus.name,
            corpus.digest.sha256,
            role=corpus.role,
            bytes=corpus.bytes,
            records=corpus.records,
            classes=list(corpus.classes),
        )
        for corpus in manifest.corpora
    ]
    # A hosted base model has a name and no digest.
    base: dict[str, Any] = {"name": source.base, "uri": urn("model", source.base)}
    found.append({**base, "annotations": {"role": "base-model"}})
    if manifest.model.parent is not None:
        parent = manifest.model.parent.sha256
        found.append(_resource("manifest of the base model", parent, role="parent"))
    found += [_resource(each.name, each.digest.sha256, role="grader") for each in run.graders or ()]
    found += [
        {"name": name, "uri": urn("model", name), "annotations": {"role": "asked-model"}}
        for name in run.models or ()
    ]
    return found


def _resource(name: str, digest: str, **annotations: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return an in-toto ResourceDescriptor (in-toto attestation framework v1)."""
    found: dict[str, Any] = {"name": name, "digest": {"sha256": digest}}
    return {**found, "annotations": annotations} if annotations else found
