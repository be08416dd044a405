"""An adapter of open weights from its folder to an admitted call, and a folder that changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sidecar.cli import manifests
from sidecar.core import dsse
from sidecar.core.call import Call
from sidecar.core.evidence import parse_statement
from sidecar.core.predicates import DeploymentBinding
from sidecar.core.reasons import Reason
from tests.process.cli.admit import admit, told
from tests.process.cli.parties import Parties
from tests.support.open_weights import Tag, open_weights
from tests.support.simulator.keys import SimKey, envelope
from tests.unit.binding.adapters import BASE, REVISION, lay_out

NAME = "support-v3"
RUN = ("--run", "run-7", "--started", "2026-01-01T08:00:00Z", "--finished", "2026-01-01T09:00:00Z")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("served") / NAME)


def bind(parties: Parties, folder: Path, job: Path, provider: str, *more: str) -> dict[str, str]:
    return parties.sign(
        "tuning-lab",
        *("bind-adapter", folder, "--name", NAME, "--provider", provider, *RUN),
        *("--training", job / "training.jsonl", "--result-file", job / "metrics.csv"),
        *("--envelope", job / "envelope.yaml", "--environments", job / "environments.yaml"),
        *("--blobs", parties.blobs, *more),
    )


@pytest.fixture(scope="module")
def manifest(parties: Parties, folder: Path, job: Path) -> str:
    """A manifest of the adapter, passed and approved, behind vLLM."""
    parties.models = ("vllm/**", "sglang/**", "ollama/**")
    parties.base_models = ("vllm/Qwen/*", "sglang/Qwen/*", "ollama/Qwen/*")
    parties.declare()
    return approved(parties, bind(parties, folder, job, "vllm")["file"])


def approved(parties: Parties, manifest: str) -> str:
    parties.result(manifest, 1.0)
    for name in ("model-host", "acme-risk", "eu-regulator"):
        parties.approve(name, manifest)
    return manifest


def test_a_name_of_vllm_is_admitted_by_the_manifest_of_its_folder(
    parties: Parties, manifest: str
) -> None:
    assessment = parties.put(Call("vllm", "chat.completions", (NAME,)))
    assert (assessment.admissible, assessment.reason) == (True, None)
    read = manifests.read(Path(manifest)).manifest
    assert (read.model.base, read.run.method) == (BASE, "lora")
    assert read.run.hyperparameters["base_revision"] == REVISION


def test_a_name_of_sglang_is_admitted_while_its_provider_binds_the_served_folder(
    parties: Parties, folder: Path, job: Path, manifest: str
) -> None:
    bound = approved(parties, bind(parties, folder, job, "sglang")["file"])
    name = f"qwen:{NAME}"
    call = Call("sglang", "chat.completions", (name,), deployments=(name,))
    assert parties.put(call).reason is Reason.DEPLOYMENT_UNBOUND
    declare = ("declare", "deployment", name, "--manifest", bound, "--blobs", parties.blobs)
    other = shutil.copytree(folder, folder.parent / "other")
    (other / "README.md").write_text("changed")
    home = str(parties.home("model-host"))
    done = admit(*declare, "--adapter", other, code=2, ADMIT_HOME=home)
    assert b"is not the folder that the manifest binds: its artifact is" in done.stderr
    parties.sign("model-host", *declare, "--adapter", folder)
    assert parties.put(call).admissible


def test_a_tag_of_ollama_is_bound_to_the_digest_that_is_served(
    parties: Parties, folder: Path, job: Path, manifest: str, tmp_path: Path
) -> None:
    served = shutil.copytree(folder, tmp_path / NAME)
    (served / "adapter.gguf").write_bytes(b"GGUF adapter")
    bound = approved(parties, bind(parties, served, job, "ollama")["file"])
    call = Call("ollama", "chat.completions", ("support",), deployments=("support",))
    declare = ("declare", "deployment", "support", "--manifest", bound, "--blobs", parties.blobs)
    home = str(parties.home("model-host"))
    with open_weights() as server:
        server.tags["support:latest"] = Tag(b"GGUF base", (b"converted from safetensors",))
        asked = (*declare, "--adapter", served, "--served", server.url)
        done = admit(*asked, code=2, ADMIT_HOME=home)
        assert b"which no file of the manifest has: it is another one, or Ollama" in done.stderr
        assert parties.put(call).reason is Reason.DEPLOYMENT_UNBOUND
        tag = server.tags["support:latest"] = Tag(b"GGUF base", (b"GGUF adapter",))
        binding = Path(parties.sign("model-host", *asked)["file"])
        assert parties.put(call).admissible
        stated = parse_statement(dsse.parse(binding.read_bytes()).payload).predicate
        assert isinstance(stated, DeploymentBinding)
        assert stated.declarations == {"served-proof": "digest", "served-digest": tag.digest}
        verify = ("verify-adapter", served, "--manifest", bound, "--served", server.url)
        found = told(*verify, "--served-name", "support")
        assert (found["same"], found["served"]["proof"]) == (True, "digest")
        server.tags["support:latest"] = Tag(b"GGUF base", (b"another",))
        moved = told(*verify, "--served-name", "support", code=1)
        assert moved["differences"] == {}
        assert "it is another one, or Ollama converted it" in moved["served"]["differences"][0]
        assert admit(*verify, code=2).stderr.endswith(b"0 times, expected once\n")


def test_a_folder_is_verified_against_its_manifest(
    parties: Parties, folder: Path, manifest: str, tmp_path: Path
) -> None:
    pem = tmp_path / "producer.pem"
    home = str(parties.home("tuning-lab"))
    pem.write_bytes(admit("authority", "show", "--pem", ADMIT_HOME=home).stdout)
    served = shutil.copytree(folder, tmp_path / "served")
    verify = ("verify-adapter", served, "--manifest", manifest, "--signed-by", pem)
    found = told(*verify)
    assert (found["same"], found["found"], found["differences"]) == (True, found["expected"], {})
    (served / "README.md").unlink()
    (served / "chat_template.jinja").write_text("{{ messages }}")
    weights = served / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    assert told(*verify, code=1)["differences"] == {}
    (listed,) = parties.blobs.glob(f"{Path(manifest).name.removesuffix('.dsse.json')}.artifact.*")
    changed = told(*verify, "--artifact", listed, code=1)
    assert changed["same"] is False
    assert changed["differences"] == {
        "changed": ["adapter_model.safetensors"],
        "missing": ["README.md"],
        "added": ["chat_template.jinja"],
    }
    stranger = admit(*verify, "--artifact", folder / "README.md", code=2).stderr
    assert b"README.md: its SHA-256 is" in stranger


def test_nothing_is_signed_for_a_folder_with_a_pickle(
    parties: Parties, folder: Path, job: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "training_args.bin").write_bytes(b"\x80\x02")
    before = set(parties.evidence.glob("*"))
    home = str(parties.home("tuning-lab"))
    done = admit(
        *("bind-adapter", copy, "--name", NAME, "--provider", "vllm", *RUN),
        *("--training", job / "training.jsonl", "--envelope", job / "envelope.yaml"),
        *("--environments", job / "environments.yaml", "--out", parties.evidence),
        code=2,
        ADMIT_HOME=home,
    )
    assert b"training_args.bin: loading such a file can run code" in done.stderr
    assert set(parties.evidence.glob("*")) == before


def test_signed_provenance_states_the_run_and_the_corpora_in_place_of_files(
    parties: Parties, folder: Path, job: Path, manifest: str, tmp_path: Path
) -> None:
    key = SimKey.p256()
    exported = admit("export", manifest, "--format", "slsa").stdout
    provenance, pem = tmp_path / "provenance.json", tmp_path / "builder.pem"
    provenance.write_bytes(envelope(exported, key))
    pem.write_text(key.pem)
    command = (
        *("bind-adapter", folder, "--name", NAME, "--provider", "vllm"),
        *("--from-slsa", provenance, "--slsa-key", pem),
        *("--envelope", job / "envelope.yaml", "--environments", job / "environments.yaml"),
        *("--out", tmp_path / "out", "--blobs", tmp_path / "blobs"),
    )
    builder = ("--slsa-builder", "urn:admissibility:provider:vllm")
    home = str(parties.home("tuning-lab"))
    bound = told(*command, *builder, ADMIT_HOME=home)
    first, again = (manifests.read(Path(each)).manifest for each in (manifest, bound["file"]))
    assert (again.corpora, again.run) == (first.corpora, first.run)
    assert [each.kind for each in again.documents] == ["slsa-provenance"]
    refusals = {
        ("--slsa-builder", "other"): b"is of builder 'urn:admissibility:provider:vllm', not",
        (*builder, "--training", str(job / "validation.jsonl")): b"its corpora are",
        (*builder, "--run", "run-8"): b"its run is 'run-7', not 'run-8'",
        (): b"--from-slsa, --slsa-key and --slsa-builder: give all three, or none",
    }
    for more, message in refusals.items():
        assert message in admit(*command, *more, code=2, ADMIT_HOME=home).stderr
