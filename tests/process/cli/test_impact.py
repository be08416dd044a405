"""What a withdrawal would stop is shown before it is published, and hinders no withdrawal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sidecar.core.reasons import Reason
from tests.process.cli.admit import PROGRAM, admit, told
from tests.process.cli.parties import ENVIRONMENT, ROLES, Parties
from tests.unit.binding.samples import MODEL

SUBJECT = f"openai/{MODEL}"


@pytest.fixture(scope="module")
def approved(parties: Parties, job: Path) -> Parties:
    """The parties, after everyone agreed."""
    parties.declare()
    manifest = parties.bind(job)["file"]
    parties.result(manifest, 1.0)
    for name, role in ROLES.items():
        if role in {"customer", "provider", "regulator"}:
            parties.approve(name, manifest)
    assert parties.assess().reason is None
    return parties


def on_a_terminal(parties: Parties, answer: bytes, *arguments: object) -> tuple[int, str]:
    """Withdraw as the regulator, with a terminal as standard input; return status and errors."""
    ours, theirs = os.openpty()
    try:
        command = [PROGRAM, "withdraw", *arguments, "--reason", "new findings", "--json"]
        os.write(ours, answer)
        done = subprocess.run(
            [str(each) for each in command],
            stdin=theirs,
            capture_output=True,
            check=False,
            env={**os.environ, "ADMIT_HOME": str(parties.home("eu-regulator"))},
            timeout=120,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return done.returncode, done.stderr.decode()


def test_what_would_stop_is_shown_and_asked_about_and_nothing_hinders_a_withdrawal(
    approved: Parties, tmp_path: Path
) -> None:
    trust = approved.trust()
    found = told("impact", "model", SUBJECT, "--as", "eu-regulator", "--trust", trust)
    assert (found["models"], found["environments"]) == ([SUBJECT], [ENVIRONMENT])
    assert (found["jurisdictions"], found["callers"]) == (["eu"], None)
    unknown = admit("impact", "model", SUBJECT, "--as", "regulator", "-t", trust, code=2)
    assert "--as regulator: not in" in unknown.stderr.decode()

    status, errors = on_a_terminal(approved, b"n\n", "model", SUBJECT, "--trust", trust)
    assert status == 2
    assert "1 model would stop in 1 environment (eu)" in errors
    assert approved.assess().reason is None

    status, errors = on_a_terminal(approved, b"y\n", "model", SUBJECT, "-t", tmp_path / "none.yaml")
    assert "the impact is not computed: " in errors
    assert (status, approved.assess().reason) == (0, Reason.WITHDRAWN)
    approved.run("eu-regulator", "withdraw", "model", SUBJECT, "--reinstate")

    approved.run("eu-regulator", "withdraw", "model", SUBJECT, "--reason", "from a script")
    assert approved.assess().reason is Reason.WITHDRAWN
    approved.run("eu-regulator", "withdraw", "model", SUBJECT, "--reinstate")
    status, errors = on_a_terminal(approved, b"", "model", SUBJECT, "--yes", "--trust", trust)
    assert (status, approved.assess().reason) == (0, Reason.WITHDRAWN)
    assert "would stop" not in errors
