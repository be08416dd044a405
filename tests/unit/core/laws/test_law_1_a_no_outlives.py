"""Law 1: a no can only be unsaid by the authority that said it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sidecar.core.documents import WithdrawalKind as K
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS, DAY, ENV, MODEL, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, suite, window
from tests.support.simulator.world import World, admitted_world, refusal

CORPUS = manifest_predicate()["corpora"][0]["digest"]["sha256"]


def two_regulators() -> World:
    """Both approved; ``second`` then withdrew the training corpus."""
    world = admitted_world()
    world.join("second", grant("regulator"))
    world.approve("regulator", label="second", signer="second")
    assert world.ask().reason is None
    world.parties["second"].withdraw(K.CORPUS, CORPUS)
    assert world.ask().reason is Reason.WITHDRAWN
    return world


LATER: dict[str, Callable[[World], object]] = {
    "its key is rotated": lambda w: w.parties["second"].rotate(),
    "its key may not sign": lambda w: setattr(w.parties["second"], "predicate_types", ("x",)),
    "its approval leaves the folder": lambda w: w.evidence.pop("second"),
    "its approval ended": lambda w: w.approve(
        "regulator", label="second", signer="second", window=window(9, -1)
    ),
    "its key's window ended": lambda w: setattr(w.parties["second"], "key_window", window(99, -1)),
    "its mirror hangs": lambda w: setattr(w.parties["second"], "expires", NOW - DAY),
    "the gate restarted": lambda w: setattr(w.parties["second"], "heard_since_start", False),
}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
def test_case_1_a_withdrawal_stays_whatever_becomes_of_its_author(
    later: Callable[[World], object],
) -> None:
    world = two_regulators()
    later(world)
    assert world.ask().reason is Reason.WITHDRAWN


def test_case_1_a_gate_that_never_heard_a_granted_authority_does_not_admit() -> None:
    world = two_regulators()
    world.evidence.pop("second")
    del world.parties["second"]
    failed = world.ask().failed
    assert failed is not None
    assert (failed.reason, failed.missing) == (Reason.TRUST_STALE, ("second",))


@pytest.mark.parametrize("silence", ["denies", "ignored"])
@pytest.mark.parametrize("role", ["regulator", "auditor"])
def test_one_that_signed_nothing_is_an_objector_by_its_grant(role: str, silence: str) -> None:
    world = admitted_world()
    world.join("watchdog", grant(role, silence=silence))
    assert world.ask().reason is None
    world.parties["watchdog"].withdraw(K.CORPUS, CORPUS)
    assert world.ask().reason is Reason.WITHDRAWN


def test_its_author_takes_it_back_and_nothing_else_is_needed() -> None:
    world = two_regulators()
    world.parties["second"].withdrawals.clear()
    assert world.ask().reason is None


def test_the_operator_takes_the_grant_away_and_the_no_with_it() -> None:
    world = two_regulators()
    world.grants["second"] = ()
    assert world.ask().reason is None


@pytest.mark.parametrize(
    "changes",
    [
        {"environments": ("spiffe://other.example/**",)},
        {"sectors": ("health",)},
        {"jurisdictions": ("us",)},
        {"models": ("openai/ft:other:**",)},
    ],
)
def test_a_no_from_outside_the_scope_of_its_grant_stops_nothing(
    changes: dict[str, tuple[str, ...]],
) -> None:
    world = two_regulators()
    world.evidence.pop("second")
    world.grants["second"] = (grant("regulator", **changes),)
    assert world.ask().reason is None


def failed_world() -> World:
    """The evaluator published that the regression suite failed; another one passed it."""
    world = admitted_world()
    world.join("lab", grant("evaluator"))
    world.result(label="lab", signer="lab")
    world.parties["evaluator"].fail(world.digests["manifest"], suite("regression"))
    return world


FAILED_LATER: dict[str, Callable[[World], object]] = {
    "its key is rotated": lambda w: w.parties["evaluator"].rotate(),
    "its files are gone": lambda w: w.evidence.pop("result"),
    "its result ended": lambda w: w.result(window=window(9, -1)),
    "its mirror hangs": lambda w: setattr(w.parties["evaluator"], "expires", NOW - DAY),
}


@pytest.mark.parametrize("later", FAILED_LATER.values(), ids=FAILED_LATER)
def test_case_2_a_published_failure_stays(later: Callable[[World], object]) -> None:
    world = failed_world()
    later(world)
    assert world.ask().reason is Reason.PREACTIVATION_FAILED


def test_case_2_a_failed_file_changes_nothing_by_itself() -> None:
    world = admitted_world()
    world.result(label="adverse", result="FAILED")
    assert world.ask().reason is None


@pytest.mark.parametrize("author", ["producer", "customer", "regulator", "provider"])
def test_case_3_nobody_else_can_withdraw_a_failure(author: str) -> None:
    world = failed_world()
    failed = world.result(label="adverse", result="FAILED")
    for kind, subject in (
        (K.RESULT, failed),
        (K.RESULT, world.digests["result"]),
        (K.EVALUATION, suite("regression")["digest"]["sha256"]),
        (K.AUTHORITY, "evaluator"),
        (K.KEY, world.parties["evaluator"].key.fingerprint),
    ):
        world.parties[author].withdraw(kind, subject)
        assert world.ask().reason is not None, kind
    assert world.ask().reason is Reason.PREACTIVATION_FAILED


ARTIFACT = {"artifact": sha(f"job {MODEL}")}
RUN = {"model": f"openai/{MODEL}", "run": manifest_predicate()["run"]["id"]}


def bound_anew() -> World:
    """The model is bound in another manifest, which everybody approves and another lab passes."""
    world = admitted_world()
    world.join("lab", grant("evaluator"))
    failed = world.digests["manifest"]
    world.bind(window=window(1, 80))
    world.result("lab", signer="lab")
    for role in APPROVERS:
        world.approve(role)
    assert world.digests["manifest"] != failed
    assert world.ask().reason is None
    world.digests["failed"] = failed
    return world


@pytest.mark.parametrize("same", [ARTIFACT, RUN, ARTIFACT | RUN])
def test_a_failure_is_not_ended_by_another_manifest_of_the_same_model(
    same: dict[str, str],
) -> None:
    world = bound_anew()
    world.parties["evaluator"].fail(world.digests["failed"], suite("regression"), **same)
    assert refusal(world.ask()) == (
        Reason.PREACTIVATION_FAILED,
        4,
        "evaluator published that regression suite regression-suite, as manifest "
        f"{world.digests['failed'][:12]} of the same model, failed: bias",
    )
    world.parties["evaluator"].failures.clear()
    assert world.ask().reason is None


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"artifact": sha("job of another model")},
        {**RUN, "run": "ftjob-another"},
        {**RUN, "model": "openai/another"},
        {**RUN, "model": "azure/" + MODEL},
        {"run": RUN["run"]},
    ],
)
def test_a_failure_of_another_model_stops_nothing(other: dict[str, str]) -> None:
    world = bound_anew()
    world.parties["evaluator"].fail(world.digests["failed"], suite("regression"), **other)
    assert world.ask().reason is None


def test_a_failure_by_one_that_is_no_evaluator_here_stops_nothing() -> None:
    world = admitted_world()
    for name in (*APPROVERS, "producer", "stranger"):
        world.parties[name].fail(world.digests["manifest"], suite("regression"))
    assert world.ask().reason is None


def test_a_failure_of_a_suite_outside_the_envelope_stops_nothing() -> None:
    world = admitted_world()
    world.parties["evaluator"].fail(world.digests["manifest"], suite("compliance", "uk"))
    assert world.ask().reason is None


@pytest.mark.parametrize("kind", [K.BASE_MODEL, K.MODEL])
def test_case_10_a_base_model_withdrawn_under_either_kind_stops_it_and_what_was_tuned(
    kind: K,
) -> None:
    base = manifest_predicate()["model"]["base"]
    world = admitted_world()
    world.parties["regulator"].withdraw(kind, f"openai/{base}")
    assert [world.ask(name).reason for name in (base, MODEL)] == [Reason.WITHDRAWN] * 2


def test_case_10_a_regulators_environment_withdrawal_stops_unadapted_calls() -> None:
    base = manifest_predicate()["model"]["base"]
    world = admitted_world()
    world.parties["regulator"].withdraw(K.ENVIRONMENT, ENV)
    assert world.ask(base).reason is Reason.WITHDRAWN


@pytest.mark.parametrize("written", [str.upper, "sha256:{}".format, str])
def test_case_10_a_digest_is_withdrawn_however_it_is_written(
    written: Callable[[str], str],
) -> None:
    world = admitted_world()
    world.parties["regulator"].withdraw(K.MANIFEST, written(world.digests["manifest"]))
    assert world.ask().reason is Reason.WITHDRAWN


@pytest.mark.parametrize("written", [str.upper, lambda key: key.removeprefix("sha256:")])
def test_case_10_a_key_is_withdrawn_however_its_fingerprint_is_written(
    written: Callable[[str], str],
) -> None:
    world = admitted_world()
    key = world.parties["producer"].key.fingerprint
    world.parties["regulator"].withdraw(K.KEY, written(key.removeprefix("sha256:")))
    assert world.ask().reason is Reason.WITHDRAWN


def test_case_10_a_name_is_withdrawn_as_it_is_written() -> None:
    """A run's id may be hex digits of either case, and is no digest."""
    world = admitted_world()
    name = "AB" * 32
    world.bind(run={**manifest_predicate()["run"], "id": name})
    world.result()
    for role in ("provider", "customer", "regulator"):
        world.approve(role)
    assert world.ask().reason is None
    world.parties["regulator"].withdraw(K.RUN, name)
    assert world.ask().reason is Reason.WITHDRAWN


def test_case_10_without_an_effective_time_a_withdrawal_is_at_once() -> None:
    world = admitted_world()
    entry = {"kind": "corpus", "subject": CORPUS, "reason": "tainted"}
    world.parties["regulator"].withdrawals.append(entry)
    assert world.ask(now=NOW - 5 * DAY).reason is Reason.WITHDRAWN
