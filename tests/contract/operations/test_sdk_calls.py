"""Ordinary calls with the options that SDKs document: each is read, none is refused without need.

A gate that refuses what everybody sends is switched off. So the calls are made with the real SDK,
with a word like ``model`` in every place that is the caller's own, and read by the gate as they
come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError
from sidecar.extract.extractor import ExtractOptions, extract
from sidecar.extract.http_request import HttpRequest
from tests.contract.operations.documented import ASKED, OPENAI, OWN, SOUND, chat


def read(api: str, base: str, call: Callable[[Any], object]) -> Call | str:
    """What the gate makes of a call of the SDK, or the refusal's words."""
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        request.read()
        sent.append(request)
        return httpx2.Response(404, json={})

    client = openai.OpenAI(
        api_key="none",
        base_url=f"http://gateway.example{base}",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    with client, pytest.raises(openai.NotFoundError):
        call(client)
    (request,) = sent
    lines = ((name.decode().lower(), value.decode()) for name, value in request.headers.raw)
    told = HttpRequest(
        request.method,
        request.url.raw_path.decode(),
        tuple(lines),
        request.content,
        provider=api,
        api=api,
    )
    try:
        return extract(told, ExtractOptions(1 << 20))
    except AdmissibilityError as error:
        return error.message


def extra(**body: Any) -> Callable[[Any], object]:
    return chat(extra_body=body)


@pytest.mark.parametrize("what", OPENAI)
def test_a_documented_option_of_openai_is_no_reason_to_refuse(what: str) -> None:
    call, expected = OPENAI[what]
    assert read("openai", "/v1", call) == expected


EXTRA = {
    "guided_json": OWN,
    "structured_outputs": {"json": OWN},
    "documents": [{"title": "t", "model": "T"}],
    "chat_template_kwargs": {"enable_thinking": False, "model": "T"},
    "response_format": {"type": "structural_tag", "structures": [{"schema": OWN}]},
    "mm_processor_kwargs": {"num_crops": 4},
    "vllm_xargs": {"a": 1},
    "allowed_token_ids": [1],
    "cache_salt": "c",
    "chat_template": "t",
    "json_schema": '{"model": 1}',
    "priority": 1,
    "return_token_ids": True,
    "separate_reasoning": True,
    "top_k": 5,
    "truncate_prompt_tokens": 3,
}


@pytest.mark.parametrize("key", EXTRA)
@pytest.mark.parametrize("api", ["vllm", "sglang"])
def test_an_option_of_an_open_server_is_no_reason_to_refuse(api: str, key: str) -> None:
    assert read(api, "/v1", extra(**{key: EXTRA[key]})) == Call(api, "chat.completions", ("m",))


@pytest.mark.parametrize("api", ["vllm", "sglang", "ollama"])
def test_every_open_server_takes_sound_and_messages(api: str) -> None:
    deployed = ("m",) if api == "ollama" else ()
    sound = read(api, "/v1", lambda c: c.audio.transcriptions.create(model="m", file=SOUND))
    assert sound == Call(api, "audio.transcriptions", ("m",), deployments=deployed)
    asked = {"model": "m", "messages": ASKED, "tools": [{"name": "f", "input_schema": OWN}]}
    for name, path in (
        ("messages", "/messages"),
        ("messages.count_tokens", "/messages/count_tokens"),
    ):
        found = read(api, "/v1", lambda c, p=path: c.post(p, body=asked, cast_to=object))  # type: ignore[misc]
        assert found == Call(api, name, ("m",), tool_types=("function",), deployments=deployed)
