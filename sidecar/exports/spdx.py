"""Writes a manifest as an SPDX 3.0.1 document with the AI and Dataset profiles, in JSON-LD.

The model is an ``ai_AIPackage``, each corpus a ``dataset_DatasetPackage``; the base model and the
models that the run asked are packages of their own. Relationships state what was trained on what.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sidecar.core.window import rfc3339
from sidecar.exports.source import ManifestSource, plain_text, suite_label, urn

CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
_CREATION = "_:creation"
_SENSITIVE = frozenset({"personal-data", "special-category-data", "health-data"})


def graph(source: ManifestSource) -> dict[str, Any]:
    """Return the document. Made again of the same manifest, it differs in its time alone."""
    writer = _Writer(source)
    elements = list(writer.elements())
    names = [each["spdxId"] for each in elements]
    head = {
        "type": "SpdxDocument",
        "spdxId": writer.name("document"),
        "creationInfo": _CREATION,
        "name": f"Adaptation of {source.model}",
        "comment": f"{source.verification} This document is a copy, no evidence.",
        "profileConformance": ["core", "software", "ai", "dataset"],
        "rootElement": [writer.name("model")],
        "element": names,
    }
    return {"@context": CONTEXT, "@graph": [writer.creation(), head, *elements]}


def document(source: ManifestSource) -> bytes:
    """Return the document as indented JSON-LD."""
    return json.dumps(graph(source), indent=2, ensure_ascii=False).encode() + b"\n"


class _Writer:
    """Writes the elements of one document."""

    def __init__(self, source: ManifestSource) -> None:
        self.source = source
        self.model = source.manifest.model
        self.provider = self.name("provider")

    def name(self, *parts: str) -> str:
        return urn("spdx", self.source.digest, *parts)

    def creation(self) -> dict[str, Any]:
        return {
            "type": "CreationInfo",
            "@id": _CREATION,
            "specVersion": "3.0.1",
            "created": rfc3339(self.source.at),
            "createdBy": [self.name("exporter")],
        }

    def elements(self) -> Iterator[dict[str, Any]]:
        run = self.source.manifest.run
        yield self._element("SoftwareAgent", "exporter", name="admit export")
        yield self._element("Organization", "provider", name=self.model.provider)
        yield self._element("Agent", "unknown", name="not declared")
        yield self._package()
        yield self._named_model("base", self.source.base)
        asked = [f"asked-{number}" for number in range(len(run.models or ()))]
        for part, name in zip(asked, run.models or (), strict=True):
            yield self._named_model(part, name)
        corpora: dict[str, list[str]] = {}
        for number, corpus in enumerate(self.source.manifest.corpora):
            part = f"corpus-{number}"
            corpora.setdefault(corpus.role, []).append(part)
            yield self._dataset(part, number)
        yield self._relation("descendantOf", ["base"])
        if asked:
            yield self._relation("dependsOn", asked)
        for role, parts in corpora.items():
            yield self._relation("trainedOn" if role == "training" else "testedOn", parts)

    def _element(self, kind: str, part: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"type": kind, "spdxId": self.name(part), "creationInfo": _CREATION, **fields}

    def _relation(self, kind: str, parts: Sequence[str]) -> dict[str, Any]:
        return self._element(
            "Relationship",
            kind,
            **{"from": self.name("model")},
            relationshipType=kind,
            to=[self.name(part) for part in parts],
        )

    def _package(self) -> dict[str, Any]:
        run = self.source.manifest.run
        return self._element(
            "ai_AIPackage",
            "model",
            name=self.model.id,
            software_packageVersion=self.source.artifact,
            software_primaryPurpose="model",
            software_downloadLocation=urn("model", self.source.model),
            suppliedBy=self.provider,
            releaseTime=rfc3339(run.finished),
            builtTime=rfc3339(run.finished),
            validUntilTime=rfc3339(self.source.manifest.window.not_after),
            verifiedUsing=[_hash(self.source.artifact)],
            ai_typeOfModel=[run.method],
            ai_informationAboutTraining=f"Run {run.id} on {self.source.base}.",
            ai_informationAboutApplication="; ".join(
                f"{each.purpose} ({each.sector}; {', '.join(each.jurisdictions)})"
                for each in self.source.manifest.environments
            ),
            comment="\n".join(f"{name}: {text}" for name, text in self.source.facts()),
            **_entries("ai_hyperparameter", list(run.hyperparameters.items())),
            **_entries("ai_metric", list(self._metrics())),
        )

    def _metrics(self) -> Iterator[tuple[str, object]]:
        for output in self.source.manifest.evaluations:
            for name, value in output.metrics.items():
                yield f"{output.name}: {name}", value
        for result in self.source.results:
            for suite in result.configuration:
                label = f"{suite_label(suite)}: {suite.annotations.kind} score"
                yield label, suite.annotations.score

    def _named_model(self, part: str, name: str) -> dict[str, Any]:
        return self._element(
            "ai_AIPackage",
            part,
            name=name,
            software_packageVersion=name,
            software_primaryPurpose="model",
            software_downloadLocation=urn("model", name),
            suppliedBy=self.provider,
            releaseTime=rfc3339(self.source.manifest.run.started),
            comment="Known by its name only; the release time is the latest that it can have.",
        )

    def _dataset(self, part: str, number: int) -> dict[str, Any]:
        corpus = self.source.manifest.corpora[number]
        sensitive = "yes" if _SENSITIVE & set(corpus.classes) else "noAssertion"
        return self._element(
            "dataset_DatasetPackage",
            part,
            name=corpus.name,
            software_packageVersion=corpus.digest.sha256,
            software_primaryPurpose="data",
            software_downloadLocation=urn("corpus", corpus.digest.sha256),
            originatedBy=[self.name("unknown")],
            builtTime=rfc3339(self.source.manifest.run.started),
            releaseTime=rfc3339(self.source.manifest.run.started),
            verifiedUsing=[_hash(corpus.digest.sha256)],
            dataset_datasetType=["noAssertion"],
            dataset_datasetSize=corpus.records,
            dataset_intendedUse=corpus.role,
            dataset_hasSensitivePersonalInformation=sensitive,
            comment=(
                f"{corpus.bytes} bytes. Classes: {', '.join(corpus.classes) or 'not declared'}."
                " The times are the latest that they can be; its origin is not declared."
            ),
        )


def _hash(digest: str) -> dict[str, Any]:
    return {"type": "Hash", "algorithm": "sha256", "hashValue": digest}


def _entries(field: str, pairs: Sequence[tuple[str, object]]) -> dict[str, Any]:
    if not pairs:
        return {}
    return {
        field: [
            {"type": "DictionaryEntry", "key": key, "value": plain_text(value)}
            for key, value in pairs
        ]
    }
