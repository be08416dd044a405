"""Case 10: a withdrawal says what it matches, and one that can match nothing is refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from sidecar.authority.errors import AuthorityError
from sidecar.authority.matching import Matches, StatedEvidence, matches, other_kind
from sidecar.authority.subjects import normalised
from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.evidence import parse_statement
from sidecar.core.predicates import APPROVAL, ENVIRONMENT, MANIFEST, RESULT
from tests.support.simulator import predicates
from tests.support.simulator.predicates import manifest_predicate, suite

PARENT, CHILD, NEXT = "ft:parent", "ft:child", "ft:parent-2"
SPIFFE_ID = "spiffe://acme.example/env/prod"


def stated(
    kind: str,
    name: str,
    about: str,
    predicate: dict[str, Any],
    *keys: str,
    author: str | None = None,
) -> StatedEvidence:
    payload = predicates.statement(kind, name, about, predicate)
    digest = hashlib.sha256(payload).hexdigest()
    return StatedEvidence(digest, parse_statement(payload), keys, author)


def manifest(model: str, corpus: str, **changes: Any) -> StatedEvidence:
    value = manifest_predicate(model, "gpt-4o", **changes)
    value["corpora"][0]["digest"] = {"sha256": corpus * 64}
    value["run"]["id"] = f"run-{model}"
    return stated(MANIFEST, model, "ee" * 32, value, f"sha256:{corpus * 64}")


PARENT_MANIFEST = manifest(PARENT, "1")
SUCCESSOR = manifest(PARENT, "2", supersedes={"sha256": PARENT_MANIFEST.digest})
_CHILD = manifest_predicate(CHILD, "gpt-4o")
_CHILD["model"]["parent"] = {"sha256": PARENT_MANIFEST.digest}
CHILD_MANIFEST = stated(MANIFEST, CHILD, "ee" * 32, _CHILD)
APPROVED = stated(
    APPROVAL, PARENT, PARENT_MANIFEST.digest, predicates.approval_predicate("regulator"),
    author="eu-office",
)  # fmt: skip
TESTED = stated(
    RESULT, CHILD, CHILD_MANIFEST.digest, predicates.result_predicate([suite("regression")])
)
DECLARED = stated(
    ENVIRONMENT,
    SPIFFE_ID,
    hashlib.sha256(SPIFFE_ID.encode()).hexdigest(),
    predicates.environment_predicate(baseModels=["openai/gpt-4o-*", "openai/o3"]),
)
EVERYTHING = (PARENT_MANIFEST, SUCCESSOR, CHILD_MANIFEST, APPROVED, TESTED, DECLARED)
BOTH = (f"openai/{CHILD}", f"openai/{PARENT}")


def found(kind: WithdrawalKind, subject: str, *among: StatedEvidence) -> Matches:
    return matches(Withdrawal(kind, subject, "why"), among or EVERYTHING)


@pytest.mark.parametrize(
    ("kind", "subject", "models"),
    [
        (WithdrawalKind.MANIFEST, PARENT_MANIFEST.digest, BOTH),
        (WithdrawalKind.CORPUS, "1" * 64, BOTH),
        (WithdrawalKind.KEY, f"sha256:{'1' * 64}", BOTH),
        (WithdrawalKind.RUN, f"run-{PARENT}", BOTH),
        (WithdrawalKind.APPROVAL, APPROVED.digest, BOTH),
        (WithdrawalKind.AUTHORITY, "eu-office", BOTH),
        (WithdrawalKind.CORPUS, "2" * 64, BOTH),  # of what supersedes the parent (law 6)
        (WithdrawalKind.RESULT, TESTED.digest, (f"openai/{CHILD}",)),
        (WithdrawalKind.MODEL, f"openai/{CHILD}", (f"openai/{CHILD}",)),
        (WithdrawalKind.MODEL, "openai/gpt-4o", BOTH),  # a base model, named under model
        (WithdrawalKind.BASE_MODEL, "openai/gpt-4o", BOTH),
        (WithdrawalKind.MODEL, "openai/ft:none", ()),
    ],
)
def test_law_6_a_withdrawal_matches_every_model_in_whose_lineage_its_subject_is(
    kind: WithdrawalKind, subject: str, models: tuple[str, ...]
) -> None:
    assert found(kind, subject) == Matches(models, (), ())


def test_a_base_model_ends_for_un_adapted_calls_and_for_what_was_tuned_from_it() -> None:
    assert found(WithdrawalKind.BASE_MODEL, "openai/gpt-4o*") == Matches(
        BOTH, ("openai/gpt-4o-*",), ()
    )
    assert found(WithdrawalKind.MODEL, "openai/o3") == Matches((), ("openai/o3",), ())


@pytest.mark.parametrize("subject", [SPIFFE_ID, "spiffe://acme.example/**", DECLARED.digest])
def test_an_environment_ends_by_name_by_pattern_and_by_declaration(subject: str) -> None:
    assert found(WithdrawalKind.ENVIRONMENT, subject) == Matches((), (), (SPIFFE_ID,))


def test_without_the_manifest_at_hand_the_model_is_named_by_what_is_about_it() -> None:
    assert found(WithdrawalKind.APPROVAL, APPROVED.digest, APPROVED) == Matches((PARENT,), (), ())
    by_manifest = found(WithdrawalKind.MANIFEST, PARENT_MANIFEST.digest, APPROVED)
    assert by_manifest == Matches((PARENT,), (), ())
    assert not found(WithdrawalKind.RUN, "run-x", APPROVED)


def test_a_digest_of_another_kind_is_recognised() -> None:
    wrong = Withdrawal(WithdrawalKind.RESULT, APPROVED.digest, "why")
    right = Withdrawal(WithdrawalKind.APPROVAL, APPROVED.digest, "why")
    assert other_kind(wrong, EVERYTHING) == "approval"
    assert other_kind(right, EVERYTHING) is None


@pytest.mark.parametrize(
    ("kind", "subject", "why"),
    [
        ("model", "openai/ft:gpt-4o:acme:**", "a model is named exactly"),
        ("model", "gpt-4o", "provider/id, for example openai/gpt-4o"),
        ("model", "openai/", "provider/id"),
        ("base-model", "/gpt-4o", "provider/id, for example openai/gpt-4o"),
        ("run", "ftjob-*", "a run is named exactly"),
        ("run", "", "run: the name is empty; name the run"),
        ("authority", "EU Office", "a name has lower-case letters"),
        ("environment", "acme.example/env", "by its SPIFFE ID"),
        ("environment", "spiffe://acme.example", "matches nothing"),
        ("environment", "spiffe://acme.example/", "matches nothing"),
        ("environment", "spiffe://Acme.example/**", "matches nothing"),
        ("environment", "spiffe://acme.example/a/../b", "matches nothing"),
        ("environment", "spiffe://acme.example/a%20b", "matches nothing"),
        ("corpus", "abc", "64 lower-case hex digits"),
        ("key", "abc", "fingerprint"),
    ],
)
def test_a_subject_that_can_match_nothing_is_refused(kind: str, subject: str, why: str) -> None:
    with pytest.raises(AuthorityError) as caught:
        normalised(WithdrawalKind(kind), subject)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("model", "openai/ft:gpt-4o:acme::1"),
        ("model", "openai/gpt-4o"),
        ("base-model", "openai/gpt-4o-*"),
        ("base-model", "openai/**"),
        ("environment", "spiffe://acme.example/**"),
        ("environment", "spiffe://acme.example/env/*"),
        ("environment", "spiffe://**"),
        ("environment", "spiffe://acme.*/prod"),
        ("authority", "eu-office"),
        ("run", "ftjob-1"),
    ],
)
def test_a_subject_that_can_match_is_taken_as_it_is(kind: str, subject: str) -> None:
    assert normalised(WithdrawalKind(kind), subject) == subject
