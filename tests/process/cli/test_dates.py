"""The date that ``verify`` and ``explain`` show is the first real end, with its owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sidecar.core.window import rfc3339
from tests.process.cli.admit import admit, told
from tests.process.cli.parties import ENVIRONMENT, Parties
from tests.unit.binding.samples import MODEL


def test_the_first_end_is_shown_with_what_ends_and_whose_it_is(parties: Parties, job: Path) -> None:
    begun = datetime.now(UTC)
    parties.declare()
    manifest = parties.bind(job)["file"]
    parties.result(manifest, 1.0)
    for name in ("model-host", "acme-risk", "eu-regulator"):
        parties.approve(name, manifest)
    arguments = (MODEL, "-e", ENVIRONMENT, "--trust", parties.trust())
    found = told("verify", *arguments)
    # Metadata that is published for a day ends before the evidence, which lasts for 90.
    assert found["ends_first"]["what"] == "published metadata"
    assert found["ends_first"]["at"] == found["valid_until"]
    ends = datetime.fromisoformat(found["valid_until"])
    assert abs(ends - begun - timedelta(days=1)) < timedelta(hours=1)
    lines = admit("verify", *arguments).stdout.decode().splitlines()
    assert lines[:2] == [
        f"admissible until {rfc3339(ends)}, policies permitting",
        f"the first to end: published metadata of {found['ends_first']['whose']}",
    ]
