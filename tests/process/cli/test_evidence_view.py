"""Evidence that nobody accepts is named by file, kind, model and key, with the grant it lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

from sidecar.core.keys import PublicKey
from tests.process.cli.admit import admit, told
from tests.process.cli.parties import ENVIRONMENT, Parties
from tests.unit.binding.samples import MODEL


def test_evidence_that_nobody_accepts_is_named_with_the_grant_it_lacks(
    parties: Parties, job: Path, tmp_path: Path
) -> None:
    manifest = parties.bind(job)["file"]
    good = parties.approve("eu-regulator", manifest)["file"]
    approving = ("approve", manifest, "--jurisdiction", "eu", "--environment", ENVIRONMENT)
    operation = ("--operation", "chat.completions")
    wrong = parties.sign("eu-regulator", *approving, *operation, "--role", "provider")["file"]
    stranger = tmp_path / "stranger"
    admit("authority", "init", "stranger", "--dir", stranger)
    foreign = told(
        *(*approving, *operation, "--role", "customer", "--home", stranger),
        *("--out", parties.evidence),
    )["file"]
    (parties.evidence / "junk.json").write_text("{}")
    found = {
        one["file"]: one
        for one in told(
            "verify", "--evidence", parties.evidence, "--trust", parties.trust(), code=1
        )["evidence"]
    }
    home = parties.home("eu-regulator")
    pem = admit("authority", "show", "--pem", "--home", home).stdout.decode()
    assert len(found) == 5
    assert found[manifest]["accepted_from"] == ["tuning-lab"]
    assert found[good]["accepted_from"] == ["eu-regulator"]
    assert found[wrong] == {
        "file": wrong,
        "kind": "approval",
        "subject": MODEL,
        "keys": [PublicKey.from_pem(pem).fingerprint],
        "accepted_from": [],
        "problems": ["the operator grants eu-regulator regulator, not provider"],
        "remedy": 'If it should count, grant eu-regulator: {role: provider, jurisdictions: ["eu"], '
        f'sectors: ["finance"], models: ["openai/{MODEL}"], environments: ["{ENVIRONMENT}"]}}',
    }
    problem = "signed by no key that an authority of trust.yaml publishes"
    assert found[foreign]["problems"] == [problem]
    assert found[foreign]["keys"][0].startswith("sha256:")
    junk = found[str(parties.evidence / "junk.json")]
    assert junk["problems"] == ["envelope: payloadType is not exactly application/vnd.in-toto+json"]
    only = shutil.copy(good, tmp_path / "good.json")
    shown = admit("verify", "--evidence", only, "--trust", parties.trust()).stdout.decode()
    assert shown.splitlines()[1:] == [
        f"  approval for {MODEL} by eu-regulator",
        "1 of 1 files are accepted",
    ]
