"""A model that is bound a second time by hand is named: what agreed to the first does not count."""

from __future__ import annotations

from pathlib import Path

from tests.process.cli.admit import admit
from tests.process.cli.parties import Parties

BEFORE = "manifest {} of this model was signed here before: results and approvals of one do not"


def bound(parties: Parties, job: Path, *more: object) -> str:
    """Bind the sample job as ``parties.bind`` does; return what is written to standard error."""
    done = admit(
        *("bind", job / "job.json", "--training", job / "training.jsonl"),
        *("--validation", job / "validation.jsonl", "--result-file", job / "metrics.csv"),
        *("--envelope", job / "envelope.yaml", "--environments", job / "environments.yaml"),
        *("--home", parties.home("tuning-lab"), "--out", parties.evidence, "--days", "7", *more),
    )
    return done.stderr.decode()


def test_what_was_bound_before_is_named_unless_it_is_superseded_or_withdrawn(
    parties: Parties, job: Path
) -> None:
    first = parties.bind(job)["digest"]
    assert BEFORE.format(first) not in bound(parties, job, "--supersedes", first)
    assert BEFORE.format(first) in bound(parties, job, "--days", "9")
    parties.run("tuning-lab", "withdraw", "manifest", first, "--reason", "bound twice")
    assert BEFORE.format(first) not in bound(parties, job, "--days", "11")
