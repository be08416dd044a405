"""Azure, Bedrock and vLLM, each through its reference Envoy configuration to the real gate."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from admissibility_devtools.tools.envoy_config import Gated
from sidecar.ext_proc.processor import Processor
from sidecar.gate.authorization import Authorization, Limits
from sidecar.gate.clock import Reading
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.server import GateServer
from sidecar.gate.settings import Settings
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.opa.client import Address, Opa
from tests.process.envoy.doubles import Received
from tests.process.envoy.sites import CREDENTIAL, SITES, Wired, wire
from tests.process.policies.opa import REVISION, OpaServer, build_bundle
from tests.support.gate.bench import Book
from tests.support.gate.requests import HEADER
from tests.support.simulator.constants import ENV, MODEL, NOW
from tests.support.simulator.svid import AUDIENCE, Issuer
from tests.support.simulator.world import World
from tests.support.site.envoy import Answer
from tests.support.site.worlds import world_of

LIMIT = 26 << 20
PATIENCE = 15.0
"""The gate's deadline, in seconds: below Envoy's of ``patient``, and for a machine under load."""

ARN = "arn:aws:bedrock:eu-central-1:123456789012:custom-model-deployment/support"
JSON = ("Content-Type", "application/json")


@contextmanager
def gate_over(world: World, engine: Address) -> Iterator[tuple[int, Issuer]]:
    """A real gate in a thread, at the simulator's time; its port, and who issues credentials."""
    issuer, started, ended = Issuer(), threading.Event(), asyncio.Event()
    found: list[tuple[int, asyncio.AbstractEventLoop]] = []
    world.parties["customer"].trust_domains = [issuer.document(NOW)]

    async def serve() -> None:
        holder, opa = SnapshotHolder(), Opa(engine, connections=2)
        holder.publish(world.state())
        pipeline = Pipeline(Settings(AUDIENCE, HEADER, LIMIT), holder, opa)
        book = Book()
        service = Authorization(pipeline, Limits(PATIENCE, 64), book, clock=lambda: Reading(NOW))
        processor = Processor(pipeline, book, clock=lambda: Reading(NOW))
        server = GateServer(service, max_body_bytes=LIMIT, reuse_port=False, processor=processor)
        found.append((await server.start("127.0.0.1:0"), asyncio.get_running_loop()))
        started.set()
        await ended.wait()
        await server.stop(0)
        await opa.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20)
    ((port, loop),) = found
    try:
        yield port, issuer
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


@dataclass(frozen=True, slots=True)
class GatedReference:
    """A reference configuration between an application with its credential and a provider."""

    wired: Wired
    token: str

    def call(
        self, target: str, body: dict[str, object] | bytes, *lines: tuple[str, str]
    ) -> tuple[int, str, list[Received]]:
        """Status, reason and what reached the provider."""
        self.wired.provider.received.clear()
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [JSON, (CREDENTIAL, self.token), *lines]
        answer = self.wired.send("POST", target, headers, content)
        seen = [self.wired.site.seen(received) for received in self.wired.provider.received]
        return answer.status, reason(answer), seen

    def passed(self, target: str, body: dict[str, object]) -> list[Received]:
        """What the provider gets of an admitted call."""
        content = json.dumps(body).encode()
        key, value = self.wired.site.key
        headers = {
            "host": self.wired.site.host,
            "content-type": "application/json",
            "content-length": str(len(content)),
            key: value,
        }
        return [Received("POST", target, headers, content)]


def reason(answer: Answer) -> str:
    return answer.headers.get("x-admissibility-reason", "")


@pytest.fixture(scope="module")
def opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("opa")
    with OpaServer(build_bundle(folder), folder) as running:
        yield Address(f"unix://{running.socket}", REVISION)


@contextmanager
def reference(
    name: Gated, opa: Address, folder: Path, *deployments: str
) -> Iterator[GatedReference]:
    provider = SITES[name].extensions["provider"]
    with (
        gate_over(world_of(provider, deployments), opa) as (port, issuer),
        wire(name, folder, gate=port) as wired,
    ):
        yield GatedReference(wired, issuer.jwt_svid(ENV, NOW))


REFUSED: list[Received] = []


def test_azure_admits_a_bound_deployment_in_both_shapes_and_no_other(
    opa: Address, tmp_path: Path
) -> None:
    dated = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
    plain: dict[str, object] = {"messages": [{"role": "user", "content": "hello"}]}
    named = {"model": "support", **plain}
    image = ("x-ms-oai-image-generation-deployment", "support")
    with reference("azure", opa, tmp_path, "support") as azure:
        good = dated.format("support")
        assert azure.call(good, plain) == (200, "", azure.passed(good, plain))
        v1 = "/openai/v1/chat/completions"
        assert azure.call(v1, named) == (200, "", azure.passed(v1, named))
        assert [
            azure.call(dated.format("other"), plain),
            azure.call(dated.format(quote(MODEL, safe="")), plain),
            azure.call(good, {"model": "other", **plain}),
            azure.call(good, plain, image),
            azure.call("/v1/chat/completions", named),
            azure.call("/openai/deployments/support/extensions/chat/completions", plain),
        ] == [
            (403, "deployment_unbound", REFUSED),
            (403, "deployment_unbound", REFUSED),
            (400, "ambiguous_model", REFUSED),
            (400, "ambiguous_model", REFUSED),
            (403, "unsupported_operation", REFUSED),
            (403, "unsupported_operation", REFUSED),
        ]


def test_a_withdrawn_base_model_is_withdrawn_under_its_inference_profiles_too(
    opa: Address, tmp_path: Path
) -> None:
    body: dict[str, object] = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    world = world_of("bedrock", ())
    world.declare(baseModels=["bedrock/amazon.*", "bedrock/eu.amazon.*", "bedrock/eu.meta.*"])
    world.parties["regulator"].withdraw("base-model", "bedrock/amazon.nova-lite-v1:0")
    with gate_over(world, opa) as (port, issuer), wire("bedrock", tmp_path, gate=port) as wired:
        bedrock = GatedReference(wired, issuer.jwt_svid(ENV, NOW))
        pro, lite, unlisted = (
            f"/model/{quote(f'eu.{model}-v1:0', safe='')}/converse"
            for model in ("amazon.nova-pro", "amazon.nova-lite", "meta.llama3-2-1b-instruct")
        )
        assert bedrock.call(pro, body) == (200, "", bedrock.passed(pro, body))
        assert bedrock.call(lite, body) == (403, "withdrawn", REFUSED)
        assert bedrock.call(unlisted, body) == (403, "base_model_not_listed", REFUSED)


def test_bedrock_admits_a_bound_arn_signs_it_and_no_other(opa: Address, tmp_path: Path) -> None:
    body: dict[str, object] = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}

    def at(model: str, operation: str = "converse") -> str:
        return f"/model/{quote(model, safe='')}/{operation}"

    with reference("bedrock", opa, tmp_path, ARN) as bedrock:
        assert bedrock.call(at(ARN), body) == (200, "", bedrock.passed(at(ARN), body))
        assert [
            bedrock.call(at(ARN + "2"), body),
            bedrock.call(at(ARN.replace("custom-model-deployment", "prompt")), body),
            bedrock.call(f"/model/{ARN}/converse", body),
            bedrock.call(f"/model/{quote(quote(ARN, safe=''), safe='')}/converse", body),
            bedrock.call(at(ARN, "invoke-with-bidirectional-stream"), body),
        ] == [
            (403, "deployment_unbound", REFUSED),
            (403, "unsupported_operation", REFUSED),
            (403, "unsupported_operation", REFUSED),
            (400, "malformed_request", REFUSED),
            (403, "unsupported_operation", REFUSED),
        ]


def test_vllm_admits_an_adapter_and_has_no_administration(opa: Address, tmp_path: Path) -> None:
    body: dict[str, object] = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    load: dict[str, object] = {"lora_name": MODEL, "lora_path": "/tmp/other"}
    chat = "/v1/chat/completions"
    with reference("vllm", opa, tmp_path) as vllm:
        assert vllm.call(chat, body) == (200, "", vllm.passed(chat, body))
        assert vllm.call("/v1/messages", body) == (200, "", vllm.passed("/v1/messages", body))
        assert [
            vllm.call(chat, {**body, "model": "another"}),
            vllm.call(chat, {**body, "model": ""}),
            vllm.call("/v1/load_lora_adapter", load),
            vllm.call("/invocations", body),
            vllm.call("/v1//chat/completions", body),
        ] == [
            (403, "base_model_not_listed", REFUSED),
            (400, "malformed_request", REFUSED),
            (403, "unsupported_operation", REFUSED),
            (403, "unsupported_operation", REFUSED),
            (400, "malformed_request", REFUSED),
        ]


BASE_ID = "gpt-4o-2024-08-06"
JOBS: dict[Gated, str] = {
    "jwt": "/v1/fine_tuning/jobs",
    "azure": "/openai/fine_tuning/jobs?api-version=2025-04-01-preview",
}


@pytest.mark.parametrize("name", ["jwt", "azure"])
def test_a_tuning_job_passes_with_a_specification_the_customer_signed_and_no_other(
    opa: Address, tmp_path: Path, name: Gated
) -> None:
    provider, target = SITES[name].extensions["provider"], JOBS[name]
    resumed = target.replace("fine_tuning/jobs", "fine_tuning/jobs/ftjob-1/resume")
    world = world_of(provider, ())
    world.declare(tuningModels=[f"{provider}/{BASE_ID}"])
    digest = world.specify(models=[f"{provider}/gpt-4o-*"])
    job: dict[str, object] = {"model": BASE_ID, "training_file": "file-1"}
    header = ("x-environment-specification", digest)
    with gate_over(world, opa) as (port, issuer), wire(name, tmp_path, gate=port) as wired:
        reference = GatedReference(wired, issuer.jwt_svid(ENV, NOW))
        with_it = {**job, "metadata": {"admissibility_specification": digest}}
        assert reference.call(target, with_it) == (200, "", reference.passed(target, with_it))
        assert reference.call(target, job, header) == (200, "", reference.passed(target, job))
        assert [
            reference.call(target, job),
            reference.call(target, job, ("x-environment-specification", "00" * 32)),
            reference.call(target, {**with_it, "model": "gpt-4.1-2025-04-14"}),
            reference.call(target, with_it, ("x-environment-specification", "00" * 32)),
            reference.call(resumed, b""),
        ] == [
            (403, "specification_missing", REFUSED),
            (403, "specification_unverified", REFUSED),
            (403, "base_model_not_listed", REFUSED),
            (400, "malformed_request", REFUSED),
            (403, "unsupported_operation", REFUSED),
        ]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("azure", "/openai/deployments/support/chat/completions"),
        ("bedrock", f"/model/{quote(ARN, safe='')}/converse"),
        ("vllm", "/v1/chat/completions"),
    ],
)
def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not(
    opa: Address, tmp_path: Path, name: Gated, target: str
) -> None:
    named = {"model": MODEL} if name == "vllm" else {}
    small = {**named, "messages": [], "user": ""} if name != "bedrock" else {"messages": []}
    text = json.dumps(small).encode()
    whole = text[:-1] + b" " * (LIMIT - len(text)) + text[-1:]
    with reference(name, opa, tmp_path, "support", ARN) as opened:
        status, _, seen = opened.call(target, whole)
        assert (status, [received.body == whole for received in seen]) == (200, [True])
        assert opened.call(target, whole + b" ") == (413, "", [])
