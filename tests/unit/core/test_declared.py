"""What an environment was ever declared for is kept, as long as its customer is granted it."""

from __future__ import annotations

from sidecar.core.memory import DeclaredScope
from tests.support.simulator.constants import ENV
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import window
from tests.support.simulator.world import admitted_world


def test_every_declaration_of_a_granted_customer_counts_whenever_it_holds() -> None:
    world = admitted_world().open_jurisdictions()
    world.declare(label="ended", jurisdictions=["us"], window=window(30, -20))
    world.declare(label="to come", jurisdictions=["uk"], window=window(-10, 20))
    world.declare(label="other", sector="retail")
    world.declare(label="stranger", jurisdictions=["jp"], signer="stranger")
    state = world.state()
    pairs = (("finance", "eu"), ("finance", "uk"), ("finance", "us"), ("retail", "eu"))
    assert dict(state.declared) == {ENV: pairs}
    assert state.memory.declared == tuple(DeclaredScope(ENV, "customer", *pair) for pair in pairs)


def test_lost_files_are_remembered_and_the_operator_can_end_it() -> None:
    world = admitted_world()
    world.declare(label="wide", jurisdictions=["eu", "us"])
    world.state()
    world.evidence = {}
    assert dict(world.state().declared) == {ENV: (("finance", "eu"), ("finance", "us"))}
    world.grants["customer"] = (grant("customer", jurisdictions=("us",)),)
    assert dict(world.state().declared) == {ENV: (("finance", "us"),)}
    assert len(world.memory.declared) == 2


def test_nothing_is_added_while_nothing_is_new() -> None:
    world = admitted_world()
    first = world.state().memory.declared
    assert world.state().memory.declared == first
