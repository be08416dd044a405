"""``admit preflight`` says what real policies will ask of a draft, and what supplies it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.process.cli.admit import admit
from tests.unit.binding.samples import lay_out

ENVIRONMENT = "spiffe://acme.example/env/prod"
TRUST = """
version: 1
state: state
evidence: [evidence]
floors:
  - {environments: ["**"], jurisdictions: [uk], sector: finance}
authorities:
  - name: acme
    root: acme.json
    source: {directory: acme}
    grants:
      - {role: customer, jurisdictions: ["**"], sectors: ["**"], models: ["**"],
         environments: ["**"]}
  - name: office
    root: office.json
    source: {directory: office}
    grants:
      - {role: regulator, jurisdictions: ["**"], sectors: ["**"], models: ["**"],
         environments: ["**"]}
  - name: host
    root: host.json
    source: {directory: host}
    grants:
      - {role: provider, jurisdictions: ["**"], sectors: ["**"], models: ["**"],
         environments: ["spiffe://elsewhere.example/**"], base_models: ["**"]}
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("job"))


def asked(job: Path, *more: str, code: int) -> dict[str, Any]:
    done = admit(
        *("preflight", job / "job.json", "--envelope", job / "envelope.yaml"),
        *("--training", job / "training.jsonl", "--validation", job / "validation.jsonl"),
        *("--environment", ENVIRONMENT, "--jurisdiction", "eu", "--sector", "finance"),
        *("--purpose", "customer-support", "--risk-class", "limited", "--json", *more),
        code=code,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def named(found: dict[str, Any], state: str) -> list[str]:
    return [item["what"] for item in found["items"] if item["state"] == state]


def test_what_policies_will_deny_is_missing_with_the_command_that_supplies_it(job: Path) -> None:
    found = asked(job, code=1)
    commands = {item["what"]: item["command"] for item in found["items"]}
    assert (found["missing"], sorted(named(found, "missing"))) == (
        4,
        [
            "eu-finance.dora_register",
            "eu-finance.model_risk_sign_off",
            "eu.art53_modification_declared",
            "eu.art53_modifier_duties",
        ],
    )
    assert commands["eu-finance.dora_register"] == (
        f"admit declare environment {ENVIRONMENT} --declaration ict-register-reference=TEXT …"
    )
    assert commands["eu-finance.model_risk_sign_off"] == (
        "admit approve MANIFEST --role customer --declaration model-risk-sign-off=TEXT …"
    )
    assert commands["eu.art53_modification_declared"] == (
        "admit bind JOB --declaration gpai-modification=TEXT …"
    )
    assert commands["eu.art53_modifier_duties"] == (
        "admit bind JOB --document technical-documentation=FILE --document copyright-policy=FILE "
        "--document training-content-summary=FILE …"
    )
    assert named(found, "later") == [
        "result of jailbreaks",
        "result of support-regression",
        "result of transparency",
        "approval as customer",
        "approval as provider",
        "approval as regulator",
    ]


def test_a_draft_with_everything_has_nothing_missing(job: Path) -> None:
    found = asked(
        job,
        *("--environment-declaration", "ict-register-reference=register-1"),
        *("--approval-declaration", "customer:model-risk-sign-off=mr-1"),
        *("--declaration", "gpai-modification=minor"),
        code=0,
    )
    assert (found["missing"], named(found, "missing")) == (0, [])


def test_floors_and_grants_of_the_operator_count(job: Path, tmp_path: Path) -> None:
    trust = tmp_path / "trust.yaml"
    trust.write_text(TRUST)
    found = asked(job, "--trust", str(trust), code=1)
    missing = {
        (item["what"], item["jurisdiction"]): item["detail"]
        for item in found["items"]
        if item["state"] == "missing"
    }
    nobody = "the operator grants nobody the role {} for this environment"
    assert missing["compliance suite", "uk"] == "the envelope has no compliance suite for uk"
    assert missing["approval as provider", "eu, uk"] == nobody.format("provider")
    assert missing["result of jailbreaks", ""] == nobody.format("evaluator")
    assert [item["by"] for item in found["items"] if item["what"] == "approval as regulator"] == [
        "office",
        "office",
    ]


def test_half_a_description_of_the_environment_is_refused(job: Path) -> None:
    done = admit("preflight", "--envelope", job / "envelope.yaml", "--sector", "finance", code=2)
    assert done.stderr.decode().startswith("admit: describe the environment: --declared FILE, or")
