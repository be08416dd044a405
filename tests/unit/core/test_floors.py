"""What holds in an environment is a union: a declaration cannot shrink it (law 5)."""

from __future__ import annotations

from sidecar.core.floors import EffectiveEnvironment, effective_environment
from sidecar.core.grants import Floor
from tests.support.simulator.constants import ENV
from tests.support.simulator.world import World, admitted_world


def effective(world: World) -> EffectiveEnvironment:
    (item,) = world.state().environments[ENV]
    return effective_environment(world.operator(), item)


def test_without_floors_what_is_declared_holds() -> None:
    world = admitted_world()
    (item,) = world.state().environments[ENV]
    declared = item.predicate
    places = declared.jurisdictions
    assert effective(world) == EffectiveEnvironment(
        ENV, declared.sector, places, frozenset(), (), ((declared.sector, places),)
    )


def test_whatever_was_declared_before_and_the_floors_can_be_objected_for() -> None:
    world = admitted_world()
    (item,) = world.state().environments[ENV]
    world.floors = (Floor((ENV,), ("uk",)),)
    known = (("finance", "us"), ("retail", "jp"))
    found = effective_environment(world.operator(), item, known)
    assert found.jurisdictions == ("eu", "uk")
    assert found.reach == (("finance", ("eu", "uk", "us")), ("retail", ("uk", "jp")))


def test_floors_add_jurisdictions_and_roles_once_each() -> None:
    world = admitted_world()
    plain = effective(world)
    first = plain.jurisdictions[0]
    world.floors = (
        Floor((ENV,), (first, "us"), ("auditor",)),
        Floor(("**",), ("us", "uk"), ("auditor", "insurer")),
        Floor(("spiffe://other.example/**",), ("jp",), ("censor",)),
    )
    found = effective(world)
    assert found.jurisdictions == (*plain.jurisdictions, "us", "uk")
    assert found.roles == {"auditor", "insurer"}


def test_a_sector_that_a_floor_demands_and_the_declaration_does_not_name_is_reported() -> None:
    world = admitted_world()
    sector = effective(world).sector
    world.floors = (Floor((ENV,), sector=sector), Floor((ENV,), sector="defense"))
    assert effective(world).unmet_sectors == ("defense",)
