"""``admit simulate``: tables, JSON, samples and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar.cli.main import run
from tests.unit.simulate.samples import GOOD


def admit(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = run(["simulate", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "history.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_history_is_shown_step_by_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admit(capsys, written(tmp_path, GOOD)) == (
        0,
        "A small one\n"
        " 0  01 Jun 12:02  at the beginning\n"
        "    call  admitted\n"
        " 1  01 Jun 12:03  regulator withdraws corpus tickets\n"
        "    call  denied   6 withdrawn: regulator withdrew corpus tickets: shown to be unfit\n",
        "",
    )


ARN = "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0"
BEDROCK = f"""\
title: Names as calls of Bedrock write them
provider: bedrock
base: amazon.nova-lite-v1:0
authorities:
  aws: {{role: provider, base-models: ["bedrock/**"]}}
  acme: {{role: customer}}
  regulator: {{role: regulator, jurisdictions: [eu]}}
environments:
  prod: {{by: acme, jurisdictions: [eu], base-models: ["bedrock/amazon.nova-*"]}}
questions:
  id: {{environment: prod, model: "amazon.nova-lite-v1:0"}}
  arn: {{environment: prod, model: "{ARN}"}}
  profile: {{environment: prod, model: "arn:aws:bedrock:eu-west-1:1:inference-profile/p"}}
expect: {{id: admitted, arn: admitted, profile: deployment_unbound}}
steps:
  - withdraw: {{by: regulator, base-model: "{ARN}"}}
    expect: {{id: withdrawn, arn: withdrawn, profile: deployment_unbound}}
"""


def test_names_are_read_and_withdrawn_as_a_gate_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = admit(capsys, written(tmp_path, BEDROCK))
    assert (status, err) == (0, ""), out


def test_an_unmet_expectation_is_named_and_ends_with_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, GOOD.replace("expect: withdrawn", "expect: admitted"))
    status, out, _ = admit(capsys, path)
    assert status == 1
    assert out.endswith(
        "not as expected  step 1 (line 17), call: expected admitted, found withdrawn\n"
    )


def test_json_has_each_step_with_its_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = admit(capsys, written(tmp_path, GOOD), "--json")
    value = json.loads(out)
    assert (status, value["title"], value["as_expected"]) == (0, "A small one", True)
    assert value["steps"][1] == {
        "number": 1,
        "line": 17,
        "at": "2026-06-01T12:03:05Z",
        "happened": "regulator withdraws corpus tickets",
        "note": None,
        "outcomes": {
            "call": {
                "admitted": False,
                "reason": "withdrawn",
                "step": 6,
                "detail": "regulator withdrew corpus tickets: shown to be unfit",
                "remedy": "Contact the authority that withdrew; only it can reinstate.",
                "expected": "withdrawn",
            }
        },
    }


@pytest.mark.parametrize("name", ["law-3", "3"])
def test_a_sample_is_printed_and_can_be_played(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = admit(capsys, "--example", name)
    assert status == 0
    assert out.startswith("# Law 3: ")
    assert admit(capsys, written(tmp_path, out))[0] == 0


def test_mistakes_end_with_status_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admit(capsys) == (
        2,
        "",
        "admit: name one history, or --example LAW to print a sample\n",
    )
    _, _, err = admit(capsys, "--example", "law-9")
    assert err.startswith("admit: --example law-9: there is none; expected one of law-1, law-2, ")
    assert admit(capsys, written(tmp_path, "title: x"))[2].startswith("admit: line 1: ")
    assert admit(capsys, str(tmp_path / "none"))[2].endswith("none: No such file or directory\n")
