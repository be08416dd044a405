"""Every kind of evidence has one row, which all the rest of the repository reads."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from sidecar.authority.subjects import normalised
from sidecar.cli.authority import StatementNoun
from sidecar.core.documents import Withdrawal
from sidecar.core.kinds import BY_NOUN, BY_URN, KINDS, kind_of
from sidecar.core.predicates import Predicate
from sidecar.core.reads import TABLES
from sidecar.core.snapshot import TrustState
from sidecar.core.tables import Drafts, Tables
from sidecar.trust.records import INDEXES, SINGLES


def test_every_kind_of_predicate_has_exactly_one_row() -> None:
    assert {kind.predicate for kind in KINDS} == set(get_args(Predicate))
    assert len(KINDS) == len(BY_URN) == len(BY_NOUN) == len(get_args(Predicate))
    assert [sign.value for sign in StatementNoun] == list(BY_NOUN)
    assert len({kind.withdrawal for kind in KINDS}) == len(KINDS)


def test_a_predicate_without_a_row_is_an_error_and_not_some_other_kind() -> None:
    with pytest.raises(KeyError):
        kind_of(object())  # type: ignore[arg-type]


def test_the_evidence_of_every_kind_has_its_table_wherever_evidence_is_kept() -> None:
    """One that lacks it would be dropped, compared by nothing, or gone after a restart."""
    wanted = {kind.table for kind in KINDS}
    places = {
        "core/snapshot.py": {each.name for each in fields(TrustState)},
        "core/tables.py: Tables": {each.name for each in fields(Tables)},
        "core/tables.py: Drafts": {each.name for each in fields(Drafts)},
        "core/reads.py: TABLES": set(TABLES),
        "trust/records.py: INDEXES, SINGLES": {*INDEXES, *SINGLES},
    }
    assert {place: wanted - found for place, found in places.items()} == {
        place: set() for place in places
    }


def test_evidence_of_every_kind_is_withdrawn_by_its_digest_in_any_spelling() -> None:
    """Of a kind that is not among those by digest, `SHA256:AB…` would withdraw nothing."""
    digest = "ab" * 32
    found = {
        kind.noun: Withdrawal(kind.withdrawal, f"sha256:{digest.upper()}", "unfit").named
        for kind in KINDS
    }
    assert found == {kind.noun: digest for kind in KINDS}
    typed = {kind.noun: normalised(kind.withdrawal, f"sha256:{digest}") for kind in KINDS}
    assert typed == found
