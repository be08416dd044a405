"""A reader of one kind of evidence reads what the strict one does, or leaves it to that."""

from __future__ import annotations

import json

import pytest

from sidecar.core.evidence import parse_statement, plain_reader
from sidecar.core.predicates import MANIFEST
from sidecar.core.reasons import EvidenceError
from tests.support.simulator.constants import MODEL
from tests.support.simulator.predicates import manifest_predicate, sha, statement

PAYLOAD = statement(MANIFEST, MODEL, sha("x"), manifest_predicate())


def test_a_reader_of_one_kind_reads_or_leaves_what_the_strict_one_reads() -> None:
    read = plain_reader(MANIFEST)
    assert read(PAYLOAD) == parse_statement(PAYLOAD)
    unknown = json.dumps({**json.loads(PAYLOAD), "other": "field"}).encode()
    assert parse_statement(unknown) == parse_statement(PAYLOAD)
    assert read(unknown) is None


def test_a_subject_that_contradicts_its_predicate_is_refused() -> None:
    other = statement(MANIFEST, "another-model", sha("x"), manifest_predicate())
    with pytest.raises(EvidenceError, match="the subject is not the model it describes"):
        plain_reader(MANIFEST)(other)
