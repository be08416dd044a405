"""What is about to be signed is compared with manifest, policies and operator; by process."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core import dsse
from sidecar.core.evidence import parse_statement
from sidecar.core.predicates import Manifest
from tests.process.cli.admit import admit, told
from tests.process.cli.parties import ENVIRONMENT, Parties
from tests.support.scores import write_scores


@pytest.fixture(scope="module")
def manifest(parties: Parties, job: Path) -> str:
    return parties.bind(job)["file"]


def test_an_approval_of_names_that_nobody_knows_is_signed_by_force_alone(
    tmp_path: Path, parties: Parties, manifest: str
) -> None:
    arguments = (
        *("approve", manifest, "--role", "regulater", "--jurisdiction", "europe"),
        *("--environment", ENVIRONMENT, "--operation", "chat.completion"),
        *("--out", tmp_path, "--home", parties.home("eu-regulator"), "--trust", parties.trust()),
    )
    assert admit(*arguments, code=2).stderr.decode().splitlines() == [
        "! role 'regulater' is not known; did you mean 'regulator'?",
        "! operation 'chat.completion' is not known; did you mean 'chat.completions'?",
        "! jurisdiction 'europe' is outside the manifest, which has eu",
        "! the operator grants eu-regulator regulator, not regulater",
        "admit: eu-regulator signed nothing: correct this, or sign it with --force",
    ]
    assert list(tmp_path.iterdir()) == []
    assert told(*arguments, "--force")["role"] == "regulater"


def test_a_result_that_has_ended_is_not_signed(
    tmp_path: Path, parties: Parties, manifest: str
) -> None:
    path = write_scores(tmp_path / "results.json", manifest, 1.0)
    done = admit(
        *("result", manifest, "--results", path, "--performed", "2026-01-10", "--days", "90"),
        *("--out", tmp_path, "--home", parties.home("test-house")),
        code=2,
    )
    assert done.stderr.decode() == (
        "admit: the suites were run at 2026-01-10T00:00:00Z: a result of --days has ended by now;"
        " run them again\n"
    )


def test_a_manifest_supersedes_another_by_its_digest(
    tmp_path: Path, parties: Parties, job: Path, manifest: str
) -> None:
    arguments = (
        *("bind", job / "job.json", "--training", job / "training.jsonl"),
        *("--validation", job / "validation.jsonl", "--envelope", job / "envelope.yaml"),
        *("--environments", job / "environments.yaml", "--days", "30"),
        *("--out", tmp_path, "--home", parties.home("tuning-lab")),
    )
    older = dsse.parse(Path(manifest).read_bytes()).digest
    bound = told(*arguments, "--supersedes", older)
    newer = parse_statement(dsse.parse(Path(bound["file"]).read_bytes()).payload).predicate
    assert isinstance(newer, Manifest)
    assert newer.supersedes is not None
    assert newer.supersedes.sha256 == older
    unknown = admit(*arguments, "--supersedes", "ab" * 32).stderr.decode()
    assert unknown.startswith(f"! {'ab' * 32} is not in this home, so its model was not compared")
    nothing = admit(*arguments, "--supersedes", "nothing", code=2).stderr.decode()
    assert nothing.startswith("admit: --supersedes nothing: no such file, and no digest")
