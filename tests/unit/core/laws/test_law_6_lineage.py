"""Law 6: the lineage is everything that was named on the way, of every parent and successor."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.documents import WithdrawalKind as K
from sidecar.core.memory import LineageNode
from sidecar.core.predicates import MANIFEST
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS, CHILD, MODEL
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, statement, suites, window
from tests.support.simulator.world import World, admitted_world, refusal, tuned_on_world

FORGOTTEN = "f" * 64
APPROVALS = tuple(f"approval:{role}" for role in APPROVERS)


def corpus(digest: str) -> list[dict[str, Any]]:
    return [{**manifest_predicate()["corpora"][0], "digest": {"sha256": digest}}]


def superseded_parent(signer: str = "producer") -> World:
    """``CHILD`` was tuned on the first manifest of ``MODEL``; a second one names another corpus."""
    world = tuned_on_world()
    supersedes = {"sha256": world.digests["manifest"]}
    world.bind(
        "second", signer, supersedes=supersedes, corpora=corpus(FORGOTTEN), window=window(5, 9)
    )
    assert world.ask(CHILD).reason is None
    return world


def test_case_13_a_specification_that_a_successors_own_extends_is_in_the_childs_lineage() -> None:
    world = superseded_parent()
    first = world.specify()
    extension = world.specify("extension", extends={"sha256": first})
    supersedes = {"sha256": world.digests["second"]}
    under = {"sha256": extension}
    world.bind("third", supersedes=supersedes, specification=under, window=window(4, 9))
    assert world.ask(CHILD).reason is None
    for lost in ("", "specification", "extension", "third"):
        world.evidence.pop(lost, None)
        world.parties["regulator"].withdraw("specification", first)
        assert world.ask(CHILD).reason is Reason.WITHDRAWN
        world.parties["regulator"].withdrawals.clear()
        assert world.ask(CHILD).reason is None


def test_a_failure_that_an_evaluator_published_for_a_parent_denies_the_child() -> None:
    world = tuned_on_world()
    world.join("lab", grant("evaluator"))
    assert world.ask(CHILD).reason is None
    suite = suites()[0]
    world.parties["lab"].fail(world.digests["manifest"], suite)
    label = f"{suite['kind']} suite {suite['name']}"
    refused = (Reason.PREACTIVATION_FAILED, 4, f"lab published that {label} failed: bias")
    assert refusal(world.ask()) == refused
    detail = f"lab published that {label} of its parent {MODEL} failed: bias"
    assert refusal(world.ask(CHILD)) == (Reason.PREACTIVATION_FAILED, 4, detail)
    world.evidence.pop("result")
    assert refusal(world.ask(CHILD)) == (Reason.PREACTIVATION_FAILED, 4, detail)
    world.parties["lab"].failures.clear()
    assert world.ask(CHILD).reason is None


def test_a_failure_of_a_successor_of_the_parent_leaves_the_child_alone() -> None:
    world = superseded_parent()
    world.parties["evaluator"].fail(world.digests["second"], suites()[0])
    assert world.ask(CHILD).reason is None


@pytest.mark.parametrize("noun", ["corpus", "manifest", "result", "approval"])
def test_case_6_what_hits_the_successor_of_a_parent_hits_the_child(noun: str) -> None:
    world = superseded_parent()
    subjects = {
        "corpus": FORGOTTEN,
        "manifest": world.digests["second"],
        "result": world.result("second:result", manifest="second"),
        "approval": world.approve("regulator", label="second:approval", manifest="second"),
    }
    world.parties["regulator"].withdraw(noun, subjects[noun])
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


def test_case_6_a_successor_of_a_successor_counts_too() -> None:
    world = superseded_parent()
    supersedes = {"sha256": world.digests["second"]}
    world.bind("third", supersedes=supersedes, corpora=corpus("e" * 64), window=window(4, 9))
    world.parties["regulator"].withdraw("corpus", "e" * 64)
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


def test_what_a_successor_was_tuned_on_counts_too_also_when_both_files_are_lost() -> None:
    world = tuned_on_world()
    world.bind("older", model="ft:older", corpora=corpus(FORGOTTEN))
    model = {**manifest_predicate()["model"], "parent": {"sha256": world.digests["older"]}}
    supersedes = {"sha256": world.digests["manifest"]}
    predicate = {**manifest_predicate(), "model": model, "supersedes": supersedes}
    world.sign("second", statement(MANIFEST, MODEL, sha("second"), predicate), "producer")
    assert world.ask(CHILD).reason is None
    del world.evidence["second"], world.evidence["older"]
    assert world.ask(CHILD).reason is None
    world.parties["regulator"].withdraw("corpus", FORGOTTEN)
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


@pytest.mark.parametrize("noun", ["approval:regulator", "result"])
def test_case_6_a_withdrawn_approval_or_result_of_the_parent_denies_the_child(noun: str) -> None:
    world = tuned_on_world()
    world.parties["regulator"].withdraw(noun.split(":", maxsplit=1)[0], world.digests[noun])
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


@pytest.mark.parametrize("noun", ["approval:regulator", "result"])
def test_a_gate_that_never_saw_what_was_withdrawn_of_the_parent_denies_the_child(noun: str) -> None:
    """A new gate, without the parent's statements: the withdrawal states what they are about."""
    world = tuned_on_world()
    kept = {label: world.evidence.pop(label) for label in ("result", *APPROVALS)}
    assert world.ask(CHILD).reason is None
    kind, author = noun.partition(":")[0], noun.partition(":")[2] or "evaluator"
    world.parties[author].withdraw(kind, world.digests[noun])
    assert world.ask(CHILD).reason is None  # so it was published before: nobody can know
    (entry,) = world.parties[author].withdrawals
    entry["manifest"] = world.digests["manifest"]
    answer = world.ask(CHILD)
    assert answer.failed is not None
    assert answer.failed.withdrawn is not None
    assert answer.failed.withdrawn.node == LineageNode(K(kind), world.digests[noun])
    world.evidence |= kept
    assert world.ask(MODEL).reason is Reason.WITHDRAWN


def test_of_the_model_that_is_called_another_statement_is_enough_as_before() -> None:
    world = tuned_on_world()
    old = world.digests["child:result"]
    world.result("renewed", manifest="child", model=CHILD, window=window(1, 25))
    world.parties["evaluator"].withdraw("result", old)
    world.parties["evaluator"].withdrawals[0]["manifest"] = world.digests["child"]
    assert world.ask(CHILD).reason is None


def test_what_is_withdrawn_of_an_announced_successor_counts_before_it_is_seen() -> None:
    world = tuned_on_world()
    by = sha("successor")
    entry = {"manifest": world.digests["manifest"], "by": by}
    world.parties["producer"].supersessions.append(entry)
    assert world.ask(CHILD).reason is None
    world.parties["evaluator"].withdraw("result", sha("its result"))
    world.parties["evaluator"].withdrawals[0]["manifest"] = by
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


def test_a_successor_that_was_only_announced_counts_by_its_digest() -> None:
    world = tuned_on_world()
    announced = {"manifest": world.digests["manifest"], "by": FORGOTTEN}
    world.parties["producer"].supersessions.append(announced)
    assert world.ask(CHILD).reason is None
    world.parties["regulator"].withdraw("manifest", FORGOTTEN)
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


def test_the_key_of_a_successors_only_signer_counts() -> None:
    world = tuned_on_world()
    world.join("tuner", grant("producer"))
    supersedes = {"sha256": world.digests["manifest"]}
    world.bind("second", "tuner", supersedes=supersedes, window=window(5, 9))
    assert world.ask(CHILD).reason is None
    world.parties["regulator"].withdraw("key", world.parties["tuner"].key.fingerprint)
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


def test_a_successor_counts_until_no_key_under_it_stands_and_denies_from_then_on() -> None:
    world = tuned_on_world()
    for name in ("tuner", "partner"):
        world.join(name, grant("producer"))
    supersedes = {"sha256": world.digests["manifest"]}
    predicate = manifest_predicate(supersedes=supersedes, window=window(5, 9))
    world.sign("second", statement(MANIFEST, MODEL, sha("job"), predicate), "tuner", "partner")
    regulator = world.parties["regulator"]
    regulator.withdraw("key", world.parties["tuner"].key.fingerprint)
    assert world.ask(CHILD).reason is None
    regulator.withdraw("authority", "partner")
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


@pytest.mark.parametrize("how", ["evidence", "announcement"])
def test_a_successor_by_one_that_may_not_produce_here_hits_nothing(how: str) -> None:
    world = tuned_on_world()
    world.join("other", grant("producer", environments=("spiffe://other.example/**",)))
    if how == "evidence":
        supersedes = {"sha256": world.digests["manifest"]}
        world.bind("x", "other", supersedes=supersedes, corpora=corpus(FORGOTTEN))
    else:
        announced = {"manifest": world.digests["manifest"], "by": FORGOTTEN}
        world.parties["other"].supersessions.append(announced)
    world.parties["regulator"].withdraw("corpus", FORGOTTEN)
    world.parties["regulator"].withdraw("manifest", FORGOTTEN)
    assert [world.ask(name).reason for name in (MODEL, CHILD)] == [None, None]


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        ({"sectors": ("finance",)}, Reason.WITHDRAWN),
        ({"sectors": ("healthcare",)}, None),
        ({"models": (f"openai/{MODEL}",)}, Reason.WITHDRAWN),
        ({"models": (f"openai/{CHILD}",)}, None),
    ],
)
def test_a_successor_counts_by_a_producer_granted_its_sector_and_model(
    scope: dict[str, Any], reason: Reason | None
) -> None:
    world = tuned_on_world()
    world.join("tuner", grant("producer", **scope))
    supersedes = {"sha256": world.digests["manifest"]}
    world.bind("second", "tuner", supersedes=supersedes, corpora=corpus(FORGOTTEN))
    world.parties["regulator"].withdraw("corpus", FORGOTTEN)
    assert world.ask(CHILD).reason is reason


def test_a_grader_of_the_run_is_withdrawn_as_an_evaluation() -> None:
    world = admitted_world()
    run = manifest_predicate()["run"]
    graders = [{"name": "judge", "digest": {"sha256": sha("judge")}}]
    world.bind(run={**run, "graders": graders})
    world.result()
    for role in ("provider", "customer", "regulator"):
        world.approve(role)
    assert world.ask().reason is None
    world.parties["regulator"].withdraw("evaluation", sha("judge"))
    assert world.ask().reason is Reason.WITHDRAWN


JUDGE = "openai/gpt-4.1-2025-04-14"


def judged_world() -> World:
    """A world whose manifest names another model that its run asked."""
    world = admitted_world()
    world.bind(run={**manifest_predicate()["run"], "models": [JUDGE]})
    world.result()
    for role in ("provider", "customer", "regulator"):
        world.approve(role)
    return world


@pytest.mark.parametrize(
    ("kind", "subject"),
    [("model", JUDGE), ("base-model", JUDGE), ("base-model", "openai/gpt-4.1-*")],
)
def test_a_model_that_the_run_asked_is_withdrawn_as_any_other(kind: str, subject: str) -> None:
    world = judged_world()
    assert world.ask().reason is None
    world.parties["regulator"].withdraw(kind, subject)
    assert world.ask().reason is Reason.WITHDRAWN


def test_an_authority_for_the_model_that_the_run_asked_may_object() -> None:
    world = judged_world()
    world.join("judges", grant("provider", models=(JUDGE,)))
    assert world.ask().reason is None
    world.parties["judges"].withdraw("model", JUDGE)
    assert world.ask().reason is Reason.WITHDRAWN


def test_manifests_that_supersede_one_another_in_a_ring_do_not_hang() -> None:
    world = admitted_world()
    ring = {"manifest": world.digests["manifest"], "by": FORGOTTEN}
    world.parties["producer"].supersessions += [
        ring,
        {"manifest": FORGOTTEN, "by": world.digests["manifest"]},
    ]
    assert world.ask().reason is None
