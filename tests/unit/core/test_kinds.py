"""Every kind of evidence has one row, which all the rest of the repository reads."""

from __future__ import annotations

from typing import get_args

import pytest

from sidecar.cli.authority import StatementNoun
from sidecar.core.kinds import BY_NOUN, BY_URN, KINDS, kind_of
from sidecar.core.predicates import Predicate


def test_every_kind_of_predicate_has_exactly_one_row() -> None:
    assert {kind.predicate for kind in KINDS} == set(get_args(Predicate))
    assert len(KINDS) == len(BY_URN) == len(BY_NOUN) == len(get_args(Predicate))
    assert [sign.value for sign in StatementNoun] == list(BY_NOUN)
    assert len({kind.withdrawal for kind in KINDS}) == len(KINDS)


def test_a_predicate_without_a_row_is_an_error_and_not_some_other_kind() -> None:
    with pytest.raises(KeyError):
        kind_of(object())  # type: ignore[arg-type]
