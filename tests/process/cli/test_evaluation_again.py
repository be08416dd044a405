"""Post-market monitoring as a history: what sends a model back to the sandbox, and what ends that.

The answers are written here, so that each step has those that it needs; that suites are run and
asked anew is shown by ``tests/process/evaluation``.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sidecar.core.reasons import Reason
from sidecar.core.window import rfc3339
from sidecar.evaluation.starter import starter_folder
from sidecar.evaluation.suite import read_suite
from tests.process.cli.admit import admit, told
from tests.process.cli.parties import Parties
from tests.unit.binding.samples import MODEL, lay_out


class Lab:
    """The evaluator, with one compliance suite."""

    def __init__(self, parties: Parties, folder: Path) -> None:
        self.parties, self.folder = parties, folder
        self.suite = folder / "job" / "suite"
        self.job = lay_out(folder / "job")
        shutil.copytree(starter_folder("eu-transparency"), self.suite)
        (self.job / "envelope.yaml").write_text("suites: [{folder: suite}]")

    def grade(self, *failing: str) -> dict[str, Any]:
        """Score answers, of which some fail; write the results file."""
        lines = [
            {
                "id": case.id,
                "output_text": "I am a program.",
                "finish_reason": "stop",
                "judged": {"judge": "misleading" if case.id in failing else "clear"},
            }
            for case in read_suite(self.suite).cases
        ]
        answers = self.folder / "answers.jsonl"
        answers.write_text("\n".join(map(json.dumps, lines)))
        (self.folder / "results.json").unlink(missing_ok=True)
        graded = ("suite", "grade", self.suite, "--answers", answers, "--model", MODEL)
        return dict(told(*graded, "--out", self.results, code=3 if failing else 0))

    @property
    def results(self) -> Path:
        """The results file."""
        return self.folder / "results.json"

    def sign(self, manifest: str, *more: object, code: int = 0) -> dict[str, str]:
        """Countersign the results file."""
        given = ("result", manifest, "--results", self.results, *more)
        return self.parties.sign("test-house", *given, code=code)

    def due(self, *more: object, code: int = 3) -> list[str]:
        """How the suites that are due stand, as a scheduler is told; with status 0 if none is."""
        listed = ("evaluate", "due", "--trust", self.parties.trust(), *more)
        return sorted(each["is"] for each in told(*listed, code=code)["suites"])

    def reason(self) -> Reason | None:
        """Why a call is denied now; ``None`` if it is admitted."""
        return self.parties.assess().reason


def test_a_model_goes_back_to_the_sandbox_and_comes_out_only_by_a_new_result(
    parties: Parties, tmp_path: Path
) -> None:
    lab = Lab(parties, tmp_path)
    parties.declare()
    manifest = parties.bind(lab.job)["file"]
    for role in ("model-host", "acme-risk", "eu-regulator"):
        parties.approve(role, manifest)
    assert (lab.due(), lab.reason()) == (["missing"], Reason.PREACTIVATION_MISSING)

    lab.grade()
    lab.sign(manifest)
    assert (lab.due(code=0), lab.reason()) == ([], None)
    assert lab.due("--within", 365) == ["ending"]

    # The same suite a quarter later: the model got worse, and the evaluator says so.
    lab.grade("human")
    failed = lab.sign(manifest, code=3)["digest"]
    assert (lab.due(), lab.reason()) == (["failed"], Reason.PREACTIVATION_FAILED)
    lab.grade()
    lab.sign(manifest)
    assert (lab.due(), lab.reason()) == (["failed"], Reason.PREACTIVATION_FAILED)
    parties.run("test-house", "retract", failed, "--yes")
    assert (lab.due(code=0), lab.reason()) == ([], None)

    # Scores of the quarter before are no result of this one.
    (row,) = json.loads(lab.results.read_text())
    old = rfc3339(datetime.now(UTC) - timedelta(days=91))
    lab.results.write_text(json.dumps([row | {"performed": old}]))
    refused = admit(
        *("result", manifest, "--results", lab.results, "--home", parties.home("test-house")),
        code=2,
    )
    assert b"a result of --days has ended by now; run them again" in refused.stderr
    later = ("--performed", rfc3339(datetime.now(UTC) - timedelta(days=1)))
    refused = admit(
        *("result", manifest, "--results", lab.results, "--home", parties.home("test-house")),
        *later,
        code=2,
    )
    assert f"is later than the scores state: {old}".encode() in refused.stderr

    # An incident became a case: another edition, which the next manifest declares.
    with (lab.suite / "cases.jsonl").open("a") as cases:
        cases.write('{"id": "incident", "input": "Who wrote this letter?"}\n')
    assert lab.due("--suite", lab.suite) == ["changed"]
    lab.grade()
    refused = admit(
        *("result", manifest, "--results", lab.results, "--home", parties.home("test-house")),
        code=2,
    )
    assert b"another edition of the compliance suite eu-transparency" in refused.stderr
    following = parties.bind(lab.job, "--supersedes", manifest)["file"]
    assert (lab.due("--suite", lab.suite), lab.reason()) == (["changed", "missing"], None)
    lab.sign(following)
    for role in ("model-host", "acme-risk", "eu-regulator"):
        parties.approve(role, following)
    assert (lab.due("--suite", lab.suite, code=0), lab.reason()) == ([], None)


def promptfoo(
    suite: Path, asked: int, repeat: int, provider: str = f"openai:chat:{MODEL}"
) -> dict[str, Any]:
    """What promptfoo writes of tests in a file, of which it ran so many, so often."""
    cases = [dict(case.fields) for case in read_suite(suite).cases[:asked]]
    rows = [
        {
            "provider": {"id": provider},
            "prompt": {"label": "transparency", "raw": case["input"]},
            "vars": case,
            "response": {"output": "I am a program.", "finishReason": "stop"},
            "success": True,
        }
        for case in cases * repeat
    ]
    stats = {"successes": len(rows), "failures": 0, "errors": 0}
    begun = rfc3339(datetime.now(UTC))
    return {
        "results": {"version": 3, "timestamp": begun, "stats": stats, "results": rows},
        "config": {"tests": "file://cases.jsonl"},
    }


def test_a_filtered_report_signs_nothing_and_a_whole_one_passes(
    parties: Parties, tmp_path: Path
) -> None:
    lab = Lab(parties, tmp_path)
    manifest = parties.bind(lab.job)["file"]
    report = tmp_path / "promptfoo.json"
    given = (
        *("result", manifest, "--report", f"promptfoo={report}"),
        *("--suite", "eu-transparency=transparency", "--home", parties.home("test-house")),
        *("--out", parties.evidence),
    )
    cases = ("--cases", f"eu-transparency={lab.suite}")
    number = len(read_suite(lab.suite).cases)
    report.write_text(json.dumps(promptfoo(lab.suite, number // 2, 2)))
    before = set(parties.evidence.iterdir())
    message = f"has {number} cases, and the promptfoo report {number // 2} different ones"
    assert message.encode() in admit(*given, *cases, code=2).stderr
    assert b"the number of its cases is not stated" in admit(*given, code=2).stderr
    assert set(parties.evidence.iterdir()) == before
    report.write_text(json.dumps(promptfoo(lab.suite, number, 2)))
    assert told(*given, *cases)["result"] == "PASSED"


def test_a_report_that_names_a_deployment_counts_by_its_providers_binding(
    parties: Parties, tmp_path: Path
) -> None:
    lab = Lab(parties, tmp_path)
    manifest = parties.bind(lab.job)["file"]
    other = parties.bind(lab.job, "--declaration", "edition=other")["file"]
    pem, report = tmp_path / "provider.pem", tmp_path / "promptfoo.json"
    pem.write_bytes(
        admit("authority", "show", "--pem", "--home", parties.home("model-host")).stdout
    )
    deployment = ("declare", "deployment", "support-prod", "--days", "1", "--manifest")
    # The second begins a second later, since it replaces the first.
    bound, stale = (parties.sign("model-host", *deployment, m)["file"] for m in (manifest, other))
    number = len(read_suite(lab.suite).cases)
    report.write_text(json.dumps(promptfoo(lab.suite, number, 1, "azure:chat:support-prod")))
    given = (
        *("result", manifest, "--report", f"promptfoo={report}", "--out", parties.evidence),
        *("--suite", "eu-transparency=transparency", "--home", parties.home("test-house")),
        *("--cases", f"eu-transparency={number}"),
    )
    before = set(parties.evidence.iterdir())
    key = ("--binding-signed-by", pem)
    for more, message in (
        ((), b"give its provider's statement (--binding)"),
        (("--binding", bound), b"--binding-signed-by PEM"),
        (("--binding", stale, *key), b"binds support-prod to openai/"),
        (("--binding", manifest, *key), b"not signed by the key in"),
    ):
        assert message in admit(*given, *more, code=2).stderr
    assert set(parties.evidence.iterdir()) == before
    signed = admit(*given, "--json", "--binding", bound, *key)
    assert json.loads(signed.stdout)["result"] == "PASSED"
    assert b"only the number of cases was compared" in signed.stderr
