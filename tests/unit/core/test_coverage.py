"""Step 3: a granted producer, then the environment, then the operation."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.reasons import Reason
from tests.support.simulator.predicates import manifest_predicate
from tests.support.simulator.world import World, admitted_world


def third(world: World) -> tuple[Reason | None, str]:
    """The finding of step 3."""
    (finding,) = (each for each in world.ask().findings if each.step == 3)
    return finding.reason, finding.detail


def place(**changes: Any) -> dict[str, Any]:
    (declared,) = manifest_predicate()["environments"]
    return {**declared, **changes}


def test_a_manifest_that_covers_the_call_names_its_producer() -> None:
    assert third(admitted_world()) == (None, "signed by producer")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        *(
            (
                {"environments": [place(**{part: value})]},
                (
                    Reason.ENVIRONMENT_NOT_COVERED,
                    "the manifest does not cover this environment",
                ),
            )
            for part, value in (
                ("id", "spiffe://acme.example/other/*"),
                ("jurisdictions", ["uk"]),
                ("sector", "retail"),
                ("purpose", "scoring"),
            )
        ),
        (
            {"environments": [place(operations=["embeddings"])]},
            (
                Reason.OPERATION_NOT_COVERED,
                "the manifest does not cover chat.completions in this environment",
            ),
        ),
    ],
)
def test_each_part_that_is_not_covered_has_its_own_reason(
    change: dict[str, Any], outcome: tuple[Reason, str]
) -> None:
    world = admitted_world()
    world.bind(**change)
    assert third(world) == outcome


def test_a_signature_of_somebody_without_the_grant_is_no_producers() -> None:
    world = admitted_world()
    world.bind(signer="customer")
    world.evidence.pop("manifest")
    world.bind(signer="customer")
    assert third(world) == (
        Reason.MANIFEST_UNVERIFIED,
        "signed by customer: no producer granted it with a key valid now",
    )
