"""Provenance is taken only as signed, and only of what is bound; a doubt signs nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sidecar.binding import slsa
from sidecar.binding.errors import BindingError
from sidecar.binding.job import AdaptedModel
from sidecar.core import wire
from sidecar.core.keys import PublicKey
from sidecar.exports.slsa import statement
from tests.support.simulator.keys import SimKey, envelope
from tests.unit.binding.samples import BASE, MODEL
from tests.unit.exports import sources

KEY, OTHER = SimKey.ed25519(), SimKey.p256()
BUILDER = "urn:admissibility:provider:openai"
SOURCE = sources.source()
Change = Callable[[dict[str, Any]], object]


def signed(value: dict[str, Any], key: SimKey = KEY) -> bytes:
    return envelope(wire.canonical(value), key)


def read(value: dict[str, Any] | None = None, key: SimKey = KEY) -> slsa.Provenance:
    public = PublicKey.from_pem(key.pem)
    return slsa.read(signed(value or statement(SOURCE)), public, BUILDER)


def model() -> AdaptedModel:
    return AdaptedModel(MODEL, BASE, False, SOURCE.manifest.run, b"", None)


def check(found: slsa.Provenance, **changes: Any) -> None:
    run = replace(SOURCE.manifest.run, **changes)
    slsa.check(found, replace(model(), run=run), "openai", sources.ARTIFACT)


def test_an_export_that_its_builder_signed_states_the_corpora_that_it_was_made_of() -> None:
    found = read()
    assert found.corpora == SOURCE.manifest.corpora
    check(found)
    slsa.check_corpora(found, SOURCE.manifest.corpora)
    assert (found.document.kind, found.document.name) == ("slsa-provenance", BUILDER)


def test_a_model_with_graders_teachers_and_a_parent_is_compared_with_all_of_them() -> None:
    whole = sources.whole()
    found = read(statement(whole))
    asked = replace(model(), run=whole.manifest.run)
    slsa.check(found, asked, "openai", sources.ARTIFACT, parent="3c" * 32)
    with pytest.raises(BindingError, match=r"its parent is '3c3c.*', not None"):
        slsa.check(found, asked, "openai", sources.ARTIFACT)
    with pytest.raises(BindingError, match="its graders is 7f7f"):
        slsa.check(found, model(), "openai", sources.ARTIFACT, parent="3c" * 32)


def test_another_key_is_refused_before_anything_is_read() -> None:
    with pytest.raises(BindingError, match="provenance: not signed by the given key"):
        slsa.read(signed({"not": "a statement"}, OTHER), PublicKey.from_pem(KEY.pem), BUILDER)


def _dependencies(value: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = value["predicate"]["buildDefinition"]["resolvedDependencies"]
    return found


FAULTS: list[tuple[str, Change]] = [
    ("predicateType", lambda v: v.update(predicateType="https://slsa.dev/provenance/v0.2")),
    ("_type", lambda v: v.update(_type="https://in-toto.io/Statement/v0.1")),
    (
        "is of builder 'x', not",
        lambda v: v["predicate"]["runDetails"]["builder"].update(id="x"),
    ),
    ("has no digest sha256", lambda v: v["subject"][0].update(digest={"sha512": "a"})),
    ("has no digest sha256", lambda v: _dependencies(v)[0]["digest"].update(sha256="AB" * 32)),
    ("records", lambda v: _dependencies(v)[0]["annotations"].pop("records")),
    ("records", lambda v: _dependencies(v)[0]["annotations"].update(records=0)),
    (
        "no resolved dependency has the annotation role: training",
        lambda v: _dependencies(v)[0]["annotations"].update(role="data"),
    ),
    ("0 resolved dependencies", lambda v: _dependencies(v).pop()),
    (
        "its parameter base is 'other'",
        lambda v: v["predicate"]["buildDefinition"]["externalParameters"].update(base="other"),
    ),
    ("finishedOn", lambda v: v["predicate"]["runDetails"]["metadata"].pop("finishedOn")),
]


@pytest.mark.parametrize(("message", "change"), FAULTS)
def test_what_lacks_something_or_states_it_twice_is_refused(message: str, change: Change) -> None:
    value = copy.deepcopy(statement(SOURCE))
    change(value)
    with pytest.raises(BindingError, match=message):
        read(value)


@pytest.mark.parametrize("name", ["base", "run", "started", "finished", "subjects"])
def test_provenance_of_something_else_is_refused(name: str) -> None:
    found = read()
    other: dict[str, Any] = {
        "base": "openai/other",
        "run": "ftjob-other",
        "started": found.finished,
        "finished": found.started,
        "subjects": ("00" * 32,),
    }
    with pytest.raises(BindingError, match="provenance: its"):
        check(replace(found, **{name: other[name]}))


def test_files_at_hand_must_be_exactly_the_stated_corpora() -> None:
    with pytest.raises(BindingError, match="its corpora are"):
        slsa.check_corpora(read(), SOURCE.manifest.corpora[:1])


def test_every_file_of_open_weights_may_be_a_subject_instead_of_the_artifact() -> None:
    found = replace(read(), subjects=("aa" * 32, "bb" * 32, "cc" * 32))
    files = {"adapter_config.json": "aa" * 32, "adapter_model.safetensors": "bb" * 32}
    slsa.check(found, model(), "openai", "11" * 32, files)
    with pytest.raises(BindingError, match="nor every file of it is among them"):
        slsa.check(found, model(), "openai", "11" * 32, {**files, "README.md": "dd" * 32})
    with pytest.raises(BindingError, match="nor every file of it is among them"):
        slsa.check(found, model(), "openai", "11" * 32, {})
