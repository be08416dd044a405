"""Random histories: the predicate answers every question as the reference model does.

After every operation; and each law is looked at as a property of the step. A third of the histories
have a random policy, and law 2 is looked at for the whole decision too. A failure prints the
seed and the fewest operations that show it; ``check.play(seed)`` plays it again. Their number goes
with the profile, 3,000 in ``make test``; ``make soak`` sets ``ADMIT_HISTORIES``.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.support.laws import check
from tests.support.laws.check import Played

PARTS = 12


def histories() -> int:
    return int(os.environ.get("ADMIT_HISTORIES", 30 * settings().max_examples))


@pytest.mark.parametrize("part", range(PARTS))
def test_model_and_code_agree_on_every_step_of_every_history(part: int) -> None:
    asked, admitted = 0, 0

    def count(played: Played) -> None:
        nonlocal asked, admitted
        asked, admitted = asked + played.asked, admitted + played.admitted

    complaints = check.search(range(part, histories(), PARTS), each=count)
    assert complaints == [], "\n".join(complaints)
    # Histories in which everything is denied, or nothing is, would show little.
    assert 0.2 < admitted / asked < 0.9


@pytest.mark.parametrize("seed", [636740, 638131, 665870, 677009])
def test_a_specification_is_named_by_what_extends_it_also_where_its_file_is_lost(seed: int) -> None:
    """A manifest that supersedes the called one was made under an extension of a withdrawn one."""
    assert check.play(seed, sandbox=False, requires=False).complaint is None


@pytest.mark.parametrize("seed", [508978, 512154])
def test_a_stale_signature_beside_a_withdrawn_one_refuses_as_stale(seed: int) -> None:
    assert check.play(seed, sandbox=False, requires=False).complaint is None


@pytest.mark.parametrize("seed", [689388, 693513, 809404])
def test_a_no_to_a_signer_stands_where_another_one_is_relied_on(seed: int) -> None:
    """A second no is taken back, so that others agree again: nobody unsaid the first one."""
    assert check.play(seed, sandbox=False, requires=False).complaint is None


def test_a_withdrawn_successor_still_denies_when_a_stranger_signs_its_lost_file_anew() -> None:
    assert check.play(672749, sandbox=False, requires=False).complaint is None
