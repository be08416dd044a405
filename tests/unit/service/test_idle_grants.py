"""A gate's status names the grants by which an authority can object to nothing."""

from __future__ import annotations

from sidecar.service.status import DeclaredGrants
from tests.support.simulator.constants import ENV
from tests.support.simulator.party import grant
from tests.support.simulator.world import admitted_world


def test_law_1_an_authority_that_objects_to_no_declared_environment_is_named() -> None:
    world = admitted_world()
    (stranger,) = DeclaredGrants().of(world.state())[
        "idle_grants"
    ]  # who is granted another trust domain
    world.join("council", grant("works-council", environments=(f"{ENV}x",)))
    found = {
        "authority": "council",
        "grant": 0,
        "why": f"environments: '{ENV}x' matches no declared environment",
    }
    assert DeclaredGrants().of(world.state())["idle_grants"] == [stranger, found]


def test_a_sandbox_that_includes_production_is_named() -> None:
    world = admitted_world()
    world.join("house", grant("evaluator", sandbox=("spiffe://acme.example/**",)))
    found = {
        "authority": "house",
        "grant": 0,
        "why": f"sandbox: 'spiffe://acme.example/**' includes {ENV}, declared for customer-support",
    }
    assert DeclaredGrants().of(world.state())["wide_sandboxes"] == [found]
    world.declare(purpose="evaluation")
    assert DeclaredGrants().of(world.state())["wide_sandboxes"] == []
