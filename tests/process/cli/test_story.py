"""From a finished job to an admitted call and back, by the command line alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sidecar.core.assessment import Assessment
from sidecar.core.reasons import Reason
from tests.process.cli.admit import admit, told
from tests.process.cli.parties import ENVIRONMENT, Parties
from tests.unit.binding.samples import BASE, MODEL


def lacking(assessment: Assessment) -> tuple[Reason | None, tuple[str, ...]]:
    failed = assessment.failed
    return assessment.reason, () if failed is None else failed.missing


def test_a_call_is_admitted_only_after_everybody_agreed_and_denied_after_one_withdraws(
    parties: Parties, job: Path
) -> None:
    assert parties.assess().reason is Reason.ENVIRONMENT_UNKNOWN
    declared = parties.declare()
    assert parties.assess().reason is Reason.MANIFEST_MISSING
    assert parties.assess(BASE).reason is None

    bound = parties.bind(job)
    manifest = bound["file"]
    assert lacking(parties.assess()) == (
        Reason.PREACTIVATION_MISSING,
        (
            "adversarial suite jailbreaks",
            "regression suite support-regression",
            "compliance suite transparency for eu",
        ),
    )
    parties.result(manifest, 1.0)
    roles = ["customer", "provider", "regulator for eu"]
    assert lacking(parties.assess()) == (Reason.APPROVAL_MISSING, tuple(roles))
    parties.approve("acme-risk", manifest)
    assert lacking(parties.assess()) == (Reason.APPROVAL_MISSING, tuple(roles[1:]))
    parties.approve("model-host", manifest)
    assert lacking(parties.assess()) == (Reason.APPROVAL_MISSING, tuple(roles[2:]))
    approved = parties.approve("eu-regulator", manifest)

    admitted = parties.assess()
    assert admitted.reason is None
    assert admitted.manifests == (bound["digest"],)
    assert admitted.constituents == tuple(
        sorted(("acme-risk", "eu-regulator", "model-host", "test-house", "tuning-lab"))
    )

    why = ("--reason", "new findings", "--evidence", parties.evidence)
    office = ("--home", parties.home("eu-regulator"))
    mistaken = admit("withdraw", "result", approved["digest"], *why, *office, code=2)
    assert mistaken.stderr.decode() == (
        f"admit: {approved['digest']} is of kind approval, so this matches nothing: "
        f"admit withdraw approval {approved['digest']}\n"
    )
    said = told("withdraw", "approval", approved["digest"], *why, *office)
    assert said["matches"] == {"models": [f"openai/{MODEL}"], "base_models": [], "environments": []}
    assert said["older"] == []
    assert lacking(parties.assess()) == (Reason.WITHDRAWN, ())
    parties.run("eu-regulator", "withdraw", "approval", approved["digest"], "--reinstate")
    assert parties.assess().reason is None

    # The customer's declaration and approval rest on its old key; both must be signed anew.
    parties.run("acme-risk", "authority", "rotate", "attestation")
    assert parties.assess().reason is Reason.ENVIRONMENT_UNKNOWN
    parties.run("acme-risk", "resign", Path(declared["file"]))
    assert lacking(parties.assess()) == (Reason.APPROVAL_MISSING, ("customer",))
    parties.run("acme-risk", "resign", parties.evidence)
    assert parties.assess().reason is None

    # With an overlap nothing stops; what was signed anew outlives the old key.
    parties.run("acme-risk", "authority", "rotate", "attestation", "--overlap", "14d")
    assert parties.assess().reason is None


def test_the_blobs_are_what_the_evidence_names(tmp_path: Path, parties: Parties, job: Path) -> None:
    bound = parties.bind(job)
    statement = Path(bound["statement"]).read_bytes()
    assert hashlib.sha256(statement).hexdigest() == bound["digest"]
    artifact = Path(bound["artifact"]).read_bytes()
    assert f'"sha256":"{hashlib.sha256(artifact).hexdigest()}"'.encode() in statement
    assert f'"name":"{MODEL}"'.encode() in statement
    declared = parties.declare()
    assert Path(declared["blob"]).read_bytes() == ENVIRONMENT.encode()
    assert Path(bound["file"]).name == f"manifest-{bound['digest'][:12]}.dsse.json"


def test_a_failed_result_is_signed_and_is_loud(parties: Parties, job: Path) -> None:
    bound = parties.bind(job)
    found = parties.result(bound["file"], 0.5, code=3)
    assert found["result"] == "FAILED"
    assert Path(found["file"]).exists()
    home = parties.home("test-house")
    failures = told("authority", "show", "--home", home)["failures"]
    assert {one["manifest"] for one in failures} == {bound["digest"]}
    assert {one["result"] for one in failures} == {found["digest"]}
    passed = parties.result(bound["file"], 1.0)
    assert passed["result"] == "PASSED"
    assert told("authority", "show", "--home", home)["failures"] == failures
    refused = admit("retract", found["digest"], "--home", home, code=2)
    assert refused.stderr.decode().splitlines()[-1] == (
        "admit: nothing was changed: confirm with --yes"
    )
    assert told("authority", "show", "--home", home)["failures"] == failures
    parties.run("test-house", "retract", found["digest"], "--yes")
    assert told("authority", "show", "--home", home)["failures"] == []


def test_a_statement_that_is_reinstated_beside_a_narrower_one_is_warned_of(
    parties: Parties,
) -> None:
    wide, narrow = (parties.declare(*more)["digest"] for more in ((), ("--days", "1")))
    home = str(parties.home("acme-risk"))
    done = admit("withdraw", "environment", wide, "--reinstate", ADMIT_HOME=home)
    assert done.stderr.decode() == (
        f"! environment {narrow} permits less than environment {wide}, and both count: where the "
        "newer one's file is missing, the older one permits more\n"
    )


def test_law_1_binding_the_same_model_anew_ends_no_failure(parties: Parties, job: Path) -> None:
    parties.declare()
    failed = parties.bind(job)
    found = parties.result(failed["file"], 0.5, code=3)
    anew = parties.bind(job, "--days", "20")
    first, second = (Path(each["artifact"]).read_bytes() for each in (failed, anew))
    assert (anew["digest"] != failed["digest"], first) == (True, second)
    Path(failed["file"]).unlink()
    parties.result(anew["file"], 1.0)
    for name in ("acme-risk", "model-host", "eu-regulator"):
        parties.approve(name, anew["file"])
    refused = parties.assess()
    assert refused.reason is Reason.PREACTIVATION_FAILED
    assert refused.failed is not None
    assert f"as manifest {failed['digest'][:12]} of the same model" in refused.failed.detail
    parties.run("test-house", "retract", found["digest"], "--yes")
    assert parties.assess().reason is None
