"""``admit policy diff``: whom a change of the policies reaches, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from sidecar.opa import tree
from tests.process.policies.facts import facts_in
from tests.process.policies.opa import POLICIES
from tests.process.policy.admit import admit, told
from tests.process.policy.toy import facts, write_toy


def recorded(folder: Path, *scores: int) -> Path:
    path = folder / "facts.jsonl"
    records = [
        {"id": f"d-{number}", "time": "2026-09-01T12:00:00Z", "allowed": score >= 5,
         "facts": facts(score)}
        for number, score in enumerate(scores)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_diff_shows_who_is_reached_by_which_rule_and_its_status_says_whether(
    tmp_path: Path,
) -> None:
    before, after = write_toy(tmp_path / "a"), write_toy(tmp_path / "b", floor=7)
    asked = ("policy", "diff", "--facts", recorded(tmp_path, 9, 6, 4), "--before", before)
    done = admit(*asked, "--after", after, code=1)
    assert done.stdout.splitlines()[0] == (
        "3 questions replayed: 1 decision changes (1 denied now, 0 allowed now,"
        " 0 denied for other reasons); 0 differ in warnings only"
    )
    assert ["xx", "xx.enough", "1", "0"] in [line.split() for line in done.stdout.splitlines()]
    assert "d-1" in done.stdout
    assert done.stderr == ""
    assert told(*asked, "--after", after, code=1) == {
        "before": tree.read(before).revision,
        "after": tree.read(after).revision,
        "records": 3,
        "changed": 1,
        "kinds": {"denied": 1},
        "warnings_only": 0,
        "unlike_recorded": 0,
        "malformed": 0,
        "rules": [{"jurisdiction": "xx", "code": "xx.enough", "appears": 1, "disappears": 0}],
        "restated": {},
        "groups": [
            {
                "kind": "denied",
                "environment": "spiffe://acme.example/env/prod",
                "models": ["model-1"],
                "appears": [{"jurisdiction": "xx", "code": "xx.enough"}],
                "disappears": [],
                "decisions": 1,
                "first": "d-1",
                "since": "2026-09-01T12:00:00Z",
                "until": "2026-09-01T12:00:00Z",
            }
        ],
        "ungrouped": 0,
        "changes": [
            {
                "id": "d-1",
                "time": "2026-09-01T12:00:00Z",
                "kind": "denied",
                "environment": "spiffe://acme.example/env/prod",
                "models": ["model-1"],
                "before": {"allow": True, "violations": [], "warnings": []},
                "after": {
                    "allow": False,
                    "violations": [
                        {"jurisdiction": "xx", "code": "xx.enough", "subject": "model-1"}
                    ],
                    "warnings": [{"jurisdiction": "xx", "code": "xx.much", "subject": "model-1"}],
                },
            }
        ],
    }
    assert admit(*asked, "--after", before).stdout.startswith(
        "3 questions replayed: 0 decisions change"
    )


def test_diff_keeps_an_id_whole_in_a_narrow_terminal(tmp_path: Path) -> None:
    before, after = write_toy(tmp_path / "a"), write_toy(tmp_path / "b", floor=7)
    path, name = recorded(tmp_path, 6), "cf23a4b14f165b1f53029d37531a207e"
    path.write_text(path.read_text().replace("d-0", name))
    done = admit("policy", "diff", "--facts", path, "--before", before, "--after", after,
                 code=1, COLUMNS="100")  # fmt: skip
    assert done.stdout.splitlines()[-6:] == [
        "decisions 1",
        "  are             denied now",
        "  models          model-1",
        "  environment     spiffe://acme.example/env/prod",
        "  rules           + xx.enough",
        f"  first decision  {name} 2026-09-01T12:00:00Z",
    ]


def test_diff_as_if_an_environment_were_elsewhere_asks_its_policies(tmp_path: Path) -> None:
    log, asked_of = tmp_path / "facts.jsonl", facts_in("eu")
    asked_of["adaptations"][0]["corpora"][0]["classes"] = ["personal-data"]
    record = {"id": "d-0", "time": "2026-09-01T12:00:00Z", "allowed": True, "facts": asked_of}
    log.write_text(json.dumps(record) + "\n")
    asked = ("policy", "diff", "--facts", log, "--before", POLICIES, "--after", POLICIES, "--as-if")
    name = asked_of["environment"]["id"]
    there = f"{name}=eu,uk"
    answer = told(*asked, there, code=1)
    (group,) = answer["groups"]
    assert (answer["restated"], group["kind"], group["appears"]) == (
        {name: 1},
        "denied",
        [{"jurisdiction": "uk", "code": "uk.art35_impact_assessment"}],
    )
    shown = admit(*asked, there, code=1).stdout
    assert f"as if {name} had declared other jurisdictions: 1" in shown
    assert told(*asked, f"{name}=eu")["changed"] == 0
    nobody = admit(*asked, "spiffe://acme.example/nobody=uk", code=2)
    assert nobody.stderr == (
        "admit: --as-if: no recorded question is from spiffe://acme.example/nobody\n"
    )


def test_diff_says_when_the_record_is_of_other_policies(tmp_path: Path) -> None:
    policies = write_toy(tmp_path / "a", floor=7)
    done = admit("policy", "diff", "--facts", recorded(tmp_path, 6), "--before", policies,
                 "--after", policies)  # fmt: skip
    assert "! 1 were recorded otherwise than the policies before decide now" in done.stdout
