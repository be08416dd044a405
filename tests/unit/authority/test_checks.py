"""A statement about names that nobody knows is named before it is signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sidecar.authority.checks import Signing, Vocabulary, problems
from sidecar.binding import openai
from sidecar.cli import signing_checks
from sidecar.core.evidence import Statement
from sidecar.core.grants import Floor, Grant, OperatorTrust
from sidecar.core.predicates import (
    APPROVAL,
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    MANIFEST,
    SPECIFICATION,
    WAIVER,
    Approval,
    DeploymentBinding,
    Environment,
    Manifest,
    Predicate,
    RequiredApprovals,
    Specification,
    Subject,
    Waiver,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from tests.unit.authority.reader import NOW
from tests.unit.binding.jobs import DECLARED as OF_JOB
from tests.unit.binding.jobs import job

BOUND = openai.bind(openai.read_job(job()), OF_JOB).statement.predicate
WINDOW = Window(NOW, NOW + timedelta(days=90))
ENV = "spiffe://acme.example/env/prod"
KNOWN = Vocabulary(
    operations=frozenset({"chat.completions", "completions", "embeddings"}),
    sectors={"eu": frozenset({"finance", "retail"}), "us": frozenset({"finance"})},
    rules={"eu.art5_prohibited_practice": frozenset({"eu"})},
    risk_classes=frozenset({"minimal", "limited", "high"}),
    further=signing_checks.vocabulary(None).further,
    canonical=signing_checks.vocabulary(None).canonical,
)
APPROVING = Approval(
    "regulator", ("eu",), ("spiffe://acme.example/**",), ("chat.completions",), WINDOW
)
DECLARED = Environment(("eu",), "finance", "support", "limited", "acme", WINDOW)
GRANT = Grant("regulator", ("eu",), ("finance",), ("openai/**",), ("spiffe://acme.example/env/*",))


def about(urn: str, predicate: Predicate, name: str = ENV) -> Statement[Predicate]:
    return Statement(Subject(name, DigestSet("0" * 64)), urn, predicate)


def found(statement: Statement[Predicate], **more: Any) -> tuple[str, ...]:
    return problems(Signing(statement, "acme", NOW, **more), KNOWN)


def approving(**changes: Any) -> Statement[Predicate]:
    return about(APPROVAL, replace(APPROVING, **changes))


def manifest(**changes: Any) -> Manifest:
    return replace(BOUND, window=WINDOW, **changes)


def operator(*grants: Grant, floors: tuple[Floor, ...] = ()) -> OperatorTrust:
    return OperatorTrust({"acme": grants} if grants else {}, floors=floors)


def test_statements_whose_names_are_known_have_no_problem() -> None:
    fitting = [
        found(approving(), manifest=manifest(), operator=operator(GRANT)),
        found(approving(operations=("chat.*",), environments=("**",))),
        found(about(ENVIRONMENT, DECLARED)),
        found(about(WAIVER, Waiver("eu.art5_prohibited_practice", "eu", "pilot", WINDOW))),
    ]
    assert fitting == [(), (), (), ()]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"role": "regulater"}, "role 'regulater' is not known; did you mean 'regulator'?"),
        (
            {"role": "auditor"},
            "role 'auditor' is not known; known: customer, provider, regulator",
        ),
        (
            {"operations": ("chat.completion",)},
            "operation 'chat.completion' is not known; did you mean 'chat.completions'?",
        ),
        (
            {"jurisdictions": ("europe",)},
            "jurisdiction 'europe' is not known; known: eu, us",
        ),
        (
            {"environments": ("acme.example/env/prod",)},
            "environment 'acme.example/env/prod' is no SPIFFE ID and no pattern over one; "
            "expected for example spiffe://acme.example/env/prod or spiffe://acme.example/**",
        ),
    ],
)
def test_an_approval_of_unknown_names_is_named(changes: dict[str, Any], said: str) -> None:
    assert found(approving(**changes)) == (said,)


def test_an_approval_is_compared_with_its_manifest() -> None:
    ended = replace(BOUND, window=Window(NOW - timedelta(days=2), NOW - timedelta(days=1)))
    outside = approving(
        jurisdictions=("us",),
        environments=("spiffe://rival.example/**",),
        operations=("embeddings",),
    )
    assert found(outside, manifest=ended) == (
        f"the manifest ended at {NOW - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "jurisdiction 'us' is outside the manifest, which has eu",
        "environment 'spiffe://rival.example/**' is outside the manifest, which has "
        "spiffe://acme.example/env/*",
        "operation 'embeddings' is outside the manifest, which has chat.completions",
    )


def test_a_role_that_the_manifest_or_the_operator_requires_is_known() -> None:
    required = manifest(approvals=RequiredApprovals(("auditor",)))
    assert found(approving(role="auditor"), manifest=required) == ()
    floors = (Floor(("**",), roles=("auditor",)),)
    asked = operator(replace(GRANT, role="auditor"), floors=floors)
    assert found(approving(role="auditor"), operator=asked) == ()


def test_an_approval_is_compared_with_the_operators_grants() -> None:
    said = [
        found(approving(), operator=operator()),
        found(approving(), operator=operator(replace(GRANT, role="customer"))),
        found(approving(), manifest=manifest(), operator=operator(replace(GRANT, models=("x/*",)))),
        found(approving(), operator=operator(replace(GRANT, jurisdictions=("us",)))),
    ]
    assert said == [
        ("the operator grants acme no role, not regulator",),
        ("the operator grants acme customer, not regulator",),
        (f"no regulator grant of acme covers model 'openai/{BOUND.model.id}'",),
        ("no regulator grant of acme covers jurisdiction 'eu'",),
    ]


def test_an_environment_of_unknown_names_or_below_a_floor_is_named() -> None:
    wrong = replace(
        DECLARED,
        jurisdictions=("eu", "ue"),
        sector="finanse",
        risk_class="limitd",
        base_models=("gpt-4o",),
    )
    assert found(about(ENVIRONMENT, wrong)) == (
        "jurisdiction 'ue' is not known; known: eu, us",
        "sector in eu 'finanse' is not known; did you mean 'finance'?",
        "risk class 'limitd' is not known; did you mean 'limited'?",
        "model 'gpt-4o' is not provider/id, such as openai/gpt-4o",
    )
    grant = replace(GRANT, role="customer", sectors=("retail",), environments=("**",))
    floors = (Floor(("**",), sector="retail"),)
    assert found(about(ENVIRONMENT, DECLARED), operator=operator(grant, floors=floors)) == (
        "no customer grant of acme covers sector 'finance'",
        "the operator's floor for this environment demands sector 'retail', not 'finance'",
    )


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("bedrock/eu.amazon.nova-lite-v1:0",), "bedrock/amazon.nova-lite-v1:0"),
        (("bedrock/eu.amazon.*", "bedrock/amazon.nova-*"), "bedrock/amazon.*"),
        (("bedrock/eu.amazon.nova-*", "bedrock/amazon.*"), ""),
        (("bedrock/*",), ""),
        (("acme/eu.amazon.nova-lite-v1:0", "openai/gpt-4o"), ""),
    ],
)
def test_a_model_that_a_listed_profile_runs_is_listed_too(
    models: tuple[str, ...], said: str
) -> None:
    expected = [f"a call of {models[0]!r} also runs {said!r}, which must be listed as well"]
    for declared in (
        replace(DECLARED, base_models=models),
        replace(DECLARED, tuning_models=models),
    ):
        assert list(found(about(ENVIRONMENT, declared))) == (expected if said else [])


def test_a_manifest_without_a_suite_for_a_jurisdiction_is_named() -> None:
    spec = replace(BOUND.environments[0], jurisdictions=("eu", "us"), id="acme")
    wrong = manifest(
        environments=(spec,), approvals=RequiredApprovals(("regulator", "costumer", "auditor"))
    )
    statement = about("urn", wrong)
    assert found(statement) == (
        "environment 'acme' is no SPIFFE ID and no pattern over one; expected for example "
        "spiffe://acme.example/env/prod or spiffe://acme.example/**",
        "required role 'costumer' is not known; did you mean 'customer'?",
        "no compliance suite for us: no call there could be admitted",
    )


def test_a_manifest_without_the_specification_that_the_operator_requires_is_named() -> None:
    granted = operator(replace(GRANT, role="producer"), replace(GRANT, role="auditor"))
    statement = about("urn", manifest(specification=None))
    required = replace(granted, specified=True)
    more = set(found(statement, operator=required)) - set(found(statement, operator=granted))
    assert more == {
        "it names no specification, and the operator requires one: give --specification"
    }


def test_a_waiver_is_of_a_rule_in_its_jurisdiction() -> None:
    rule = "eu.art5_prohibited_practice"
    said = [
        found(about(WAIVER, Waiver("eu.art5_prohibited_practise", "eu", "pilot", WINDOW))),
        found(about(WAIVER, Waiver(rule, "us", "pilot", WINDOW))),
        found(about(WAIVER, Waiver(rule, "eu", "pilot", WINDOW)), operator=operator(GRANT)),
    ]
    assert said == [
        (f"rule 'eu.art5_prohibited_practise' is not known; did you mean '{rule}'?",),
        (f"rule '{rule}' is of eu, not of 'us'",),
        (),
    ]


def test_a_binding_and_a_specification_are_within_a_grant() -> None:
    binding = DeploymentBinding("azure", "prod", "gpt-4o", WINDOW)
    specified = Specification(("openai/**",), BOUND.environments, BOUND.envelope, WINDOW)
    narrow = replace(GRANT, role="customer", environments=(ENV,))
    provider = replace(GRANT, role="provider")
    assert [
        found(about(DEPLOYMENT_BINDING, binding), operator=operator(provider)),
        found(about(SPECIFICATION, specified), operator=operator(narrow)),
    ] == [
        ("no provider grant of acme covers model 'azure/gpt-4o'",),
        ("no customer grant of acme covers whole environment 'spiffe://acme.example/env/*'",),
    ]


ARN = "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0"


def of_bedrock(base: str) -> Manifest:
    return manifest(model=replace(BOUND.model, provider="bedrock", base=base))


@pytest.mark.parametrize(
    ("statement", "more"),
    [
        (about(ENVIRONMENT, replace(DECLARED, base_models=(f"bedrock/{ARN}",))), {}),
        (about(ENVIRONMENT, replace(DECLARED, tuning_models=(f"bedrock/{ARN}",))), {}),
        (
            about(
                DEPLOYMENT_BINDING, DeploymentBinding("bedrock", "drafts", ARN, WINDOW), "drafts"
            ),
            {},
        ),
        (approving(), {"manifest": of_bedrock(ARN)}),
        (about(MANIFEST, of_bedrock(ARN)), {}),
    ],
    ids=["listed", "tuned", "bound", "approved", "manifest"],
)
def test_a_model_by_a_name_that_withdrawals_miss_is_named(
    statement: Statement[Predicate], more: dict[str, Any]
) -> None:
    name = "bedrock/amazon.nova-lite-v1:0"
    said = f"model 'bedrock/{ARN}' is {name!r} to calls and withdrawals, which miss any other name"
    assert said in found(statement, **more)
    assert found(approving(), manifest=of_bedrock("amazon.nova-lite-v1:0")) == ()


def test_a_binding_under_a_name_that_calls_miss_is_named() -> None:
    def bound(name: str) -> tuple[str, ...]:
        binding = DeploymentBinding("ollama", name, "support-v3", WINDOW)
        return found(about(DEPLOYMENT_BINDING, binding, name))

    assert bound("support") == ()
    assert bound("library/support:latest") == (
        "deployment 'ollama/library/support:latest' is 'ollama/support' to calls, which miss any "
        "other name",
    )
