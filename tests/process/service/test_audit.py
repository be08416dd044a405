"""``admit audit``: a decision of half a year ago, borne out by copies of that day, or not."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from admissibility_devtools.demo.gate_process import GateProcess
from sidecar.core.decide import Decision, decide, inadmissible
from sidecar.core.window import rfc3339
from sidecar.observe import decision_record
from tests.process.cli.admit import admit
from tests.process.service.site import ROOT, Site
from tests.support.simulator.constants import ENV, MODEL, NOW
from tests.support.simulator.svid import Issuer
from tests.support.simulator.world import World, admitted_world
from tests.unit.observe.samples import LATER, outcome, progress, verdict
from tests.unit.trust import repository

ID = "d-1"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Copies of 1 June: every metadata of them has expired since."""
    monkeypatch.setattr(repository, "now", lambda: NOW)
    made = Site(tmp_path, admitted_world(), Issuer())
    made.settings = GateProcess.settings(ROOT / "policies")
    made.write()
    return made


def allowed(world: World) -> Decision:
    return decide(progress(world), verdict(), LATER)


def line(decision: Decision, **changes: Any) -> dict[str, Any]:
    return {**decision_record.record(outcome(decision)), **changes}


def audit(site: Site, *lines: dict[str, Any], code: int, decision: str = ID) -> dict[str, Any]:
    site.log.write_text("".join(f"{json.dumps(each)}\n" for each in ({"event": "x"}, *lines)))
    words: tuple[str, ...] = (
        "audit",
        decision,
        "--log",
        str(site.log),
        "--trust",
        str(site.trust),
        "--json",
    )
    facts = site.folder / "facts.jsonl"
    words += ("--facts", str(facts)) if facts.exists() else ()
    return dict(json.loads(admit(*words, code=code).stdout or b"{}"))


def test_an_allow_is_borne_out_by_what_was_published_then(archive: Site) -> None:
    found = audit(archive, line(allowed(archive.world)), code=0)
    assert (found["agrees"], found["differences"]) == (True, [])
    assert found["assessed"]["at"] == rfc3339(NOW)
    assert not (archive.folder / "state").exists()


def test_the_last_line_of_an_id_counts(archive: Site) -> None:
    first = line(allowed(archive.world), outcome="deny", reason="internal_error")
    assert audit(archive, first, line(allowed(archive.world)), code=0)["agrees"] is True


def test_a_denial_is_borne_out_by_its_reason(archive: Site) -> None:
    archive.world.parties["regulator"].withdraw("model", f"openai/{MODEL}")
    archive.publish(archive.world.parties["regulator"])
    denied = line(inadmissible(progress(archive.world)))
    assert (denied["reason"], audit(archive, denied, code=0)["agrees"]) == ("withdrawn", True)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"manifests": ["0" * 64]}, f"manifests were {'0' * 64}; assessed: "),
        ({"constituents": ["provider"]}, "constituents were provider; assessed: "),
        (
            {"outcome": "deny", "reason": "withdrawn", "step": 6},
            "was denied with withdrawn; assessed: admitted",
        ),
        (
            {"time": rfc3339(NOW + timedelta(days=2))},
            "was allowed; assessed: environment_unknown",  # nothing of that day can be read
        ),
    ],
)
def test_a_line_that_the_evidence_does_not_bear_out_is_found(
    archive: Site, changes: dict[str, Any], difference: str
) -> None:
    found = audit(archive, line(allowed(archive.world), **changes), code=1)
    assert found["agrees"] is False
    assert found["differences"][0].startswith(difference)


def test_an_allow_before_a_withdrawal_needs_copies_from_before_it(archive: Site) -> None:
    then = line(allowed(archive.world))
    archive.world.parties["regulator"].withdraw("model", f"openai/{MODEL}")
    archive.publish(archive.world.parties["regulator"])
    found = audit(archive, then, code=1)
    assert found["differences"] == ["was allowed; assessed: withdrawn"]


def test_an_allow_by_lease_is_followed_to_what_the_policies_answered(archive: Site) -> None:
    asked = {
        "time": rfc3339(NOW - timedelta(seconds=9)),
        "id": "d-0",
        "revision": "r-1",
        "allowed": True,
        "reason": "admitted",
        "facts": {
            "environment": {"id": ENV},
            "request": {"operation": "chat.completions", "models": [MODEL]},
        },
    }
    log = archive.folder / "facts.jsonl"
    log.write_text(json.dumps(asked))
    assert audit(archive, line(allowed(archive.world)), code=0)["facts"]["id"] == "d-0"
    log.write_text(json.dumps({**asked, "revision": "r-0"}))
    found = audit(archive, line(allowed(archive.world)), code=1)
    assert found["differences"] == ["the log of facts has admitted under r-0"]


def test_what_the_predicate_did_not_decide_and_what_is_in_no_log_is_said(archive: Site) -> None:
    busy = line(allowed(archive.world), outcome="deny", reason="overloaded", step=None)
    assert audit(archive, busy, code=2)["agrees"] is None
    words = ("audit", "other", "--log", str(archive.log), "--trust", str(archive.trust))
    assert (
        admit(*words, code=2)
        .stderr.decode()
        .startswith(
            f"admit: decision other: not in {archive.log}; give the log of the gate that decided"
        )
    )
