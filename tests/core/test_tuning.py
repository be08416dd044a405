"""What may be tuned, under which specification, and what that means for what comes out of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from sidecar.core import facts as facts_module
from sidecar.core.assess import assess
from sidecar.core.assessment import Finding, Specified
from sidecar.core.call import Call
from sidecar.core.evidence import MANIFEST, Signer
from sidecar.core.patterns import any_covers
from sidecar.core.reasons import Reason
from sidecar.core.window import rfc3339
from tests.simulator.keys import SimKey
from tests.simulator.world import (
    APPROVERS,
    BASE,
    CHILD,
    DAY,
    DEPLOYMENT,
    ENV,
    MODEL,
    NOW,
    World,
    admitted_world,
    credential,
    grant,
    manifest_predicate,
    refusal,
    sha,
    specification_predicate,
    stamp,
    statement,
    suite,
    suites,
    tuned_on_world,
    window,
)

TUNE = "fine_tuning.jobs.create"
SECOND = timedelta(seconds=1)
RUN = NOW - 40 * DAY
"""When the run of ``manifest_predicate`` began."""


def tuning_world() -> World:
    """The base model may be tuned, under the specification, and not called."""
    world = admitted_world()
    world.declare(baseModels=[], tuningModels=["openai/gpt-4o-*"])
    world.specify()
    return world


def job(world: World, *tuned: str, **changes: Any) -> Call:
    given = {"specification": world.digests["specification"], **changes}
    return Call("openai", TUNE, (), tuned=tuned or (BASE,), **given)


def told(world: World, call: Call | None = None, **changes: Any) -> tuple[Reason | None, int, str]:
    return refusal(world.put(job(world) if call is None else call, **changes))


def test_a_listed_base_model_is_tuned_under_a_customers_specification() -> None:
    world = tuning_world()
    digest = world.digests["specification"]
    assessment = world.put(job(world))
    assert assessment.findings == (
        Finding(0, TUNE, None, f"names {BASE}"),
        Finding(1, ENV, None, "declared by customer"),
        Finding(2, BASE, None, "a base model the environment lists"),
        Finding(3, digest, None, "signed by customer"),
        Finding(6, ENV, None, "4 things relied on, none withdrawn"),
        Finding(6, BASE, None, "1 things relied on, none withdrawn"),
        Finding(6, digest, None, "6 things relied on, none withdrawn"),
        Finding(7, "customer, provider", None, "2 constituents are fresh"),
    )
    signer = Signer("customer", world.parties["customer"].key.fingerprint)
    assert assessment.specification == Specified(world.state().specifications[digest], signer)
    facts = facts_module.prove(job(world), credential(), assessment, rfc3339(NOW), "n")
    request = facts.request
    assert (request.models, request.tuned, request.specification) == ((BASE,), (BASE,), digest)
    assert (request.run, facts.adaptations) == ((), ())


def test_the_facts_of_a_model_that_also_grades_say_that_it_is_run() -> None:
    world = tuning_world()
    patterns = [f"openai/{BASE}"]
    world.declare(baseModels=patterns, tuningModels=patterns)
    both = dataclasses.replace(job(world), models=(BASE,))
    facts = facts_module.prove(both, credential(), world.put(both), rfc3339(NOW), "n")
    request = facts.request
    assert (request.models, request.run, request.tuned) == ((BASE,), (BASE,), (BASE,))


def test_what_may_be_called_may_not_be_tuned_for_that_and_the_other_way_round() -> None:
    world = tuning_world()
    tuning = (
        Reason.BASE_MODEL_NOT_LISTED,
        2,
        "a base model that the environment's declaration does not list for tuning",
    )
    calling = (
        Reason.BASE_MODEL_NOT_LISTED,
        2,
        "a base model that the environment's declaration does not list",
    )
    both = dataclasses.replace(job(world), models=(BASE,))
    answers = {}
    for called, tuned in ((0, 0), (0, 1), (1, 0), (1, 1)):
        patterns = [f"openai/{BASE}"]
        world.declare(baseModels=patterns * called, tuningModels=patterns * tuned)
        answers[called, tuned] = tuple(
            told(world, call) for call in (job(world), Call("openai", TUNE, (BASE,)), both)
        )
    fine = (None, -1, "")
    assert answers == {
        (0, 0): (tuning, calling, calling),
        (0, 1): (fine, calling, calling),
        (1, 0): (tuning, fine, tuning),
        (1, 1): (fine, fine, fine),
    }


def test_a_declaration_that_is_silent_about_tuning_lists_nothing_for_it() -> None:
    world = tuning_world()
    world.declare()
    assert told(world)[:2] == (Reason.BASE_MODEL_NOT_LISTED, 2)


def test_a_base_model_needs_a_provider_that_answers_for_it_to_be_tuned() -> None:
    world = tuning_world()
    world.declare(tuningModels=["openai/**"])
    assert told(world, job(world, "gpt-9"))[:2] == (Reason.MANIFEST_MISSING, 2)
    assert told(world, job(world, "gpt-4.1-mini"))[0] is None


def test_every_model_that_would_be_tuned_must_be_admissible() -> None:
    world = tuning_world()
    assert told(world, job(world, BASE, "gpt-4o-mini"))[0] is None
    assert told(world, job(world, BASE, "gpt-4.1-mini"))[:2] == (Reason.BASE_MODEL_NOT_LISTED, 2)


def parent_world() -> World:
    """``MODEL`` may be tuned on: its manifest and every approval cover that operation."""
    world = tuning_world()
    spec = {**manifest_predicate()["environments"][0], "operations": [TUNE]}
    predicate = {**manifest_predicate(), "environments": [spec]}
    world.sign("manifest", statement(MANIFEST, MODEL, sha("job"), predicate), "producer")
    world.result()
    for role in APPROVERS:
        world.approve(role, operations=[TUNE])
    return world


PARENT: list[tuple[str, Callable[[World], Any], tuple[Reason, int]]] = [
    ("no manifest", lambda w: w.evidence.pop("manifest"), (Reason.MANIFEST_MISSING, 2)),
    ("no result", lambda w: w.evidence.pop("result"), (Reason.PREACTIVATION_MISSING, 4)),
    *(
        (f"no {r}", lambda w, r=r: w.evidence.pop(f"approval:{r}"), (Reason.APPROVAL_MISSING, 5))
        for r in APPROVERS
    ),
    ("approved for calls only", lambda w: w.approve("customer"), (Reason.APPROVAL_OUT_OF_SCOPE, 5)),
    (
        "withdrawn",
        lambda w: w.parties["regulator"].withdraw("model", f"openai/{MODEL}"),
        (Reason.WITHDRAWN, 6),
    ),
    ("stale", lambda w: setattr(w.parties["evaluator"], "expires", NOW), (Reason.TRUST_STALE, 7)),
]


@pytest.mark.parametrize(("spoil", "expected"), [c[1:] for c in PARENT], ids=[c[0] for c in PARENT])
def test_an_adapted_model_is_tuned_on_only_while_its_whole_chain_holds(
    spoil: Callable[[World], Any], expected: tuple[Reason, int]
) -> None:
    world = parent_world()
    assert told(world, job(world, MODEL))[0] is None
    spoil(world)
    assert told(world, job(world, MODEL))[:2] == expected


def test_a_manifest_that_covers_calls_does_not_cover_tuning() -> None:
    world = tuning_world()
    assert told(world, job(world, MODEL)) == (
        Reason.OPERATION_NOT_COVERED,
        3,
        f"the manifest does not cover {TUNE} in this environment",
    )


def test_a_deployment_is_tuned_as_what_it_is_bound_to() -> None:
    world = tuning_world()
    call = job(world, DEPLOYMENT, deployments=(DEPLOYMENT,))
    assert told(world, call)[:2] == (Reason.DEPLOYMENT_UNBOUND, 2)
    world.bind_deployment(model=BASE, manifest=None)
    assert told(world, call)[0] is None
    world.specify(models=[f"openai/{DEPLOYMENT}"])
    call = job(world, DEPLOYMENT, deployments=(DEPLOYMENT,))
    assert told(world, call) == unverified(f"it does not cover tuning openai/{BASE}")


def unverified(detail: str) -> tuple[Reason, int, str]:
    return (Reason.SPECIFICATION_UNVERIFIED, 3, detail)


def spec(**changes: Any) -> dict[str, Any]:
    return {**specification_predicate()["environments"][0], **changes}


def foreign(name: str) -> tuple[Reason, int, str]:
    return unverified(
        f"signed by {name}: no customer of every environment it names and the one that tunes"
    )


SPECIFICATIONS: list[tuple[str, Callable[[World], Any], tuple[Reason, int, str]]] = [
    (
        "unknown",
        lambda w: w.evidence.pop("specification"),
        unverified("no specification of this digest is known"),
    ),
    *(
        (f"signed by {name}", lambda w, n=name: w.specify(signer=n), foreign(name))
        for name in ("provider", "producer", "regulator", "evaluator", "stranger")
    ),
    (
        "a key that is over",
        lambda w: (
            w.join("office", grant("customer")),
            vars(w.parties["office"]).update(key_window=window(300, -1)),
            w.specify(signer="office"),
        ),
        foreign("office"),
    ),
    (
        "a customer of another environment than the one that tunes",
        lambda w: (
            w.join("office", grant("customer", environments=("spiffe://acme.example/env/lab",))),
            w.specify(signer="office", environments=[spec(id="spiffe://acme.example/env/lab")]),
        ),
        foreign("office"),
    ),
    *(
        (
            f"it names environments of others: {pattern}",
            lambda w, p=pattern: (
                w.join(
                    "office", grant("customer", environments=(ENV, "spiffe://office.example/*"))
                ),
                w.specify(
                    signer="office",
                    environments=[spec(id="spiffe://office.example/lab"), spec(id=p)],
                ),
            ),
            foreign("office"),
        )
        for pattern in ("spiffe://acme.example/env/*", "spiffe://office.example/**", "**")
    ),
    (
        "it names a sector of others",
        lambda w: (
            w.specify(environments=[spec(), spec(sector="defense")])
            and w.grants.update(
                customer=(grant("customer", sectors=("finance",), trust_domains=("acme.example",)),)
            )
        ),
        foreign("customer"),
    ),
    (
        "it names a jurisdiction of others",
        lambda w: w.specify(environments=[spec(jurisdictions=["eu", "uk"])]),
        foreign("customer"),
    ),
    (
        "a customer of other models",
        lambda w: w.grants.update(
            customer=(grant("customer", models=("openai/ft:*",), trust_domains=("acme.example",)),)
        ),
        foreign("customer"),
    ),
    (
        "over",
        lambda w: w.specify(window=window(60, -1)),
        unverified("outside the specification's window"),
    ),
    (
        "to come",
        lambda w: w.specify(window=window(-1, 60)),
        unverified("outside the specification's window"),
    ),
    (
        "of other models",
        lambda w: w.specify(models=["openai/ft:**", f"azure/{BASE}"]),
        unverified(f"it does not cover tuning openai/{BASE}"),
    ),
    (
        "no suite for a jurisdiction",
        lambda w: w.specify(environments=[spec(), spec(id=ENV, jurisdictions=["us", "eu"])]),
        unverified("it declares no compliance suite for us"),
    ),
]


@pytest.mark.parametrize(
    ("spoil", "expected"), [c[1:] for c in SPECIFICATIONS], ids=[c[0] for c in SPECIFICATIONS]
)
def test_any_other_specification_is_refused(
    spoil: Callable[[World], Any], expected: tuple[Reason, int, str]
) -> None:
    world = tuning_world()
    assert told(world)[0] is None
    spoil(world)
    assert told(world) == expected


def test_a_job_without_a_specification_is_refused() -> None:
    world = tuning_world()
    assert told(world, job(world, specification=None)) == (
        Reason.SPECIFICATION_MISSING,
        3,
        "the job came without an environment specification",
    )


def test_a_specification_is_known_by_its_digest_and_nothing_else() -> None:
    world = tuning_world()
    for other in (world.digests["environment"], world.digests["specification"].upper(), ""):
        assert told(world, job(world, specification=other)) == unverified(
            "no specification of this digest is known"
        )


@pytest.mark.parametrize(
    ("predicate", "why"),
    [
        (
            {"digest": sha("another")},
            "specification: the subject's digest is not that of what it says",
        ),
        (
            {"environments": []},
            "predicate: environments: Tuple should have at least 1 item after validation, not 0",
        ),
        (
            {"envelope": {"suites": []}},
            "predicate: envelope.suites: Tuple should have at least 1 item after validation, not 0",
        ),
        (
            {"models": []},
            "predicate: models: Tuple should have at least 1 item after validation, not 0",
        ),
    ],
)
def test_a_specification_that_says_nothing_or_something_else_is_none(
    predicate: dict[str, Any], why: str
) -> None:
    world = admitted_world()
    world.specify(**predicate)
    state = world.state()
    assert ([entry.why for entry in state.rejected], state.specifications) == ([why], {})


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (NOW - SECOND, Reason.SPECIFICATION_UNVERIFIED),
        (NOW, None),
        (NOW + DAY / 24 - SECOND, None),
        (NOW + DAY / 24, Reason.SPECIFICATION_UNVERIFIED),
    ],
)
def test_a_job_is_taken_in_its_specifications_window(at: datetime, reason: Reason | None) -> None:
    world = tuning_world()
    world.specify(window=window(0, 1 / 24))
    assessment = assess(job(world), credential(expires=NOW + DAY), world.state(), at)
    until = NOW + DAY / 24 if reason is None else assessment.valid_until
    assert (assessment.reason, assessment.valid_until) == (reason, until)


def office_world() -> World:
    """A second customer signed the specification."""
    world = tuning_world()
    world.join("office", grant("customer"))
    world.specify(signer="office")
    return world


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("specification", lambda w: w.digests["specification"]),
        ("key", lambda w: w.parties["office"].key.fingerprint),
        ("authority", lambda _: "office"),
        ("evaluation", lambda _: suite("regression")["digest"]["sha256"]),
        ("base-model", lambda _: f"openai/{BASE}"),
    ],
)
def test_a_withdrawal_ends_what_may_be_tuned(kind: str, subject: Callable[[World], str]) -> None:
    world = office_world()
    assert told(world)[0] is None
    world.parties["office"].withdraw(kind, subject(world), NOW + SECOND)
    assert world.put(job(world)).valid_until == NOW + SECOND
    assert told(world, now=NOW + SECOND)[:2] == (Reason.WITHDRAWN, 6)


def test_one_standing_customer_is_enough_for_a_specification() -> None:
    world = office_world()
    first = world.evidence["specification"]
    world.specify()
    world.evidence["specification:office"] = first
    assert len(world.state().specifications[world.digests["specification"]].signers) == 2
    for name in ("customer", "office"):
        party = world.parties["office"]
        party.withdrawals = []
        party.withdraw("key", world.parties[name].key.fingerprint)
        specified = world.put(job(world)).specification
        assert specified is not None
        assert specified.signer.authority != name


def ends(change: Callable[[World], Any]) -> datetime:
    world = office_world()
    change(world)
    far = credential(expires=NOW + 300 * DAY)
    assessment = assess(job(world), far, world.state(), NOW)
    assert assessment.reason is None
    return assessment.valid_until


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.specify(signer="office", window=window(1, 0.5)),
        lambda w: setattr(w.parties["office"], "key_window", window(300, 0.5)),
        lambda w: setattr(w.parties["office"], "expires", NOW + DAY / 2),
    ],
)
def test_a_job_is_admitted_until_the_specification_ends(change: Callable[[World], Any]) -> None:
    assert ends(change) == NOW + DAY / 2


def specified_world(**changes: Any) -> World:
    """``MODEL`` was tuned under a specification of the office, which is over by now."""
    world = admitted_world()
    world.join("office", grant("customer"))
    world.specify(signer="office", **{"window": window(60, -20), **changes})
    tuned_under(world)
    return world


def tuned_under(world: World, **changes: Any) -> None:
    """Sign the manifest as one that names the specification, and all that is about it."""
    declared = specification_predicate()
    predicate = {
        **manifest_predicate(),
        "environments": declared["environments"],
        "envelope": declared["envelope"],
        "specification": {"sha256": world.digests["specification"]},
        **changes,
    }
    world.sign("manifest", statement(MANIFEST, MODEL, sha("job"), predicate), "producer")
    world.result(suites=predicate["envelope"]["suites"])
    for role in APPROVERS:
        world.approve(role)


def called(world: World, model: str = MODEL) -> tuple[Reason | None, int, str]:
    return told(world, Call("openai", "chat.completions", (model,)))


def test_what_was_tuned_under_a_specification_says_so() -> None:
    world = specified_world()
    digest = world.digests["specification"]
    assessment = world.ask()
    found = [(f.step, f.detail) for f in assessment.findings if f.subject == MODEL]
    assert found == [
        (2, f"manifest {world.digests['manifest']}"),
        (3, "signed by producer"),
        (3, f"tuned under {digest}"),
        (4, "countersigned by evaluator"),
        (5, "approved by customer, provider, regulator"),
        (6, "27 things relied on, none withdrawn"),
    ]
    signer = Signer("office", world.parties["office"].key.fingerprint)
    expected = (Specified(world.state().specifications[digest], signer),)
    assert [chain.specifications for chain in assessment.chains] == [expected]
    assert "office" in assessment.constituents
    call = Call("openai", "chat.completions", (MODEL,))
    facts = facts_module.prove(call, credential(), assessment, rfc3339(NOW), "n")
    assert facts.adaptations[0].specification == digest
    assert facts.request.specification is None


def under(why: str, digest: str) -> tuple[Reason, int, str]:
    return unverified(f"{MODEL} was tuned under {digest}: {why}")


@pytest.mark.parametrize(
    ("begins", "over", "holds"),
    [
        (RUN, RUN + SECOND, True),
        (RUN - SECOND, RUN, False),
        (RUN + SECOND, NOW + DAY, False),
        (RUN - SECOND, RUN + SECOND, True),
    ],
)
def test_a_manifests_specification_held_when_the_run_began(
    begins: datetime, over: datetime, holds: bool
) -> None:
    period = {"notBefore": stamp(begins), "notAfter": stamp(over)}
    world = specified_world(window=period)
    refused = under("it did not hold when the run began", world.digests["specification"])
    assert called(world) == ((None, -1, "") if holds else refused)


NOT_SPECIFIED = "the manifest's environments or suites are not those that were specified"
MANIFESTS: list[tuple[str, Callable[[World], Any], str]] = [
    (
        "unknown",
        lambda w: w.evidence.pop("specification"),
        "no specification of this digest is known",
    ),
    (
        "nobody's",
        lambda w: w.grants.update(office=(grant("auditor"),)),
        "signed by office: no customer of every environment it names",
    ),
    (
        "a key that is over",
        lambda w: setattr(w.parties["office"], "key_window", window(300, -1)),
        "signed by office: no customer of every environment it names",
    ),
    (
        "a looser environment",
        lambda w: tuned_under(w, environments=[spec(operations=["chat.completions", "batches"])]),
        NOT_SPECIFIED,
    ),
    (
        "one environment more",
        lambda w: tuned_under(w, environments=[spec(), spec(id=ENV)]),
        NOT_SPECIFIED,
    ),
    (
        "a lower threshold",
        lambda w: tuned_under(
            w,
            envelope={"suites": suites(adversarial=0.8)},
        ),
        NOT_SPECIFIED,
    ),
    (
        "a suite less",
        lambda w: tuned_under(w, envelope={"suites": [suite("compliance")]}),
        NOT_SPECIFIED,
    ),
]


@pytest.mark.parametrize(
    ("spoil", "why"), [c[1:] for c in MANIFESTS], ids=[c[0] for c in MANIFESTS]
)
def test_a_manifest_that_does_not_keep_to_its_specification_is_refused(
    spoil: Callable[[World], Any], why: str
) -> None:
    world = specified_world()
    assert called(world)[0] is None
    spoil(world)
    assert called(world) == under(why, world.digests["specification"])


def test_a_manifest_cannot_name_a_specification_for_other_models_or_without_suites() -> None:
    world = specified_world(models=["openai/gpt-4.1-*"])
    why = f"it does not cover tuning openai/{BASE}"
    assert called(world) == under(why, world.digests["specification"])
    declared = [spec(jurisdictions=["eu", "us"])]
    world = specified_world(environments=declared)
    tuned_under(world, environments=declared)
    why = "it declares no compliance suite for us"
    assert called(world) == under(why, world.digests["specification"])


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("specification", lambda w: w.digests["specification"]),
        ("key", lambda w: w.parties["office"].key.fingerprint),
        ("authority", lambda _: "office"),
    ],
)
def test_withdrawing_a_specification_ends_what_was_tuned_under_it_and_what_was_tuned_on(
    kind: str, subject: Callable[[World], str]
) -> None:
    world = tuned_on_world()
    world.join("office", grant("customer"))
    world.specify(signer="office", window=window(60, -20))
    tuned_under(world)
    parent = {"sha256": world.digests["manifest"]}
    model = {"provider": "openai", "id": CHILD, "base": MODEL, "parent": parent}
    predicate = {**manifest_predicate(model=CHILD), "model": model}
    world.sign("child", statement(MANIFEST, CHILD, sha("child"), predicate), "producer")
    world.result("child:result", manifest="child", model=CHILD)
    for role in APPROVERS:
        world.approve(role, label=f"child:approval:{role}", manifest="child", model=CHILD)
    assert [called(world, model)[0] for model in (MODEL, CHILD)] == [None, None]
    assert "office" in world.ask(CHILD).constituents
    world.parties["office"].withdraw(kind, subject(world))
    assert [called(world, model)[:2] for model in (MODEL, CHILD)] == [(Reason.WITHDRAWN, 6)] * 2
    world.evidence.pop("specification")
    assert called(world, CHILD) == under(
        "no specification of this digest is known", world.digests["specification"]
    )


def test_after_a_key_rotation_the_same_specification_is_signed_anew() -> None:
    world = specified_world()
    office = world.parties["office"]
    office.key, office.key_window = SimKey.ed25519(), window(1, 300)
    digest = world.digests["specification"]
    assert called(world) == under("no specification of this digest is known", digest)
    assert world.specify(signer="office", window=window(60, -20)) == digest
    assert called(world)[0] is None


def test_a_call_ends_with_the_key_that_signed_its_models_specification() -> None:
    world = specified_world()
    world.parties["office"].key_window = window(300, 0.5)
    call = Call("openai", "chat.completions", (MODEL,))
    far = credential(expires=NOW + 300 * DAY)
    assert assess(call, far, world.state(), NOW).valid_until == NOW + DAY / 2


@pytest.mark.parametrize(
    ("outer", "pattern", "covered"),
    [
        (("a/*",), "a/b", True),
        (("a/*",), "a/*", True),
        (("a/*",), "a/b*", True),
        (("a/*",), "a/**", False),
        (("a/*",), "a/b/c", False),
        (("a/*/*",), "a/**", False),
        (("a/**",), "a/**", True),
        (("a/**",), "a/*/c", True),
        (("a/**",), "a*", False),
        (("a/b*",), "a/*", False),
        (("**",), "**", True),
        (("*",), "**", False),
        (("*", "a/**"), "a/*", True),
        (("",), "a", False),
        ((), "a", False),
        (("**",), "", False),
        (("**",), "a\x00", False),
        (("**",), "a\x01", False),
    ],
)
def test_a_pattern_is_covered_where_every_name_it_covers_is(
    outer: tuple[str, ...], pattern: str, covered: bool
) -> None:
    assert any_covers(outer, pattern) is covered
