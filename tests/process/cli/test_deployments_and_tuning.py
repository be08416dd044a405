"""Deployments and tuning, by the command line alone: declared, asked about, withdrawn."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli.common import CliError
from sidecar.cli.verify import NameOptions
from sidecar.core import dsse
from sidecar.core.call import Call
from sidecar.core.evidence import parse_statement
from sidecar.core.predicates import DeploymentBinding, Manifest, Specification, base_model_digest
from sidecar.core.reasons import Reason
from tests.process.cli.admit import admit, told
from tests.process.cli.parties import ENVIRONMENT, Parties
from tests.unit.binding.samples import BASE, JOB, MODEL

DEPLOYED = Call("openai", "chat.completions", ("prod",), deployments=("prod",))
TUNE = "fine_tuning.jobs.create"
TUNING = ("--tuning-model", f"openai/{BASE}")


@pytest.fixture
def parties(founded: Path, tmp_path: Path) -> Parties:
    """The authorities, in homes of each test's own."""
    return Parties(Path(shutil.copytree(founded, tmp_path / "homes")))


def said(told_of: dict[str, str]) -> Any:
    """The predicate in a file that a command wrote."""
    return parse_statement(dsse.parse(Path(told_of["file"]).read_bytes()).payload)


def activated(parties: Parties, job: Path) -> str:
    """The sample model with everybody's agreement; returns its manifest's file."""
    parties.declare()
    manifest = parties.bind(job)["file"]
    parties.result(manifest, 1.0)
    for name in ("acme-risk", "model-host", "eu-regulator"):
        parties.approve(name, manifest)
    return manifest


@pytest.mark.parametrize(
    ("provider", "name", "deployments"),
    [
        (("azure",), "gpt-4o", ("gpt-4o",)),
        (("azure-eu", "azure"), "gpt-4o", ("gpt-4o",)),
        (("azure-eu",), "gpt-4o", ()),
        (("bedrock",), "my-profile", ("my-profile",)),
        (("bedrock",), "amazon.nova-lite-v1:0", ()),
        (("openai",), BASE, ()),
    ],
)
def test_a_name_is_asked_about_as_the_gate_reads_it(
    provider: tuple[str, ...], name: str, deployments: tuple[str, ...]
) -> None:
    # On Azure a name of a listed base model is a deployment's, which may run another one.
    call = NameOptions(api=provider[-1]).call(name, provider[0], "chat.completions")
    assert (call.models, call.deployments) == ((name,), deployments)
    assert NameOptions(deployment=True).call(name, "vllm", "chat.completions").deployments == (
        name,
    )


def test_a_router_is_no_name_that_could_be_admissible() -> None:
    router = "arn:aws:bedrock:eu-central-1:123456789012:prompt-router/r1"
    with pytest.raises(CliError, match=r"the gate refuses this name: .* chooses models"):
        NameOptions().call(router, "bedrock", "converse")


def specify(parties: Parties, job: Path, *more: object, name: str = "acme-risk") -> dict[str, str]:
    return parties.sign(
        name,
        *("declare", "specification", "support-v4", "--model", f"openai/{BASE}"),
        *("--environments", job / "environments.yaml", "--envelope", job / "envelope.yaml"),
        *("--blobs", parties.blobs, *more),
    )


def test_a_deployment_is_bound_called_bound_anew_and_withdrawn(parties: Parties, job: Path) -> None:
    manifest = activated(parties, job)
    assert parties.assess().reason is None
    assert parties.put(DEPLOYED).reason is Reason.DEPLOYMENT_UNBOUND
    bind = ("declare", "deployment", "prod", "--blobs", parties.blobs)

    parties.sign("tuning-lab", *bind, "--manifest", manifest)
    assert parties.put(DEPLOYED).reason is Reason.DEPLOYMENT_UNBOUND
    bound = parties.sign("model-host", *bind, "--manifest", manifest)
    assert (bound["deployment"], bound["provider"], bound["model"]) == ("prod", "openai", MODEL)
    blob, digest = Path(bound["blob"]).read_bytes(), said(bound).subject.digest.sha256
    assert hashlib.sha256(blob).hexdigest() == digest
    assert digest == dsse.parse(Path(manifest).read_bytes()).digest
    assert parties.put(DEPLOYED).reason is None

    parties.run(
        "model-host", "withdraw", "deployment-binding", bound["digest"], "--reason", "moved"
    )
    assert parties.put(DEPLOYED).reason is Reason.WITHDRAWN
    assert parties.assess().reason is None


def test_a_deployment_of_a_base_model_is_bound_by_name(parties: Parties) -> None:
    parties.declare()
    bound = parties.sign(
        "model-host",
        *("declare", "deployment", "prod", "--base-model", f"openai/{BASE}", "--days", "0.5"),
        *("--blobs", parties.blobs),
    )
    assert Path(bound["blob"]).read_bytes() == f"openai/{BASE}".encode()
    statement = said(bound)
    window = statement.predicate.window
    assert statement.predicate == DeploymentBinding("openai", "prod", BASE, window)
    assert (window.not_after - window.not_before).total_seconds() == 43200
    assert statement.subject.digest.sha256 == base_model_digest("openai", BASE)
    assert parties.put(DEPLOYED).reason is None


def test_a_model_is_tuned_bound_and_ended_under_one_specification(
    parties: Parties, job: Path, tmp_path: Path
) -> None:
    parties.declare(*TUNING)
    specified = specify(parties, job)
    digest, blob = specified["digest"], Path(specified["blob"]).read_bytes()
    statement = said(specified)
    assert isinstance(statement.predicate, Specification)
    assert statement.subject.digest.sha256 == hashlib.sha256(blob).hexdigest()
    assert set(json.loads(blob)) == {"environments", "envelope"}
    tune = Call("openai", TUNE, (), tuned=(BASE,), specification=digest)
    assert parties.put(tune).reason is None

    started = int(statement.predicate.window.not_before.timestamp())
    record = {
        **JOB,
        "created_at": started,
        "finished_at": started + 60,
        "metadata": {"admissibility_specification": digest},
    }
    path = tmp_path / "job.json"
    path.write_text(json.dumps(record))
    bind = (
        *("bind", path, "--training", job / "training.jsonl"),
        *("--validation", job / "validation.jsonl", "--blobs", parties.blobs),
    )
    bound = parties.sign("tuning-lab", *bind, "--specification", specified["file"])
    manifest = said(bound).predicate
    assert isinstance(manifest, Manifest)
    assert manifest.specification is not None
    assert (manifest.specification.sha256, manifest.environments, manifest.envelope) == (
        digest,
        statement.predicate.environments,
        statement.predicate.envelope,
    )
    parties.result(bound["file"], 1.0)
    for name in ("acme-risk", "model-host", "eu-regulator"):
        parties.approve(name, bound["file"])
    assert parties.assess().reason is None

    parties.run("acme-risk", "authority", "rotate", "attestation")
    assert parties.assess().reason is not None
    done = told("resign", parties.evidence, "--home", parties.home("acme-risk"))
    signed = [one for one in done["files"] if one["outcome"] == "signed"]
    assert specified["file"] in {one["file"] for one in signed}
    assert digest in {one["digest"] for one in signed}
    assert parties.assess().reason is None

    parties.run("acme-risk", "withdraw", "specification", digest, "--reason", "wrong suites")
    assert parties.assess().reason is Reason.WITHDRAWN
    assert parties.put(tune).reason is Reason.WITHDRAWN


def test_verify_and_explain_ask_about_deployments_and_tuning(parties: Parties, job: Path) -> None:
    parties.declare(*TUNING)
    digest = specify(parties, job)["digest"]
    at = ("--environment", ENVIRONMENT, "--trust", parties.trust())
    found = {}
    for name, asked, code in (
        ("called", (BASE,), 0),
        ("by name", ("prod", "--deployment"), 1),
        ("tuned", (BASE, "--tune"), 1),
        ("as a job", (BASE, "--operation", TUNE), 1),
        ("specified", (BASE, "--specification", digest), 0),
        ("elsewhere", (BASE, "--operation", "responses", "--specification", digest), 0),
    ):
        value = told("verify", *asked, *at, code=code)
        found[name] = (value["model"], value["operation"], value["reason"])
    assert found == {
        "called": (BASE, "chat.completions", "admitted"),
        "by name": ("prod", "chat.completions", "deployment_unbound"),
        "tuned": (BASE, TUNE, "specification_missing"),
        "as a job": (BASE, TUNE, "specification_missing"),
        "specified": (BASE, TUNE, "admitted"),
        "elsewhere": (BASE, "responses", "admitted"),
    }
    parties.sign("model-host", "declare", "deployment", "prod", "--base-model", f"openai/{BASE}")
    shown = told("explain", "prod", "--deployment", *at)
    steps = [one["detail"] for one in shown["steps"] if one["step"] == 2]
    assert len(steps) == 2
    assert steps[0].startswith(f"bound to {BASE} by model-host until ")
    assert steps[1] == "a base model the environment lists"
    table = admit("explain", "prod", "--deployment", *at).stdout.decode()
    assert f"bound to {BASE} by model-host" in table


def test_a_mistake_is_one_line_and_nothing_is_signed(parties: Parties, job: Path) -> None:
    parties.declare()
    specified = specify(parties, job)
    manifest = parties.bind(job)["file"]
    declared = (job / "environments.yaml").read_text()
    (job / "us.yaml").write_text(declared.replace("[eu]", "[eu, us]"))
    files = ("--environments", job / "us.yaml", "--envelope", job / "envelope.yaml")
    bind = (
        *("bind", job / "job.json", "--training", job / "training.jsonl"),
        *("--validation", job / "validation.jsonl"),
    )
    before = sorted(parties.evidence.iterdir())
    mistakes = (
        (
            ("declare", "deployment", "prod"),
            "a deployment runs one model: give either --manifest or --base-model",
        ),
        (
            ("declare", "deployment", "prod", "--manifest", manifest, "--base-model", "a/b"),
            "a deployment runs one model: give either --manifest or --base-model",
        ),
        (
            ("declare", "deployment", "prod", "--base-model", BASE),
            f"--base-model: '{BASE}' is not provider/id",
        ),
        (
            ("declare", "deployment", "prod", "--manifest", specified["file"]),
            f"{specified['file']}: is evidence, but not a manifest",
        ),
        (
            ("declare", "specification", "x", "--model", "openai/**", *files),
            "the envelope has no compliance suite for us",
        ),
        (bind, "the manifest needs an evaluation envelope: give --envelope or --specification"),
        (
            (*bind, "--envelope", job / "envelope.yaml"),
            "the manifest needs its environments: give --environments or --specification",
        ),
        (
            (*bind, *files, "--specification", specified["file"]),
            "the environments are not those that the specification names",
        ),
    )
    for words, expected in mistakes:
        home = str(parties.home("acme-risk"))
        done = admit(*words, "--out", parties.evidence, code=2, ADMIT_HOME=home)
        assert done.stderr.decode() == f"admit: {expected}\n", words
    assert sorted(parties.evidence.iterdir()) == before
