"""`admit evaluate run` as an evaluator runs it: real Inspect, Envoy, gate and policies."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from admissibility_devtools.demo.authorities import EVALUATION, PROD
from admissibility_devtools.demo.evaluator import SUITES
from tests.process.cli.admit import admit, told
from tests.support.evaluation import evaluation_python
from tests.support.site.stand import Stand


@pytest.mark.slow
def test_suites_run_over_the_sandbox_route_and_for_nobody_else(
    stand: Stand, tmp_path: Path
) -> None:
    python = evaluation_python()
    manifest = stand.stage.organisations.evidence / "manifest-v3.dsse.json"
    svid = tmp_path / "svid"
    with (
        as_file(files("admissibility_devtools.demo") / "data" / "suites") as suites,
        stand.stage.sandbox() as via,
    ):
        run = (
            *("evaluate", "run", *(suites / name for name in SUITES), "--manifest", manifest),
            *("--via", via, "--credential-file", svid, "--out", tmp_path / "results.json"),
            *("--runs", tmp_path / "runs", "--price", "3.75,15"),
        )
        misspelt = admit(*run, "--price", "gpt-4.1=2,8", code=2, ADMIT_EVALUATE_PYTHON=str(python))
        assert b"a price of gpt-4.1: the suites' judges are none" in misspelt.stderr
        svid.write_text(stand.token(PROD))
        denied = admit(*run, code=2, ADMIT_EVALUATE_PYTHON=str(python))
        assert b"is declared for the purpose customer-support, not evaluation" in denied.stderr
        assert not (tmp_path / "results.json").exists()
        svid.write_text(stand.token(EVALUATION))
        value = told(*run, ADMIT_EVALUATE_PYTHON=str(python))
        edited = tmp_path / "edited"
        edited.mkdir()
        for path in (suites / SUITES[0]).iterdir():
            text = path.read_text("utf-8").replace("threshold: 0.9", "threshold: 0.1")
            (edited / path.name).write_text(text, encoding="utf-8")
        changed = ("evaluate", "run", edited, "--manifest", manifest, "--via", via)
        refused = admit(*changed, code=2, ADMIT_EVALUATE_PYTHON=str(python))
    assert b"was changed since the manifest declared it" in refused.stderr
    assert [(each["name"], each["score"]) for each in value["suites"]] == [
        (name, 1.0) for name in SUITES
    ]
    assert value["cost"] == {
        "model": round(sum(s["cost"] for s in value["suites"]), 6),
        "judges": 0,
    }
    assert value["cost"]["model"] == pytest.approx(7 * (9 * 3.75 + 7 * 15) / 1e6, abs=2e-6)
    assert json.loads((tmp_path / "results.json").read_text())[0]["tool"].startswith("inspect_ai")
    # Starting Inspect takes seconds: one child runs all three.
    assert len(list((tmp_path / "runs").rglob("output.txt"))) == 1
    secrets = [stand.token(PROD).split(".")[0], stand.stage.upstream.api_key]
    for path in (tmp_path / "runs").rglob("*"):
        if path.is_file():
            assert [s for s in secrets if s.encode() in path.read_bytes()] == [], path
    report = ("evaluate", "report", tmp_path / "runs", "--manifest", manifest)
    found = told(*report, "--out", tmp_path / "page.html")
    assert (found["passed"], found["cost"]) == (True, value["cost"])
    assert {each["log_kept"] for each in found["suites"]} == {True}
    (log,) = (tmp_path / "runs").glob(f"*/logs/*{SUITES[0]}*.json")
    log.write_bytes(log.read_bytes() + b" ")
    found = told(*report, "--out", tmp_path / "page.html")
    assert [each["log_kept"] for each in found["suites"]] == [False, True, True]
    assert "the log is not in the run's folder" in (tmp_path / "page.html").read_text("utf-8")
