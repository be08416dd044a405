"""Whose no and whose silence count: every authority with a grant that overlaps the question."""

from __future__ import annotations

import dataclasses

import pytest

from sidecar.core.floors import EffectiveEnvironment
from sidecar.core.grants import Grant, OperatorTrust
from sidecar.core.objectors import Objectors, objectors
from tests.support.simulator.party import grant
from tests.support.simulator.world import admitted_world

AROUND = EffectiveEnvironment(
    environment="spiffe://acme.example/prod/chat",
    sector="finance",
    jurisdictions=("eu", "us"),
    roles=frozenset(),
    unmet_sectors=(),
    reach=(("finance", ("eu", "us")),),
)
MODELS = frozenset({"openai/ft:m", "openai/gpt-4o"})
OFFICE = Grant("regulator", ("eu",), ("**",), ("openai/**",), ("spiffe://acme.example/**",))


def found(grant: Grant, models: frozenset[str] = MODELS) -> Objectors:
    return objectors(OperatorTrust({"office": (grant,)}), AROUND, models)


def test_what_was_declared_before_makes_an_objector_sector_by_sector() -> None:
    moved = dataclasses.replace(AROUND, reach=(*AROUND.reach, ("retail", ("uk",))))

    def names(sector: str, jurisdiction: str) -> tuple[str, ...]:
        grant = dataclasses.replace(OFFICE, sectors=(sector,), jurisdictions=(jurisdiction,))
        return objectors(OperatorTrust({"office": (grant,)}), moved, MODELS).names

    assert names("retail", "uk") == ("office",)
    assert names("finance", "uk") == names("retail", "eu") == ()


def test_one_jurisdiction_and_one_model_in_common_make_an_objector() -> None:
    assert found(OFFICE) == Objectors(("office",), ("office",))
    base_only = dataclasses.replace(OFFICE, models=("none/*",), base_models=("openai/gpt-*",))
    assert found(base_only) == Objectors(("office",), ("office",))


@pytest.mark.parametrize(
    "change",
    [
        {"jurisdictions": ("uk",)},
        {"sectors": ("retail",)},
        {"models": ("azure/**",)},
        {"environments": ("spiffe://other.example/**",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_nothing_in_common_is_no_objector(change: dict[str, tuple[str, ...]]) -> None:
    assert found(dataclasses.replace(OFFICE, **change)) == Objectors((), ())  # type: ignore[arg-type]


def test_a_call_that_reaches_no_model_is_every_models_concern() -> None:
    elsewhere = dataclasses.replace(OFFICE, models=("azure/**",))
    assert found(elsewhere, frozenset()) == Objectors(("office",), ("office",))


def test_silence_that_is_ignored_still_objects() -> None:
    assert found(dataclasses.replace(OFFICE, silence="ignored")) == Objectors(("office",), ())
    both = (dataclasses.replace(OFFICE, silence="ignored"), OFFICE)
    assert objectors(OperatorTrust({"office": both}), AROUND, MODELS).must_be_fresh == ("office",)


def test_a_name_that_resolves_to_nothing_has_the_objectors_of_that_name_alone() -> None:
    world = admitted_world()
    world.join("other", grant("regulator", models=("openai/ft:other",)))
    assert "other" in world.ask("ft:other").objectors
    assert "other" not in world.ask("ft:unknown").objectors
