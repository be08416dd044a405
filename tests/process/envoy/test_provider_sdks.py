"""Each provider's own SDK, through its reference configuration and a gate's own judgement.

What the environment lists, or a provider bound, arrives at the provider under the name that was
judged; another name by the same call is refused, and reaches nobody.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from sidecar.core.reasons import Reason
from sidecar.gate.authorization import Authorization, Limits
from sidecar.gate.clock import Reading
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.snapshot_holder import SnapshotHolder
from tests.process.envoy.sites import CREDENTIAL, Wired, wire
from tests.process.gate.lease_scene import Agreeing
from tests.support.gate.bench import SETTINGS, Book, reason_of
from tests.support.loop_thread import loop_thread
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import Issuer
from tests.support.simulator.world import World, admitted_world

HOME = "/v1/projects/acme/locations/europe-west4"
ENDPOINT = "projects/acme/locations/europe-west4/endpoints/1234567890"
GEMINI, CLAUDE = "gemini-2.5-flash", "claude-sonnet-4-5@20250929"
COMMAND, RERANK = "cohere.command-r-v1:0", "cohere.rerank-v3-5:0"
LISTED = (
    f"vertex/publishers/google/models/{GEMINI}",
    f"vertex/publishers/anthropic/models/{CLAUDE}",
    "vertex/publishers/meta/models/llama-4-maas",
    f"bedrock/{COMMAND}",
    f"bedrock/{RERANK}",
    "azure/claude-sonnet-4-5",
    "azure/gpt-4o-2024-08-06",
)
ASKED: list[Any] = [{"role": "user", "content": "hello"}]
UNLISTED, UNBOUND = Reason.BASE_MODEL_NOT_LISTED, Reason.DEPLOYMENT_UNBOUND


def world() -> World:
    """An environment that lists base models of three providers, and deployments bound to two."""
    made = admitted_world()
    every = replace(made.grants["provider"][0], base_models=("**",), models=("**",))
    made.grants["provider"] = (every,)
    made.declare(baseModels=list(LISTED))
    for provider, deployment, model in (
        ("azure", "claude", "claude-sonnet-4-5"),
        ("azure", "support", "gpt-4o-2024-08-06"),
        ("vertex", ENDPOINT, f"publishers/google/models/{GEMINI}"),
    ):
        made.bind_deployment(
            deployment, model=model, manifest=None, label=deployment, provider=provider
        )
    return made


@contextmanager
def judged(name: Any, folder: Path) -> Iterator[tuple[Wired, list[str]]]:
    """Run a configuration whose gate decides as a gate does; the reasons of its replies."""
    made, issuer, holder, reasons = world(), Issuer(), SnapshotHolder(), list[str]()
    made.parties["customer"].trust_domains = [issuer.document(NOW)]
    holder.publish(made.state())
    pipeline = Pipeline(replace(SETTINGS, credential_header=CREDENTIAL), holder, Agreeing())
    with wire(name, folder) as wired, loop_thread("gate") as wait:
        service = Authorization(pipeline, Limits(20.0, 64), Book(), lambda: Reading(NOW))

        def decide(request: Any) -> Any:
            reply = wait(service.Check(request, None))
            headers = {h.header.key: h.header.value for h in reply.denied_response.headers}
            reasons.append(headers.get("x-admissibility-reason") or reason_of(reply))
            return reply

        wired.gate.decide = decide
        HEADERS[CREDENTIAL] = issuer.jwt_svid(ENV, NOW)
        yield wired, reasons


HEADERS: dict[str, str] = {}
"""Of every call: the environment's JWT-SVID."""


def module(name: str) -> Any:
    return importlib.import_module(name)


@contextmanager
def google(url: str) -> Iterator[Any]:
    credentials = module("google.oauth2.credentials").Credentials("none")
    options = {"base_url": url, "headers": HEADERS}
    place = {"vertexai": True, "project": "acme", "location": "europe-west4"}
    with closing(
        module("google.genai").Client(**place, credentials=credentials, http_options=options)
    ) as client:
        yield client.models


def generate(url: str, model: str) -> None:
    with google(url) as models:
        models.generate_content(model=model, contents="hello", config={"labels": {"model": "x"}})


def generate_stream(url: str, model: str) -> None:
    with google(url) as models:
        list(models.generate_content_stream(model=model, contents="hello"))


def openai_at(url: str, path: str, model: str, **more: Any) -> None:
    base = f"{url}{path}"
    made = module("openai").OpenAI(base_url=base, api_key="none", default_headers=HEADERS)
    with made.with_options(max_retries=0) as client:
        client.chat.completions.create(model=model, messages=ASKED, **more)


def gemini_compatible(url: str, model: str) -> None:
    thinking = {"google": {"thinking_config": {"thinking_budget": 1}}}
    openai_at(url, f"{HOME}/endpoints/openapi", model, extra_body={"extra_body": thinking})


def azure(url: str, model: str) -> None:
    openai_at(url, "/openai/v1", model)


def claude(made: Any, model: str, **more: Any) -> None:
    tool = {"name": "f", "input_schema": {"properties": {"model": {"type": "string"}}}}
    with made as client:
        told = {"model": model, "max_tokens": 9, "messages": ASKED, "tools": [tool], **more}
        answer = client.messages.create(**told)
        if more:
            list(answer)


def claude_vertex(url: str, model: str, **more: Any) -> None:
    made = module("anthropic").AnthropicVertex(
        region="europe-west4",
        project_id="acme",
        access_token="none",
        base_url=f"{url}/v1",
        default_headers=HEADERS,
        max_retries=0,
    )
    claude(made, model, **more)


def claude_vertex_stream(url: str, model: str) -> None:
    claude_vertex(url, model, stream=True)


def claude_foundry(url: str, model: str) -> None:
    made = module("anthropic").AnthropicFoundry(
        api_key="none", base_url=f"{url}/anthropic", default_headers=HEADERS, max_retries=0
    )
    claude(made, model)


@contextmanager
def bedrock(url: str) -> Iterator[Any]:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIDAPPLICATION",
        aws_secret_access_key="made-up",
    )
    name = "before-call.bedrock-runtime"
    client.meta.events.register(name, lambda params, **_: params["headers"].update(HEADERS))
    with closing(client):
        yield client


def converse(url: str, model: str) -> None:
    with bedrock(url) as client:
        asked = [{"role": "user", "content": [{"text": "hello"}]}]
        documents = {"documents": [{"model": "T", "text": "x"}]}
        client.converse(modelId=model, messages=asked, additionalModelRequestFields=documents)


def rerank(url: str, model: str) -> None:
    body = {"query": "x", "documents": ["a"], "api_version": 2}
    with bedrock(url) as client:
        client.invoke_model(modelId=model, body=json.dumps(body))


@dataclass(frozen=True, slots=True)
class Case:
    """One call of an SDK, by a name that passes and one that does not.

    Attributes:
        package: Without which it is left out.
        site: The reference configuration.
        call: Makes the call, given Envoy's address and a model.
        model: One that passes.
        target: Of the request that the provider receives.
        other: One that is refused.
        reason: Why.
    """

    package: str
    site: str
    call: Callable[[str, str], None]
    model: str
    target: str
    other: str
    reason: Reason


_BETA = HOME.replace("v1", "v1beta1")
_CLAUDES = f"{HOME}/publishers/anthropic/models/{CLAUDE}"
CASES = (
    Case(
        "google.genai",
        "vertex",
        generate,
        GEMINI,
        f"{_BETA}/publishers/google/models/{GEMINI}:generateContent",
        "gemini-2.5-pro",
        UNLISTED,
    ),
    Case(
        "google.genai",
        "vertex",
        generate_stream,
        ENDPOINT,
        f"/v1beta1/{ENDPOINT}:streamGenerateContent?alt=sse",
        f"{ENDPOINT}9",
        UNBOUND,
    ),
    Case(
        "openai",
        "vertex",
        gemini_compatible,
        f"google/{GEMINI}",
        f"{HOME}/endpoints/openapi/chat/completions",
        "google/gemini-2.5-pro",
        UNLISTED,
    ),
    Case(
        "openai",
        "vertex",
        gemini_compatible,
        "meta/llama-4-maas",
        f"{HOME}/endpoints/openapi/chat/completions",
        "meta/llama-3-maas",
        UNLISTED,
    ),
    Case(
        "anthropic",
        "vertex",
        claude_vertex,
        CLAUDE,
        f"{_CLAUDES}:rawPredict",
        "claude-opus-4-6",
        UNLISTED,
    ),
    Case(
        "anthropic",
        "vertex",
        claude_vertex_stream,
        CLAUDE,
        f"{_CLAUDES}:streamRawPredict",
        "claude-opus-4-6",
        UNLISTED,
    ),
    Case(
        "anthropic", "azure", claude_foundry, "claude", "/anthropic/v1/messages", "other", UNBOUND
    ),
    Case("openai", "azure", azure, "support", "/openai/v1/chat/completions", "other", UNBOUND),
    Case(
        "boto3",
        "bedrock",
        converse,
        COMMAND,
        "/model/cohere.command-r-v1%3A0/converse",
        "cohere.command-r-plus-v1:0",
        UNLISTED,
    ),
    Case(
        "boto3",
        "bedrock",
        rerank,
        RERANK,
        "/model/cohere.rerank-v3-5%3A0/invoke",
        "cohere.rerank-v9:0",
        UNLISTED,
    ),
)


@pytest.mark.parametrize("site", ["azure", "bedrock", "vertex"])
def test_what_a_providers_sdk_calls_is_judged_by_its_name_and_nothing_else_passes(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with judged(site, tmp_path) as (wired, reasons):
        for case in CASES:
            if case.site != site:
                continue
            pytest.importorskip(case.package)
            for model in (case.model, case.other):
                with suppress(Exception):  # the stand-in's answer is nobody's, and a denial raises
                    case.call(wired.envoy.url, model)
            assert reasons == ["admitted", case.reason.value], case
            assert [each.target for each in wired.provider.received] == [case.target], case
            reasons.clear()
            wired.provider.received.clear()
