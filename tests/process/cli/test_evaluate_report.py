"""``admit evaluate report`` over the records of runs and the evaluator's signed result."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from sidecar.cli.manifests import read
from sidecar.evaluation.runner.evaluate import RECORD
from tests.process.cli.admit import admit, told
from tests.process.cli.parties import Parties


def write_runs(manifest: Path, runs: Path, score: float) -> None:
    """Leave what runs of the declared suites leave."""
    handed = read(manifest)
    for number, suite in enumerate(handed.manifest.envelope.suites):
        case = {"id": "one", "score": score, "input": "?", "output": "<b>!</b>"}
        record = {
            "name": suite.name,
            "kind": suite.kind,
            "jurisdiction": suite.jurisdiction,
            "digest": suite.digest.sha256,
            "score": score,
            "samples": 1,
            "low": 0.2,
            "high": 1.0,
            "tool": "inspect_ai 0.3.285",
            "threshold": suite.threshold,
            "passed": score >= suite.threshold,
            "manifest": handed.digest,
            "model": handed.manifest.model.id,
            "cases": [case],
        }
        (runs / str(number)).mkdir(parents=True)
        (runs / str(number) / RECORD).write_text(json.dumps(record))


def test_a_report_states_what_was_signed_and_by_which_key(
    parties: Parties, job: Path, tmp_path: Path
) -> None:
    manifest = Path(parties.bind(job)["file"])
    result = parties.result(str(manifest), 1.0)
    home = parties.home("test-house")
    key = tmp_path / "test-house.pem"
    key.write_bytes(admit("authority", "show", "--home", home, "--pem").stdout)
    write_runs(manifest, tmp_path / "runs", 1.0)
    page, junit = tmp_path / "page.html", tmp_path / "junit.xml"
    files = ("--manifest", manifest, "--out", page, "--junit", junit)
    signed = ("evaluate", "report", tmp_path / "runs", *files, "--result", result["file"])
    value = told(*signed, "--key", key)
    assert value["passed"]
    assert {each["signed"]["result"] for each in value["suites"]} == {result["digest"]}
    assert {each["signed"]["key"] for each in value["suites"]} == {result["key"]}
    value = told(*signed)
    assert {each["signed"]["key"] for each in value["suites"]} == {None}
    assert "signature not checked" in page.read_text("utf-8")
    assert len(ET.fromstring(junit.read_text("utf-8"))) == 3
    key.write_bytes(admit("authority", "show", "--home", parties.home("acme-risk"), "--pem").stdout)
    assert b"not signed by any key" in admit(*signed, "--key", key, code=2).stderr


def test_a_suite_that_is_not_passed_makes_the_status_3(
    parties: Parties, job: Path, tmp_path: Path
) -> None:
    manifest = Path(parties.bind(job)["file"])
    write_runs(manifest, tmp_path / "runs", 0.0)
    page = tmp_path / "page.html"
    done = admit(
        "evaluate", "report", tmp_path / "runs", "--manifest", manifest, "--out", page, code=3
    )
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert ["jailbreaks", "NOT", "passed", "0.0000", "0.95", "1", "of", "1", "no"] in rows
    assert "&lt;b&gt;!&lt;/b&gt;" in page.read_text("utf-8")
    (tmp_path / "empty").mkdir()
    lost = admit("evaluate", "report", tmp_path / "empty", "--manifest", manifest, code=2)
    assert b"no run that was graded" in lost.stderr
