"""A grant that holds nowhere is found: an authority that only objects would not be missed."""

from __future__ import annotations

from typing import Any

from sidecar.core.grants import Floor, Grant, OperatorTrust
from sidecar.core.idle_grants import IdleGrant, idle_grants, wide_sandboxes
from tests.support.simulator.constants import ENV
from tests.support.simulator.predicates import window
from tests.support.simulator.world import admitted_world

PROD, STAGING = "spiffe://acme.example/env/prod", "spiffe://acme.example/env/staging"
DECLARED = {PROD: (("finance", "eu"),), STAGING: (("finance", "eu"), ("retail", "us"))}


def grant(role: str = "works-council", **changes: tuple[str, ...]) -> Grant:
    every: dict[str, Any] = {"jurisdictions": ("eu",), "sectors": ("**",), "models": ("**",)}
    return Grant(role, **{**every, "environments": ("spiffe://acme.example/**",), **changes})


def idle(*grants: Grant, floors: tuple[Floor, ...] = ()) -> list[tuple[int, str]]:
    operator = OperatorTrust({"council": grants}, floors=floors)
    found = idle_grants(operator, DECLARED)
    assert {each.authority for each in found} <= {"council"}
    return [(each.grant, each.why) for each in found]


def test_a_misspelt_environment_of_an_authority_that_only_objects_is_found() -> None:
    typo = "spiffe://acme.example/env/prd"
    assert idle(grant(), grant(environments=(STAGING, typo))) == [
        (1, f"environments: {typo!r} matches no declared environment")
    ]
    sandbox = grant("evaluator", sandbox=("spiffe://acme.example/env/sandbx",))
    assert idle(sandbox) == [
        (0, "sandbox: 'spiffe://acme.example/env/sandbx' matches no declared environment")
    ]


def test_a_misspelt_sector_or_jurisdiction_is_found() -> None:
    both = "sectors and jurisdictions: match none of the 2 declared in its environments"
    assert idle(grant(jurisdictions=("EU",))) == [(0, both)]
    assert idle(grant(sectors=("fiance",))) == [(0, both)]
    one = "sectors: match none of the 1 declared in its environments"
    assert idle(grant("producer", sectors=("retail",), environments=(PROD,))) == [(0, one)]


def test_a_grant_that_overlaps_any_declared_environment_is_no_mistake() -> None:
    for each in (
        grant(),
        grant(environments=("**",)),
        grant(jurisdictions=("us",)),
        grant("evaluator", jurisdictions=("jp",)),
    ):
        assert idle(each) == []
    floor = Floor((PROD,), jurisdictions=("uk",))
    assert idle(grant(jurisdictions=("uk",), environments=(PROD,)), floors=(floor,)) == []


def test_nothing_is_found_before_any_environment_is_declared() -> None:
    operator = OperatorTrust({"council": (grant(environments=("spiffe://x.example/y",)),)})
    assert idle_grants(operator, {}) == ()
    assert idle_grants(operator, DECLARED) == (
        IdleGrant(
            "council", 0, "environments: 'spiffe://x.example/y' matches no declared environment"
        ),
    )


def test_a_sandbox_is_wide_by_the_newest_declaration_of_an_environment() -> None:
    world = admitted_world()
    assert wide_sandboxes(world.state()) == ()
    world.join("house", grant("evaluator", sandbox=("spiffe://acme.example/**",)))
    (found,) = wide_sandboxes(world.state())
    assert (found.authority, found.grant) == ("house", 0)
    assert found.why.startswith(f"sandbox: 'spiffe://acme.example/**' includes {ENV}, declared for")
    world.declare(label="newer", purpose="evaluation", window=window(1))
    assert wide_sandboxes(world.state()) == ()
