"""A model gains a jurisdiction by an extension of its specification, by the command line alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sidecar.core import dsse
from sidecar.core.assessment import Assessment
from sidecar.core.evidence import parse_statement
from sidecar.core.predicates import Specification
from sidecar.core.reasons import Reason
from sidecar.core.wire import DigestSet
from tests.process.cli.admit import admit
from tests.process.cli.parties import ROLES, Parties
from tests.support.scores import write_scores
from tests.unit.binding.samples import BASE, ENVELOPE, ENVIRONMENTS, JOB

APPROVERS = ("acme-risk", "model-host", "eu-regulator")
CH_SUITE = """
  - {kind: compliance, jurisdiction: uk, name: uk-transparency, threshold: 1, digest: %s}
""" % ("7a" * 32)


@pytest.fixture
def parties(founded: Path, tmp_path: Path) -> Parties:
    """The authorities, granted two jurisdictions, in homes of each test's own."""
    made = Parties(Path(shutil.copytree(founded, tmp_path / "homes")))
    made.jurisdictions = ("eu", "uk")
    return made


@pytest.fixture
def wider(job: Path, tmp_path: Path) -> Path:
    """The declared files with a further jurisdiction and its compliance suite."""
    folder = Path(shutil.copytree(job, tmp_path / "wider"))
    (folder / "envelope.yaml").write_text(ENVELOPE + CH_SUITE.lstrip("\n"))
    (folder / "environments.yaml").write_text(ENVIRONMENTS.replace("[eu]", "[eu, uk]"))
    return folder


def declared(folder: Path, *more: object) -> tuple[object, ...]:
    return (
        *("declare", "specification", "support-v4", "--model", f"openai/{BASE}"),
        *("--environments", folder / "environments.yaml", "--envelope", folder / "envelope.yaml"),
        *more,
    )


def refused(parties: Parties, name: str, *words: object) -> str:
    """What a refused command states; it leaves no evidence behind."""
    before = sorted(parties.evidence.iterdir())
    done = admit(*words, "--out", parties.evidence, code=2, ADMIT_HOME=str(parties.home(name)))
    assert sorted(parties.evidence.iterdir()) == before
    return done.stderr.decode().removeprefix("admit: ").removesuffix("\n")


def passed(parties: Parties, manifest: str) -> None:
    path = write_scores(parties.folder / "results.json", manifest, 1.0)
    parties.sign("test-house", "result", manifest, "--results", path)


def approve(parties: Parties, name: str, manifest: str, *jurisdictions: str) -> None:
    parties.sign(
        name,
        *("approve", manifest, "--role", ROLES[name], "--environment", "spiffe://acme.example/**"),
        *("--operation", "chat.completions", "--condition", "quarterly review"),
        *(word for each in jurisdictions for word in ("--jurisdiction", each)),
    )


def lacking(assessment: Assessment) -> tuple[Reason | None, tuple[str, ...]]:
    failed = assessment.failed
    return assessment.reason, () if failed is None else failed.missing


def test_a_model_gains_a_jurisdiction_once_extension_suite_and_regulator_are_there(
    parties: Parties, job: Path, wider: Path
) -> None:
    parties.declare("--tuning-model", f"openai/{BASE}")
    older = parties.sign("acme-risk", *declared(job, "--blobs", parties.blobs))
    predicate = parse_statement(dsse.parse(Path(older["file"]).read_bytes()).payload).predicate
    assert isinstance(predicate, Specification)
    started = int(predicate.window.not_before.timestamp())
    record = job / "tuned.json"
    metadata = {"admissibility_specification": older["digest"]}
    times = {"created_at": started, "finished_at": started + 60}
    record.write_text(json.dumps({**JOB, **times, "metadata": metadata}))
    bind = (
        *("bind", record, "--training", job / "training.jsonl", "--blobs", parties.blobs),
        *("--validation", job / "validation.jsonl"),
    )
    first = parties.sign("tuning-lab", *bind, "--specification", older["file"])["file"]
    passed(parties, first)
    for name in APPROVERS:
        approve(parties, name, first, "eu")
    assert parties.assess().reason is None

    parties.declare("--jurisdiction", "uk")
    assert parties.assess().reason is Reason.ENVIRONMENT_NOT_COVERED

    files = ("--environments", wider / "environments.yaml", "--envelope", wider / "envelope.yaml")
    assert refused(parties, "tuning-lab", *bind, *files, "--specification", older["file"]) == (
        "the environments are not those that the specification names"
    )
    newer = parties.sign(
        "acme-risk", *declared(wider, "--extends", older["digest"], "--blobs", parties.blobs)
    )
    assert newer["extends"] == older["digest"]
    assert bool(newer["compared"])
    under = (*bind, "--specification", newer["file"])
    assert refused(parties, "tuning-lab", *under) == (
        f"{newer['digest']} extends {older['digest']}: give it, --extended"
    )
    second = parties.sign("tuning-lab", *under, "--extended", older["file"])["file"]
    reason, missing = lacking(parties.assess())
    assert reason is Reason.PREACTIVATION_MISSING
    assert missing[-1] == "compliance suite uk-transparency for uk"
    passed(parties, second)
    for name in APPROVERS[:2]:
        approve(parties, name, second, "eu", "uk")
    approve(parties, "eu-regulator", second, "eu")
    assert lacking(parties.assess()) == (Reason.APPROVAL_OUT_OF_SCOPE, ("regulator for uk",))
    approve(parties, "eu-regulator", second, "eu", "uk")
    assert parties.assess().reason is None

    parties.run("acme-risk", "withdraw", "specification", older["digest"], "--reason", "wrong")
    assert parties.assess().reason is Reason.WITHDRAWN


def test_an_extension_that_takes_away_is_refused_with_what_is_lost(
    parties: Parties, job: Path, wider: Path
) -> None:
    older = parties.sign("acme-risk", *declared(wider, "--blobs", parties.blobs))
    only_adds = f"an extension only adds to {older['digest']}: "
    environment = "environment spiffe://acme.example/env/*"
    (wider / "environments.yaml").write_text(
        ENVIRONMENTS.replace("customer-support", "sales").replace(
            "[chat.completions]", "[responses]"
        )
    )
    changed = refused(parties, "acme-risk", *declared(wider, "--extends", older["file"]))
    assert changed == only_adds + (
        f"{environment}: purpose is 'sales', not 'customer-support'; jurisdictions missing: uk; "
        "operations missing: chat.completions"
    )
    shutil.copy(job / "envelope.yaml", wider / "envelope.yaml")
    (wider / "environments.yaml").write_text(ENVIRONMENTS.replace("/env/*", "/env/prod"))
    eased = wider / "envelope.yaml"
    eased.write_text(eased.read_text().replace("threshold: 0.95", "threshold: 0.5"))
    changed = refused(parties, "acme-risk", *declared(wider, "--extends", older["digest"]))
    assert changed == only_adds + (
        f"{environment} is missing; adversarial suite jailbreaks ({'5f' * 32}): "
        f"threshold 0.5 is below 0.95; compliance suite uk-transparency ({'7a' * 32}) is missing"
    )
    assert refused(parties, "acme-risk", *declared(job, "--extends", "AB" * 32)) == (
        f"--extends {'AB' * 32}: no such file, and no digest (64 hex digits, lower case)"
    )
    environment_file = parties.declare()["file"]
    assert refused(parties, "acme-risk", *declared(job, "--extends", environment_file)) == (
        f"{environment_file}: is evidence, but not a specification"
    )


def test_an_extension_of_an_unknown_digest_is_signed_and_not_compared(
    parties: Parties, job: Path
) -> None:
    home = str(parties.home("acme-risk"))
    words = declared(job, "--extends", "ab" * 32, "--out", parties.evidence, "--json")
    done = admit(*words, ADMIT_HOME=home)
    assert "so it was not compared with what extends it" in done.stderr.decode()
    made = json.loads(done.stdout)
    assert (made["extends"], made["compared"]) == ("ab" * 32, False)
    predicate = parse_statement(dsse.parse(Path(made["file"]).read_bytes()).payload).predicate
    assert isinstance(predicate, Specification)
    assert predicate.extends == DigestSet("ab" * 32)
