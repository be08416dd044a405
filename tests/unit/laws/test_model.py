"""The reference model itself, held against the cases that the laws were written for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.laws import laboratory, universe
from tests.support.laws.history import (
    Heartbeat,
    Lose,
    Mirror,
    Operation,
    Publish,
    Regrant,
    Restart,
    Rotate,
    SetFloors,
    TakeBack,
    Wait,
)
from tests.support.laws.laboratory import LAB, NEW
from tests.support.laws.nouns import (
    Approval,
    Declaration,
    Failure,
    Floor,
    Manifest,
    Question,
    Span,
    Specification,
    Waiver,
    Withdrawal,
    covers,
)
from tests.support.laws.ruling import Ruling
from tests.support.laws.universe import CHILD, DUAL, EVERYWHERE, LONG, PARENT, PROD
from tests.support.simulator.predicates import sha
from tests.unit.laws.scene import (
    BASE_IN_DUAL,
    CHILD_IN_DUAL,
    CHILD_IN_PROD,
    PARENT_IN_PROD,
    Scene,
)

CORPUS = sha("shared corpus")


def test_every_question_is_admitted_to_begin_with() -> None:
    scene = Scene()
    assert [scene.ask(question).admitted for question in universe.QUESTIONS] == [True] * 9


@pytest.mark.parametrize(
    "operation",
    [
        Rotate("eu-b", "eu-b/2", None),
        Rotate("eu-b", "eu-b/2", 6),
        Wait(24 * 80),
        Mirror("eu-b", hangs=True),
        Heartbeat("eu-b", stops=True),
        Restart(),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_law_1_nothing_but_taking_it_back_ends_a_withdrawal(operation: Operation) -> None:
    scene = Scene().withdraw("eu-b", "corpus", CORPUS)
    own = [file for file in scene.run.world.files if "eu-b/1" in file.keys]
    scene.do(operation, *(Lose(file.digest) for file in own))
    for file in own:
        scene.sign(file.content, "eu-a")  # who said the same, and whose file is still there
    assert not scene.ask(PARENT_IN_PROD).admitted
    assert ("eu-b", Withdrawal("corpus", CORPUS)) in scene.ask(PARENT_IN_PROD).noes


def test_law_1_its_author_takes_it_back_and_the_operator_may_end_it() -> None:
    withdrawn = Scene().withdraw("eu-b", "corpus", CORPUS)
    withdrawn.do(TakeBack("eu-b", Withdrawal("corpus", CORPUS)))
    assert withdrawn.ask(PARENT_IN_PROD).admitted
    ended = Scene().withdraw("eu-b", "corpus", CORPUS).do(Regrant("eu-b", ()))
    assert ended.ask(PARENT_IN_PROD).admitted


def test_law_1_a_failure_stands_whoever_withdraws_the_result() -> None:
    scene = Scene()
    parent = scene.item(Manifest, PARENT)
    failed = scene.sign(universe.result(parent, outcome="FAILED"), "eval-b")
    assert scene.ask(PARENT_IN_PROD).admitted  # a file changes nothing by itself
    scene.do(Publish("eval-b", Failure(parent.digest, universe.SUITES[0].digest, failed.digest)))
    scene.withdraw("acme-ml", "result", failed.digest).do(Lose(failed.digest))
    assert scene.ask(PARENT_IN_PROD).step == 4


def test_law_3_withdrawing_the_renewed_approval_withdraws_the_older_one() -> None:
    scene = Scene().do(Regrant("eu-b", ()), Regrant("world", ()))
    parent = scene.item(Manifest, PARENT)
    content = universe.approval(parent, "regulator", ("eu",), Span(0, 24 * 60))
    renewed = scene.sign(content, "eu-a")
    assert scene.ask(PARENT_IN_PROD).admitted
    scene.withdraw("eu-a", "approval", renewed.digest)
    assert scene.ask(PARENT_IN_PROD).step == 6


def test_law_4_silence_denies_where_the_grant_states_it_and_hearsay_is_needed_once() -> None:
    assert Scene().do(Mirror("us-a", hangs=True), Wait(60)).ask(CHILD_IN_DUAL).step == 7
    assert Scene().do(Mirror("us-a", hangs=True), Wait(60)).ask(CHILD_IN_PROD).admitted
    assert Scene().do(Mirror("eval-b", hangs=True), Wait(60)).ask(CHILD_IN_DUAL).admitted
    unheard = Scene()
    del unheard.run.world.views["eval-b"]
    unheard.do(Mirror("eval-b", hangs=True))
    assert unheard.ask(CHILD_IN_DUAL).step == 7


def test_law_5_a_redeclaration_stays_above_the_floor() -> None:
    scene = Scene().withdraw("eu-a", "environment", DUAL)
    scene.sign(universe.declaration(DUAL, ("us",), Span(0, 24 * 60)), "acme")
    assert scene.ask(CHILD_IN_DUAL).step == 6  # it was an objector's when it was withdrawn
    scene.do(TakeBack("eu-a", Withdrawal("environment", DUAL)))
    assert scene.ask(CHILD_IN_DUAL).admitted
    for file in list(scene.run.world.files):
        if "eu-a/1" in file.keys:
            scene.do(Lose(file.digest))
    assert scene.ask(CHILD_IN_DUAL).admitted  # without a floor this is the customer's to say
    assert scene.do(SetFloors((Floor((DUAL,), ("eu",)),))).ask(CHILD_IN_DUAL).step == 5
    scene = Scene().do(SetFloors((Floor((PROD,), (), "health"),)))
    assert (scene.ask(PARENT_IN_PROD).step, scene.ask(CHILD_IN_DUAL).admitted) == (1, True)


def test_law_6_what_hits_a_parent_or_its_successor_hits_the_child() -> None:
    scene = Scene()
    successor = scene.successor(scene.item(Manifest, PARENT))
    assert isinstance(successor.content, Manifest)
    assert scene.ask(CHILD_IN_PROD).admitted
    scene.withdraw("eu-a", "corpus", successor.content.corpora[0])
    assert scene.ask(CHILD_IN_PROD).step == 6
    assert not scene.ask(PARENT_IN_PROD).admitted
    assert scene.do(Lose(successor.digest)).ask(CHILD_IN_PROD).step == 6
    approved = Scene()
    of_parent = approved.item(Approval, PARENT, "provider")
    assert approved.withdraw("provider", "approval", of_parent.digest).ask(CHILD_IN_PROD).step == 6


def test_law_6_a_failure_of_the_parent_denies_the_child() -> None:
    scene = Scene()
    parent = scene.item(Manifest, PARENT)
    scene.do(Publish("eval-b", Failure(parent.digest, universe.SUITES[0].digest, "0" * 64)))
    assert (scene.ask(PARENT_IN_PROD).step, scene.ask(CHILD_IN_PROD).step) == (4, 4)


@pytest.mark.parametrize("kind", ["model", "base-model"])
def test_law_6_a_base_model_is_withdrawn_with_all_that_was_made_of_it(kind: str) -> None:
    scene = Scene().withdraw("eu-a", kind, f"openai/{universe.BASE}")
    assert [scene.ask(q).step for q in (BASE_IN_DUAL, PARENT_IN_PROD, CHILD_IN_DUAL)] == [6] * 3


def test_law_7_a_successor_takes_over_when_complete_and_never_falls_back() -> None:
    scene = Scene()
    old = scene.item(Manifest, PARENT)
    new = scene.successor(old)
    assert scene.ask(PARENT_IN_PROD).manifest == old.digest
    scene.complete(new)
    assert scene.ask(PARENT_IN_PROD).manifest == new.digest
    scene.do(Lose(new.digest), Restart())
    assert (scene.ask(PARENT_IN_PROD).admitted, scene.ask(PARENT_IN_PROD).step) == (False, 2)


def test_law_7_a_stranger_supersedes_nothing() -> None:
    scene = Scene()
    old = scene.item(Manifest, PARENT)
    scene.complete(scene.successor(old, "globex-ml"))
    assert scene.ask(PARENT_IN_PROD).manifest == old.digest
    assert scene.ask(PARENT_IN_PROD).admitted


def test_law_8_an_overlap_and_a_new_signature_keep_everything_admitted() -> None:
    at_once = Scene().do(Rotate("provider", "provider/2", None))
    assert at_once.ask(PARENT_IN_PROD).step == 5
    scene = Scene().do(Rotate("provider", "provider/2", 6))
    assert scene.ask(PARENT_IN_PROD).admitted
    for file in list(scene.run.world.files):
        if "provider/1" in file.keys:
            scene.sign(file.content, "provider")
    assert scene.do(Wait(7)).ask(PARENT_IN_PROD).admitted


def test_case_13_an_extension_only_adds_and_keeps_its_lineage() -> None:
    scene = Scene()
    base = universe.SPECIFICATION
    place = replace(base.places[0], operations=(*universe.OPERATIONS, "batches"))
    child = scene.item(Manifest, CHILD)
    batches = Question(DUAL, CHILD, "batches")

    def bound_under(specification: Specification) -> Ruling:
        digest = scene.sign(specification, "acme").digest
        assert isinstance(child.content, Manifest)
        new = replace(
            child.content,
            places=specification.places,
            specification=digest,
            supersedes=child.digest,
            span=Span(0, 24 * 60),
        )
        item = scene.sign(new, "acme-ml")
        for content, who in universe.needed(scene.made, item, scene.made_rng):
            scene.sign(content, who)
            if isinstance(content, Approval):
                scene.sign(replace(content, operations=place.operations), who)
        return scene.ask(batches)

    assert scene.ask(batches).step == 3
    fewer = replace(place, operations=("batches",))
    assert bound_under(replace(base, places=(fewer,), extends=universe.UNDER)).step == 3
    assert bound_under(replace(base, places=(place,), extends=universe.UNDER)).admitted
    assert scene.withdraw("eu-a", "specification", universe.UNDER).ask(batches).step == 6
    scene.do(Lose(universe.UNDER))
    assert scene.ask(batches).step == 3


def test_a_tuning_call_needs_its_specification_and_everything_that_is_tuned() -> None:
    scene = Scene()
    tuning = Question(PROD, CHILD, universe.TUNE, others=(universe.BASE,), tunes=universe.UNDER)
    assert scene.ask(tuning).admitted
    assert scene.ask(replace(tuning, tunes="0" * 64)).step == 3
    scene.sign(universe.declaration(PROD, ("eu",), Span(0, 48), ()), "acme")
    assert scene.ask(tuning).step == 2
    assert scene.ask(replace(tuning, others=())).admitted
    assert scene.withdraw("eu-a", "specification", universe.UNDER).ask(tuning).step == 2
    assert scene.ask(replace(tuning, others=())).step == 6


def test_a_call_of_several_models_is_refused_by_the_first_step_that_refuses_any() -> None:
    scene = Scene()
    both = Question(PROD, PARENT, others=(universe.BASE,))
    assert scene.ask(both).admitted
    scene.withdraw("eu-a", "manifest", scene.item(Manifest, PARENT).digest)
    assert scene.ask(both).step == 6
    scene.sign(universe.declaration(PROD, ("eu",), Span(0, 48), ()), "acme")
    assert scene.ask(both).step == 2


def test_the_sandbox_lets_an_evaluator_look_at_what_nobody_approved() -> None:
    scene = Scene(sandbox=True)
    calls = {question: scene.ask(question).why for question in laboratory.REFUSED}
    assert list(calls.values()) == [
        "environment_not_covered",
        "sandbox_not_granted",
        "manifest_missing",
        "unsupported_operation",
        "unsupported_operation",
    ]
    here, there = Question(LAB, NEW, sandbox=True), Question(PROD, NEW)
    assert (scene.ask(here).why, scene.ask(there).why) == ("admitted", "preactivation_missing")
    scene.complete(scene.item(Manifest, NEW))
    assert (scene.ask(here).why, scene.ask(there).why) == ("admitted", "admitted")
    aside = replace(universe.declaration(LAB, ("eu",), Span(0, 24 * 60)), purpose="support")
    scene.sign(aside, "lab")
    assert (scene.ask(here).why, scene.ask(there).why) == ("sandbox_not_granted", "admitted")


def test_a_no_counts_in_the_sandbox_wherever_its_author_is_granted_the_model() -> None:
    scene, here = Scene(sandbox=True), Question(LAB, NEW, sandbox=True)
    assert not covers(scene.run.world.operator.grants["us-b"][0].environments, LAB)
    scene.withdraw("us-b", "corpus", CORPUS)
    assert scene.ask(here).why == "withdrawn"
    scene.do(TakeBack("us-b", Withdrawal("corpus", CORPUS)))
    failure = Failure(scene.item(Manifest, NEW).digest, universe.SUITES[0].digest, "0" * 64)
    assert scene.do(Publish("eval-a", failure)).ask(here).why == "preactivation_failed"
    assert scene.do(Publish("lab", failure)).ask(here).admitted  # it alone can take it back
    assert scene.do(TakeBack("lab", failure)).ask(here).why == "preactivation_failed"


def test_a_waiver_is_dropped_with_the_word_of_its_regulator() -> None:
    scene = Scene()
    waiver = scene.sign(Waiver(PROD, "eu-art-50", "eu", LONG), "eu-a")
    scene.sign(Waiver(PROD, "eu-art-50", "us", LONG), "us-a")  # of no jurisdiction of prod
    scene.sign(Waiver(PROD, "us-rule", "eu", LONG), "acme")  # by nobody who may
    assert scene.ask(PARENT_IN_PROD).waivers == {waiver.digest}
    scene.withdraw("eu-a", "waiver", waiver.digest)
    assert scene.ask(PARENT_IN_PROD).admitted
    assert not scene.ask(PARENT_IN_PROD).waivers


def test_structure_cannot_be_waived() -> None:
    scene = Scene().withdraw("eu-a", "corpus", CORPUS)
    for rule in ("withdrawn", "*", "**"):
        scene.sign(Waiver(PROD, rule, "eu", LONG), "eu-a")
    assert scene.ask(PARENT_IN_PROD).step == 6


def test_one_authority_fills_one_role_and_pieces_add_up() -> None:
    scene = Scene()
    child = scene.item(Manifest, CHILD)
    for file in list(scene.run.world.files):
        said = file.content
        if isinstance(said, Approval) and said.role == "provider" and said.model == CHILD:
            scene.do(Lose(file.digest))
    assert scene.ask(CHILD_IN_DUAL).step == 5
    for where in EVERYWHERE:
        scene.sign(universe.approval(child, "provider", (where,), LONG), "provider")
    assert scene.ask(CHILD_IN_DUAL).admitted


def test_of_several_declarations_of_one_author_the_newest_counts() -> None:
    scene = Scene()
    scene.sign(universe.declaration(DUAL, EVERYWHERE, Span(0, 48), ()), "acme")
    assert isinstance(scene.run.world.files[-1].content, Declaration)
    assert scene.ask(BASE_IN_DUAL).step == 2
    assert scene.do(Wait(50)).ask(BASE_IN_DUAL).step == 1


def test_patterns_keep_to_segments() -> None:
    assert covers(("openai/ft:**",), "openai/ft:a/b")
    assert covers(("spiffe://a/env/*",), "spiffe://a/env/prod")
    assert not covers(("spiffe://a/env/*",), "spiffe://a/env/prod/eu")
    assert covers(("a/*/c",), "a/b/c")
    assert not covers(("a/*/c",), "a/b/b/c")
    assert not covers(("",), "")
