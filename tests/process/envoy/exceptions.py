"""What an application's SDK raises when the gate denies: real SDKs, through real Envoy.

The gate is a stand-in that denies for the reason it is given, in the form of the route, written by
the code that the gate uses.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from admissibility_devtools.tools import find
from admissibility_devtools.tools.envoy_config import reference
from admissibility_devtools.tools.places import tools_folder
from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.reasons import Reason, http_status, remedy
from sidecar.extract.router import error_shape
from sidecar.gate import check_response
from sidecar.opa.location import locate
from tests.process.envoy.sites import CREDENTIAL, Wired, wire

REASONS = (
    Reason.MALFORMED_REQUEST,
    Reason.CREDENTIAL_MISSING,
    Reason.WITHDRAWN,
    Reason.BODY_INCOMPLETE,
    Reason.UNSUPPORTED_ENCODING,
    Reason.OVERLOADED,
)
"""One reason for each status of a denial."""

DETAIL = "corpus c-1 is withdrawn"
DECISION = "0123456789abcdef0123456789abcdef"
WANTED = "x-reason"
ASKED: list[Any] = [{"role": "user", "content": "hello"}]
_HEADERS = {CREDENTIAL: "jwt"}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "exceptions.md"
_OLLAMA = ("{provider: vllm, api: vllm,", "{provider: vllm, api: ollama,")


@dataclass(frozen=True, slots=True)
class Raised:
    """One exception: its class, what it shows by expression, and how often the SDK tried."""

    name: str
    shown: dict[str, str]
    attempts: int


@dataclass(frozen=True, slots=True)
class Sdk:
    """An SDK as an application uses it.

    Attributes:
        title: Name of the SDK and the API that it speaks.
        package: The package to import, without which it is left out.
        site: The reference configuration.
        call: Makes one call, given Envoy's address and a header to send.
        code: Expressions for reason code, message and decision id, of the exception ``e``.
        message: See ``code``.
        decision: See ``code``.
        api: The route's ``api``, where it is not the site's own.
    """

    title: str
    package: str
    site: Any
    call: Callable[[str], object]
    code: str
    message: str
    decision: str
    api: str = ""


def _module(name: str) -> Any:
    """An SDK, which need not be installed for the tests of the others."""
    return importlib.import_module(name)


def _openai(url: str) -> object:
    openai = _module("openai")
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", default_headers=_HEADERS)
    with client:
        return client.chat.completions.create(model="m", messages=ASKED)


def _azure(url: str) -> object:
    openai = _module("openai")
    client = openai.AzureOpenAI(
        azure_endpoint=url, api_version="2024-10-21", api_key="none", default_headers=_HEADERS
    )
    with client:
        return client.chat.completions.create(model="support", messages=ASKED)


def _bedrock(url: str) -> object:
    boto3 = _module("boto3")
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIDAPPLICATION",
        aws_secret_access_key="made-up",
    )
    client.meta.events.register(
        "before-call.bedrock-runtime", lambda params, **_: params["headers"].update(_HEADERS)
    )
    with closing(client):
        return client.converse(
            modelId="m", messages=[{"role": "user", "content": [{"text": "hello"}]}]
        )


def _anthropic(url: str) -> object:
    anthropic = _module("anthropic")
    client = anthropic.Anthropic(base_url=url, api_key="none", default_headers=_HEADERS)
    with client:
        return client.messages.create(model="m", max_tokens=9, messages=ASKED)


def _ollama(url: str) -> object:
    ollama = _module("ollama")
    client = ollama.Client(host=url, headers=_HEADERS)
    with closing(client._client):
        return client.chat(model="m", messages=ASKED)


def _google(url: str) -> object:
    genai = _module("google.genai")
    credentials = _module("google.oauth2.credentials")

    client = genai.Client(
        vertexai=True,
        project="acme",
        location="europe-west4",
        credentials=credentials.Credentials("none"),
        http_options={"base_url": url, "headers": _HEADERS},
    )
    with closing(client):
        return client.models.generate_content(model="gemini-2.5-flash", contents="hello")


SDKS = (
    Sdk("OpenAI, Python", "openai", "jwt", _openai, "e.code", "e.message", "e.body['decision_id']"),
    Sdk(
        "OpenAI, Python (`AzureOpenAI`)",
        "openai",
        "azure",
        _azure,
        "e.code",
        "e.message",
        "e.body['innererror']['decision_id']",
    ),
    Sdk(
        "boto3, Bedrock",
        "boto3",
        "bedrock",
        _bedrock,
        "e.response['Error']['Message']",
        "e.response['Error']['Message']",
        "e.response['Error']['Message']",
    ),
    Sdk(
        "Anthropic, Python",
        "anthropic",
        "vllm",
        _anthropic,
        "e.body['error']['code']",
        "e.body['error']['message']",
        "e.body['error']['decision_id']",
    ),
    Sdk("Ollama, Python", "ollama", "vllm", _ollama, "e.error", "e.error", "e.error", "ollama"),
    Sdk(
        "Google Gen AI, Python (Vertex)",
        "google.genai",
        "vertex",
        _google,
        "e.details['error']['details'][0]['metadata']['code']",
        "e.message",
        "e.details['error']['details'][0]['metadata']['decision_id']",
    ),
)
NODE = Sdk("OpenAI, Node", "", "jwt", _openai, "e.code", "e.message", "e.error.decision_id")


@contextmanager
def denying(sdk: Sdk, folder: Path) -> Iterator[tuple[Wired, list[Reason]]]:
    """Run the SDK's configuration before a gate that denies for the reason in the list."""
    template = None
    if sdk.api:
        template = reference(sdk.site)
        assert _OLLAMA[0] in template
        template = template.replace(*_OLLAMA)
    reason = [Reason.OVERLOADED]
    with wire(sdk.site, folder, template=template) as wired:
        wired.gate.decide = lambda request: _denial(request, reason[0])
        yield wired, reason


def _denial(request: pb.CheckRequest, reason: Reason) -> pb.CheckResponse:
    http, route = request.attributes.request.http, request.attributes.context_extensions
    given = [line.raw_value for line in http.header_map.headers if line.key == WANTED]
    reason = Reason(given[0].decode()) if given else reason
    shape = error_shape(route.get("api", route["provider"]), http.method, http.path)
    return check_response.denial(reason, DETAIL, DECISION, shape)


def raised(sdk: Sdk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Reason, Raised]:
    """What the SDK raises for each reason; its pauses between attempts are left out."""
    pytest.importorskip(sdk.package)
    found = {}
    monkeypatch.setenv("NO_PROXY", "*")
    with denying(sdk, folder) as (wired, reason):
        for reason[0] in REASONS:
            wired.gate.asked.clear()
            with monkeypatch.context() as patch:
                patch.setattr(time, "sleep", lambda _: None)
                caught = _caught(lambda: sdk.call(wired.envoy.url))
            shown = {
                text: str(eval(text, {"e": caught}))
                for text in dict.fromkeys((sdk.code, sdk.message, sdk.decision))
            }
            found[reason[0]] = Raised(type(caught).__name__, shown, len(wired.gate.asked))
        assert wired.provider.received == []
    return found


def _caught(call: Callable[[], object]) -> Exception:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what is looked at
        return error
    raise AssertionError("the call was not refused")


def raised_in_node(folder: Path) -> dict[Reason, Raised]:
    """The same in Node, where the SDK is installed beside the tools."""
    modules = tools_folder() / "node_modules"
    if not (modules / "openai").exists():
        pytest.skip(f"the Node SDK is not here: npm install --prefix {tools_folder()} openai")
    with denying(NODE, folder) as (wired, _):
        names = ",".join(reason.value for reason in REASONS)
        script = Path(__file__).with_name("exceptions.js")
        run = [str(locate(find.NODE)), str(script), str(modules), wired.envoy.url, names]
        done = subprocess.run(run, capture_output=True, check=True, timeout=60)
        assert wired.provider.received == []
    shown = json.loads(done.stdout)
    return {
        reason: Raised(shown[reason.value].pop("type"), shown[reason.value], 1)
        for reason in REASONS
    }


def complaints(sdk: Sdk, found: dict[Reason, Raised]) -> list[str]:
    """Which expressions do not show what they are for."""
    wrong = []
    for reason, one in found.items():
        for text, part in (
            (sdk.code, reason.value),
            (sdk.message, f"{DETAIL}. {remedy(reason)}"),
            (sdk.decision, DECISION),
        ):
            if part not in one.shown[text]:
                wrong.append(f"{sdk.title}, {reason}: {text} is {one.shown[text]!r}")
    return wrong


def row(sdk: Sdk, found: dict[Reason, Raised]) -> list[str]:
    """Two rows of the page: of classes, and of expressions."""
    names = " | ".join(f"`{found[reason].name}`" for reason in REASONS)
    retried = [str(http_status(reason)) for reason in REASONS if found[reason].attempts > 1]
    again = ", ".join(retried) or "none"
    if sdk is NODE:
        again = "not looked at"
    shown = " | ".join(f"`{text}`" for text in (sdk.code, sdk.message, sdk.decision))
    return [f"| {sdk.title} | {names} | {again} |", f"| {sdk.title} | {shown} |"]


def committed(sdk: Sdk) -> list[str]:
    """The SDK's rows in the page as it is."""
    with suppress(FileNotFoundError):
        lines = PAGE.read_text("utf-8").splitlines()
        return [line for line in lines if line.startswith(f"| {sdk.title} |")]
    return []
