"""Policies that change under a running ``admit serve``: at once, whole, or not at all."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import grpc
import requests
from prometheus_client.parser import text_string_to_metric_families

from sidecar import resources
from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar.opa import bundle as bundles
from sidecar.opa import signing, tree
from sidecar.opa.location import opa_path
from tests.process.policy.admit import admit
from tests.process.policy.keys import write_pair
from tests.process.policy.toy import write_gate_toy
from tests.process.service.site import Running, Site
from tests.support.gate.bench import reason_of
from tests.support.gate.requests import as_check_request
from tests.support.site.processes import children

_PATIENCE_SECONDS = 30.0


class Asking:
    """One gate under questions that never stop; every reason is kept."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.reasons: list[str] = []
        self._channel = grpc.insecure_channel(running.listen)
        self._stub = rpc.AuthorizationStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def ask(self) -> str:
        message = as_check_request(credential=self.running.site.token)
        self.reasons.append(reason_of(self._stub.Check(message, timeout=20)))
        return self.reasons[-1]

    def until(self, holds: Callable[[], bool]) -> None:
        """Ask on until something holds."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not holds():
            self.ask()
            assert time.monotonic() < end, (self.reasons[-5:], policy_of(self.running))


def policy_of(running: Running) -> dict[str, Any]:
    value: dict[str, Any] = requests.get(running.metrics + "/status", timeout=30).json()["policy"]
    return value


def metrics_of(running: Running) -> tuple[float, dict[str, float]]:
    """Failed loads, and the revisions that are said to be in force."""
    text = requests.get(running.metrics + "/metrics", timeout=30).text
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    (failures,) = (s.value for s in samples if s.name == "admissibility_policy_load_failures_total")
    revisions = {
        s.labels["revision"]: s.value
        for s in samples
        if s.name == "admissibility_policy_revision_info"
    }
    return failures, revisions


def test_a_changed_folder_decides_soon_and_nothing_is_refused_meanwhile(site: Site) -> None:
    policies = write_gate_toy(site.folder / "policies")
    site.configure(policies="policies")
    first = tree.read(policies).revision
    with site.start() as running, Asking(running) as asking:
        assert asking.ask() == "admitted"
        assert metrics_of(running) == (0.0, {first: 1.0})
        write_gate_toy(policies, shut=True)
        second = tree.read(policies).revision
        asking.until(lambda: asking.reasons[-1] == "jurisdiction_denied")
        assert policy_of(running) == {"up": True, "revision": second, "error": None}
        assert metrics_of(running) == (0.0, {second: 1.0})
        write_gate_toy(policies)
        asking.until(lambda: asking.reasons[-1] == "admitted")
        assert running.stop() == 0
    # Never a moment without policies, and never an answer under the wrong revision.
    assert set(asking.reasons) == {"admitted", "jurisdiction_denied"}
    lines = [json.loads(line) for line in site.log.read_text().splitlines()]
    assert {(line["reason"], line["revision"]) for line in lines} == {
        ("admitted", first),
        ("jurisdiction_denied", second),
    }


def test_what_does_not_compile_leaves_the_last_good_policies_and_is_reported(site: Site) -> None:
    policies = write_gate_toy(site.folder / "policies")
    site.configure(policies="policies")
    good = tree.read(policies).revision
    broken = policies / "admission" / "broken.rego"
    with site.start() as running, Asking(running) as asking:
        broken.write_text("package admission\n\nx := ")
        asking.until(lambda: policy_of(running)["error"] is not None)
        told = policy_of(running)
        assert (told["up"], told["revision"]) == (True, good)
        assert told["error"].startswith("OPA refuses the policies: ")
        assert "admission/broken.rego:3: rego_parse_error" in told["error"]
        assert metrics_of(running) == (1.0, {good: 1.0})
        shown = admit("status", "--url", running.metrics).stdout
        assert f"newer policies are not in force: {told['error'][:60]}" in shown
        shutil.move(policies, site.folder / "away")
        asking.until(lambda: policy_of(running)["error"].endswith("there is no such folder"))
        assert metrics_of(running) == (2.0, {good: 1.0})
        (site.folder / "away" / "admission" / "broken.rego").unlink()
        shutil.move(site.folder / "away", policies)
        asking.until(lambda: policy_of(running)["error"] is None)
        assert metrics_of(running) == (2.0, {good: 1.0})
    assert set(asking.reasons) == {"admitted"}


def signed(folder: Path, key: Path, *, shut: bool) -> bytes:
    """A bundle as an operator's build would make it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    policies = tree.read(write_gate_toy(folder / "tree", shut=shut))
    (folder / "built").mkdir()
    return bundles.build(
        opa_path(), policies, folder / "built", signing.signing_key(key)
    ).path.read_bytes()


def test_a_signed_bundle_is_served_and_a_tampered_one_never(site: Site) -> None:
    key, public = write_pair(site.folder, "operator")
    stranger, _ = write_pair(site.folder, "stranger")
    path = site.folder / "policy.tar.gz"
    path.write_bytes(signed(site.folder / "b", key, shut=False))
    site.configure(policies={"bundle": path.name, "verification_key": public.name})
    with site.start() as running, Asking(running) as asking:
        assert asking.ask() == "admitted"
        path.write_bytes(signed(site.folder / "b", stranger, shut=True))
        asking.until(lambda: policy_of(running)["error"] is not None)
        told = policy_of(running)["error"]
        assert told.startswith(f"{path}: OPA refuses the policies: ")
        assert told.endswith("failed to verify JWT signature: invalid ECDSA signature")
        assert set(asking.reasons) == {"admitted"}
        path.write_bytes(signed(site.folder / "b", key, shut=True))
        asking.until(lambda: asking.reasons[-1] == "jurisdiction_denied")
        assert policy_of(running)["error"] is None


def test_a_tampered_bundle_at_the_start_is_one_clear_line_and_nothing_is_served(
    site: Site,
) -> None:
    key, public = write_pair(site.folder, "operator")
    path = site.folder / "policy.tar.gz"
    path.write_bytes(signed(site.folder / "b", key, shut=False)[:-64])
    site.configure(policies={"bundle": path.name, "verification_key": public.name})
    running = Running(site).spawn()
    assert running.wait() == 2
    lines = running.log.read_text().splitlines()
    assert lines[-1].startswith(f"admit serve: {path}: OPA refuses the policies: ")
    assert not running.ready


def test_nothing_of_the_policies_that_were_replaced_is_left(site: Site, run_folder: Path) -> None:
    policies, run = write_gate_toy(site.folder / "policies"), run_folder
    site.configure(policies="policies", opa={"managed": {"directory": str(run)}})
    with site.start() as running, Asking(running) as asking:
        asking.ask()
        (first,) = run.iterdir()
        write_gate_toy(policies, shut=True)
        asking.until(lambda: asking.reasons[-1] == "jurisdiction_denied")
        asking.until(lambda: len(list(run.iterdir())) == 1 and not first.exists())
        asking.until(lambda: len(children(running.pid, "opa")) == 1)
        assert running.stop() == 0
    assert list(run.iterdir()) == []


FURTHER = """\
package jurisdiction.eu

deny contains {
	"code": "eu.further",
	"jurisdiction": "eu",
	"message": "no",
	"subject": input.environment.id,
	"state": "enforced",
} if input.nonce
"""


def test_a_rule_whose_file_is_written_anew_denies_meanwhile(site: Site) -> None:
    """Git and others remove a file, and write it a moment later; each state compiles."""
    policies = site.folder / "policies"
    shutil.copytree(resources.policies(), policies)
    further = policies / "jurisdiction" / "eu" / "further.rego"
    further.write_text(FURTHER)
    site.configure(policies="policies")
    revision = tree.read(policies).revision
    with site.start() as running, Asking(running) as asking:
        for _ in range(3):
            further.unlink()
            time.sleep(0.1)
            further.write_text(FURTHER)
            end = time.monotonic() + 2
            asking.until(lambda end=end: time.monotonic() > end)  # type: ignore[misc]
        assert policy_of(running) == {"up": True, "revision": revision, "error": None}
        further.unlink()
        asking.until(lambda: asking.reasons[-1] == "admitted")
    assert set(asking.reasons[:-1]) == {"jurisdiction_denied"}
