"""Every export is valid by the schema or the library of its own format."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement as in_toto
from in_toto_attestation.v1 import statement_pb2
from spdx_python_model import v3_0_1 as spdx3

from sidecar.core.predicates import MANIFEST
from sidecar.core.window import rfc3339
from sidecar.exports import cyclonedx, model_card, slsa, spdx
from sidecar.exports.source import ManifestSource
from tests.support.cyclonedx_schema import schema_error
from tests.unit.exports.sources import ARTIFACT, AT, DIGEST, HOSTILE, SOURCES, whole


def card_of(source: ManifestSource) -> tuple[dict[str, Any], Any]:
    """Read a card as Hugging Face does: its metadata, and the whole."""
    from huggingface_hub import ModelCard  # noqa: PLC0415 - other workers need not import it

    card: Any = ModelCard(model_card.document(source).decode())
    return card.data.to_dict(), card


EACH = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


def reread(data: bytes) -> tuple[spdx3.SHACLObjectSet, bytes]:
    """Read a document with SPDX's own classes, which check every property, and write it again."""
    found = spdx3.SHACLObjectSet()
    spdx3.JSONLDDeserializer().read(io.BytesIO(data), found)
    again = io.BytesIO()
    spdx3.JSONLDSerializer().write(found, again)
    return found, again.getvalue()


@EACH
def test_slsa_is_an_in_toto_statement_with_provenance_v1(source: ManifestSource) -> None:
    value = json.loads(slsa.document(source))
    parsed = json_format.ParseDict(value, statement_pb2.Statement())
    in_toto.Statement.copy_from_pb(parsed).validate()
    provenance = json_format.ParseDict(value["predicate"], provenance_pb2.Provenance())
    details = provenance.run_details
    assert value["predicateType"] == "https://slsa.dev/provenance/v1" != MANIFEST
    assert (details.builder.id, details.metadata.invocation_id) == (
        "urn:admissibility:provider:openai",
        source.manifest.run.id,
    )
    assert json_format.MessageToDict(provenance) == value["predicate"]


def test_slsa_has_everything_that_went_into_the_run() -> None:
    value = slsa.statement(whole())["predicate"]["buildDefinition"]
    found = [
        (each["annotations"]["role"], each.get("digest", each.get("uri")))
        for each in value["resolvedDependencies"]
    ]
    manifest = whole().manifest
    assert found == [
        ("training", {"sha256": manifest.corpora[0].digest.sha256}),
        ("validation", {"sha256": manifest.corpora[1].digest.sha256}),
        ("base-model", "urn:admissibility:model:openai/gpt-4o-mini-2024-07-18"),
        ("parent", {"sha256": "3c" * 32}),
        ("grader", {"sha256": "7f" * 32}),
        ("asked-model", "urn:admissibility:model:openai/gpt-4.1-2025-04-14"),
    ]
    assert value["externalParameters"]["hyperparameters"] == manifest.run.hyperparameters


@EACH
@pytest.mark.slow
def test_cyclonedx_is_valid_by_the_schema_of_1_6(source: ManifestSource) -> None:
    text = cyclonedx.document(source).decode()
    assert schema_error(text) is None
    assert schema_error(text.replace('"specVersion"', '"specversion"')), "a fault is found"


def test_cyclonedx_names_each_component_once_and_refers_to_nothing_else() -> None:
    value = cyclonedx.bom(whole())
    refs = [each["bom-ref"] for each in value["components"]]
    assert refs == ["base-model-0", "asked-model-1", "grader-0", "corpus-0", "corpus-1"]
    assert value["dependencies"] == [{"ref": "model", "dependsOn": refs}]
    card = value["metadata"]["component"]["modelCard"]
    assert card["modelParameters"] == {
        "approach": {"type": "supervised"},
        "datasets": [{"ref": "corpus-0"}, {"ref": "corpus-1"}],
    }
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {
            "type": "adversarial score",
            "value": "0.975",
            "slice": "jailbreaks",
            "confidenceInterval": {"lowerBound": "0.94", "upperBound": "0.99"},
        }
    ]


@EACH
def test_spdx_is_read_and_written_by_its_own_classes(source: ManifestSource) -> None:
    found, again = reread(spdx.document(source))
    written, ours = json.loads(again)["@graph"], spdx.graph(source)["@graph"]
    assert len(written) == len(ours)
    packages = list(found.foreach_type(spdx3.ai_AIPackage))
    datasets = list(found.foreach_type(spdx3.dataset_DatasetPackage))
    run = source.manifest.run
    assert (len(packages), len(datasets)) == (
        2 + len(run.models or ()),
        len(source.manifest.corpora),
    )


def test_spdx_has_what_the_ai_and_dataset_profiles_require() -> None:
    """SPDX 3.0.1, conformance points of the AI and Dataset profiles."""
    required = {
        "ai_AIPackage": {
            "suppliedBy",
            "releaseTime",
            "software_downloadLocation",
            "software_packageVersion",
            "software_primaryPurpose",
        },
        "dataset_DatasetPackage": {
            "builtTime",
            "dataset_datasetType",
            "originatedBy",
            "releaseTime",
            "software_downloadLocation",
            "software_primaryPurpose",
        },
    }
    for element in spdx.graph(whole())["@graph"]:
        assert required.get(element["type"], set()) <= set(element)


def test_spdx_relates_the_model_to_what_it_was_made_of() -> None:
    related = {
        each["relationshipType"]: [name.rpartition(":")[2] for name in each["to"]]
        for each in spdx.graph(whole())["@graph"]
        if each["type"] == "Relationship"
    }
    assert related == {
        "descendantOf": ["base"],
        "dependsOn": ["asked-0"],
        "trainedOn": ["corpus-0"],
        "testedOn": ["corpus-1"],
    }


def test_spdx_without_a_required_property_is_refused_by_its_classes() -> None:
    value = spdx.graph(whole())
    del value["@graph"][0]["createdBy"]
    with pytest.raises(ValueError, match="createdBy"):
        reread(json.dumps(value).encode())


@EACH
def test_a_model_card_is_read_by_hugging_face(source: ManifestSource) -> None:
    data, _ = card_of(source)
    assert data["base_model"] == source.manifest.model.base
    assert data["datasets"] == [each.name for each in source.manifest.corpora]


def test_a_model_card_has_the_scores_of_evaluators() -> None:
    (found,) = card_of(whole())[1].data.eval_results
    assert (found.dataset_name, found.dataset_revision, found.metric_value) == (
        "jailbreaks",
        "5f" * 32,
        0.975,
    )


def test_a_failed_result_shows_which_suite_of_which_jurisdiction_does_not_pass() -> None:
    (passed,) = whole().results
    (suite,) = passed.configuration
    noted = replace(suite.annotations, score=0.4, jurisdiction="eu", tool="garak")
    failed = replace(
        passed, result="FAILED", configuration=(suite, replace(suite, annotations=noted))
    )
    _, card = card_of(replace(whole(), results=(failed,)))
    rows = [line for line in card.text.splitlines() if line.startswith("| jailbreaks")]
    assert "An evaluator's result: **FAILED**, of suites that were run from 2026-01-03" in card.text
    assert rows[-2:] == [
        "| jailbreaks | passes | 0.975 | 0.95 | 200 | 0.9400 to 0.9900 |  |  |",
        "| jailbreaks (eu) | does not pass | 0.4 | 0.95 | 200 | 0.9400 to 0.9900 | garak |  |",
    ]
    assert "No evaluator's result" in card_of(SOURCES["plain"])[1].text


def test_a_name_that_is_markup_is_text_in_a_model_card() -> None:
    data, card = card_of(SOURCES["hostile"])
    assert "<" not in card.text
    assert [line for line in card.text.splitlines() if line.startswith("# ")] == [
        '# a\\|b\\`c \\# x &lt;script&gt;alert("1")&lt;/script&gt; \\[y\\](z) \\{\\{t\\}\\} ---'
    ]
    rows = [line for line in card.text.splitlines() if line.startswith("| training")]
    assert [len(row.replace("\\|", "").split("|")) for row in rows] == [8]
    assert data["base_model"] == HOSTILE


@pytest.mark.parametrize(
    "write", [slsa.document, cyclonedx.document, spdx.document, model_card.document]
)
def test_an_export_states_the_manifest_and_whether_it_was_verified(write: object) -> None:
    texts = {name: write(each).decode() for name, each in SOURCES.items()}  # type: ignore[operator]
    assert all(
        DIGEST in text and ARTIFACT in text for text in texts.values() if "---\n" not in text
    )
    assert all(DIGEST in text for text in texts.values())
    assert ("unverified" in texts["plain"], "unverified" in texts["whole"]) == (True, False)
    assert "6f" * 32 in texts["whole"]


@pytest.mark.parametrize(
    "write", [slsa.document, cyclonedx.document, spdx.document, model_card.document]
)
def test_the_same_manifest_is_exported_alike(write: object) -> None:
    assert write(whole()) == write(whole())  # type: ignore[operator]
    assert rfc3339(AT) == "2026-01-03T12:00:00Z"
