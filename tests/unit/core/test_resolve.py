"""Steps 1 and 2: a credential names one declared environment, a name one manifest or base."""

from __future__ import annotations

from sidecar.core.reasons import Reason
from tests.support.simulator.constants import MODEL, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import window
from tests.support.simulator.world import admitted_world, refusal


def test_an_environment_that_no_customer_declared_is_unknown() -> None:
    found = admitted_world().ask(environment="spiffe://acme.example/env/elsewhere")
    assert refusal(found)[:2] == (Reason.ENVIRONMENT_UNKNOWN, 1)
    assert (found.manifests, found.valid_until) == ((), NOW)


def test_a_declaration_outside_its_window_declares_nothing() -> None:
    world = admitted_world()
    world.declare(window=window(20, -1))
    assert refusal(world.ask())[:2] == (Reason.ENVIRONMENT_UNKNOWN, 1)


def test_of_several_customers_declarations_the_newest_is_taken_first() -> None:
    """Where it admits nothing, the one before it is."""
    world = admitted_world()
    world.join("second", grant("customer"))
    for days, first in ((1, "newer"), (40, "environment")):
        world.declare(label="newer", signer="second", window=window(days, 25))
        found = world.ask()
        assert found.environment is not None
        assert found.environment.digest == world.digests[first]
    world.declare(label="newer", signer="second", purpose="other", window=window(1, 25))
    assert world.ask().reason is None


def test_law_2_of_declarations_that_begin_together_each_may_be_relied_on() -> None:
    """If the digest decided between them, losing the file of one could admit by the other."""
    world, narrower = admitted_world(), set[bool]()
    good = world.declare(window=window(10, 25))
    for number in range(8):
        other = world.declare(label="other", purpose=f"other-{number}", window=window(10, 25))
        narrower.add(world.digests["other"] > world.digests["environment"])
        assert good != other
        assert world.ask().reason is None
    assert narrower == {True, False}
    world.declare(label="other", purpose="other", window=window(9, 25))
    assert world.ask().reason is Reason.ENVIRONMENT_NOT_COVERED


def test_a_name_without_a_manifest_is_a_base_model_only_where_it_is_listed() -> None:
    world = admitted_world()
    found = [refusal(world.ask(name))[0] for name in (MODEL, "gpt-4.1-mini", "ft:x:acme::y")]
    assert found == [None, Reason.BASE_MODEL_NOT_LISTED, Reason.MANIFEST_MISSING]


def test_the_reference_time_is_the_one_that_is_given() -> None:
    world = admitted_world()
    ended = world.ask(now=NOW.replace(year=NOW.year + 2))
    assert refusal(ended)[1] == 1


def test_a_manifest_that_no_producer_signed_does_not_state_why_a_producers_is_refused() -> None:
    world = admitted_world()
    del world.evidence["approval:regulator"]
    world.join("stranger")
    world.bind("newer", signer="stranger", window=window(1, 30))
    assert refusal(world.ask())[:2] == (Reason.APPROVAL_MISSING, 5)
