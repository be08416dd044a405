"""``admit evaluate due`` as a scheduler runs it: what it lists, and with which exit status."""

from __future__ import annotations

from pathlib import Path

from tests.process.cli.admit import admit, told
from tests.process.cli.parties import Parties


def test_what_is_missing_or_ends_within_the_days_makes_the_status_3(
    parties: Parties, job: Path
) -> None:
    manifest = parties.bind(job)["file"]
    trust = parties.trust()
    value = told("evaluate", "due", "--trust", trust, code=3)
    assert (value["due"], {each["is"] for each in value["suites"]}) == (3, {"missing"})
    parties.result(manifest, 1.0)
    value = told("evaluate", "due", "--trust", trust)
    assert (value["due"], value["suites"], value["unheard"]) == (0, [], {})
    text = admit("evaluate", "due", "--trust", trust, "--within", "365", code=3).stdout.decode()
    assert text.splitlines()[-1] == "3 of 3 suites are due within 365 days"
    assert text.count(" ending ") == 3
