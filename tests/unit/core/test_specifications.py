"""A job is taken under a specification that a customer signed, that holds now and covers it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from sidecar.core.assess import assess
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import BASE, DAY, ENV, NOW, SECOND
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import sha, suite, window
from tests.support.simulator.world import World, admitted_world, credential
from tests.unit.core.tuning import job, spec, told, tuning_world, unverified


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
            "specification: the subject's digest is not that of its content",
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
    assert ([entry.why for entry in state.rejected], dict(state.specifications)) == ([why], {})


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
