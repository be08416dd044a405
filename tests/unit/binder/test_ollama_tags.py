"""A tag of Ollama is bound to the manifest of the adapter that it serves, while it serves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority import records
from sidecar.binder.deployments import DeploymentKeeper, KeeperSettings
from sidecar.binder.errors import BinderError
from sidecar.binder.ollama_tags import OllamaTags
from sidecar.binder.run import RunningBinder
from sidecar.binding import job, lora
from sidecar.binding.lora import TrainingRun
from sidecar.binding.source import SourceError
from sidecar.core.predicates import DeploymentBinding
from sidecar.core.window import Window
from tests.support.open_weights import OpenWeights, Tag, open_weights
from tests.support.provider.openai_jobs import OpenAiJobs
from tests.support.provider.producer import World, running_binder
from tests.support.site.talk import until
from tests.unit.binder.helpers import now
from tests.unit.binding.adapters import lay_out
from tests.unit.binding.jobs import DECLARED, NOW

ADAPTER, NEWER, BASE = b"GGUF adapter", b"GGUF newer adapter", b"GGUF base"
RUN = TrainingRun("run-7", NOW - timedelta(days=1), NOW)


@pytest.fixture
def server() -> Iterator[OpenWeights]:
    with open_weights() as running:
        running.tags["support:latest"] = Tag(BASE, (ADAPTER,))
        yield running


class Host:
    """A producer with manifests of one adapter, and a host that keeps a tag of it bound."""

    def __init__(self, server: OpenWeights, folder: Path) -> None:
        begun = now() - timedelta(hours=2)
        self.folder = folder
        self.evidence = folder / "evidence"
        self.producer = authority.init(folder / "producer", "lab", now=begun)
        self.home = authority.init(folder / "host", "model-host", now=begun)
        self.source = OllamaTags("ollama", server.url, None, ("support",), (self.evidence,))
        settings = KeeperSettings(
            self.home, folder / "bindings", (self.evidence,), None, timedelta(hours=2)
        )
        self.at = now()
        self.keeper = DeploymentKeeper(settings, lambda: self.at)

    def bind(self, file: bytes, run: str) -> str:
        """Sign a manifest of a folder with this file; returns its digest."""
        folder = lay_out(self.folder / run)
        (folder / "adapter.gguf").write_bytes(file)
        model = lora.adapted_model("support-v3", lora.read_adapter(folder), replace(RUN, id=run))
        window = Window(now(), now() + timedelta(days=30))
        bound = job.bind_model(model, replace(DECLARED, provider="ollama", window=window))
        issued = authority.issue(self.producer, bound.statement, now(), out=self.evidence)
        name = issued.path.name.removesuffix(".dsse.json")
        (self.evidence / f"{name}.artifact.json").write_bytes(bound.artifact)
        return issued.digest

    def round(self) -> str:
        """Do one round; returns the manifest's digest, or why the tag is not bound."""
        self.at += timedelta(minutes=1)
        self.keeper.round(self.source)
        (kept,) = self.keeper.kept
        return kept.reason or self.newest()[0]

    def newest(self) -> tuple[str, DeploymentBinding]:
        found = [
            (each.statement.subject.digest.sha256, each.statement.predicate)
            for each in records.of_kind(self.home.path, "deployment")
            if isinstance(each.statement.predicate, DeploymentBinding)
        ]
        return max(found, key=lambda each: each[1].window.not_before)


@pytest.fixture
def host(server: OpenWeights, tmp_path: Path) -> Host:
    return Host(server, tmp_path)


def test_a_tag_is_bound_to_the_manifest_of_what_it_serves_and_to_no_other(
    host: Host, server: OpenWeights
) -> None:
    older, newer = host.bind(ADAPTER, "run-7"), host.bind(NEWER, "run-8")
    assert host.round() == older
    tag = server.tags["support:latest"]
    assert host.newest()[1].model == "support-v3"
    stated = host.newest()[1].declarations
    assert (stated["served-proof"], stated["served-digest"]) == ("digest", tag.digest)
    # Another system prompt is another tag: its binding is made anew, with its digest.
    server.tags["support:latest"] = other = replace(tag, system="Be brief.")
    assert host.round() == older
    assert host.newest()[1].declarations["served-digest"] == other.digest != tag.digest
    server.tags["support:latest"] = Tag(BASE, (NEWER,))
    assert host.round() == newer
    withdrawn = {each.reason for each in authority.describe(host.home).withdrawals}
    assert all(reason.startswith("replaced by deployment ") for reason in withdrawn)
    assert len(withdrawn) == 2


def test_a_tag_that_serves_what_nobody_bound_is_unbound(host: Host, server: OpenWeights) -> None:
    bound = host.bind(ADAPTER, "run-7")
    assert host.round() == bound
    server.tags["support:latest"] = Tag(BASE, (b"converted by Ollama",))
    assert "it is another one, or was converted by the server" in host.round()
    (entry,) = authority.describe(host.home).withdrawals
    assert entry.reason.startswith("binder: tag 'support': the file with the SHA-256 ")
    (artifact,) = host.evidence.glob("*.artifact.json")
    server.tags["support:latest"] = Tag(BASE, (ADAPTER,))
    artifact.write_bytes(artifact.read_bytes() + b" ")  # not the list that was signed
    assert "is in no adapter of ollama" in host.round()


def test_a_tag_is_bound_once_by_the_name_that_calls_are_judged_by(
    host: Host, server: OpenWeights
) -> None:
    bound = host.bind(ADAPTER, "run-7")
    names = ("library/support:latest", "support", "registry.ollama.ai/library/support")
    host.source = OllamaTags("ollama", server.url, None, names, (host.evidence,))
    assert host.round() == bound
    assert host.newest()[1].deployment == "support"


def test_a_server_that_does_not_answer_changes_nothing(host: Host, server: OpenWeights) -> None:
    bound = host.bind(ADAPTER, "run-7")
    assert host.round() == bound
    server.key = "a-key-that-was-not-given"
    with pytest.raises(SourceError, match="HTTP 401"):
        host.round()
    assert authority.describe(host.home).withdrawals == ()


def test_a_running_binder_keeps_a_tag_bound_beside_its_jobs(
    account: OpenAiJobs, server: OpenWeights, tmp_path: Path
) -> None:
    world = World(account, tmp_path / "world")
    host = Host(server, tmp_path)
    host.evidence = world.folder / "evidence"
    bound = host.bind(ADAPTER, "run-7")
    config = world.config()
    kept = {"home": str(host.home.path), "names": ["support"], "check_seconds": 0.2}
    text = f"  ollama: {{api: ollama, base_url: '{server.url}', deployments: {kept}}}\n"
    config.write_text(config.read_text().replace("accounts:\n", f"accounts:\n{text}"))

    def subject(binder: RunningBinder) -> str:
        assert binder.service.is_alive()
        signed = records.paths_of_kind(host.home.path, "deployment")
        return host.newest()[0] if signed else ""

    with running_binder(config) as binder:
        assert until(lambda: subject(binder), bound) == bound
    config.write_text(config.read_text().replace("names", "hours_names"))
    with pytest.raises(BinderError, match="hours_names"), running_binder(config):
        pass
    world.close()
