"""Each example, run as its README states it: an answer where admitted, and the reason where not.

Those of OpenAI's API run through the demo's gate and Envoy. Those of the others run through the
reference configuration of their API, with a gate that answers what the test states.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from admissibility_devtools.demo.authorities import UNLISTED_BASE
from admissibility_devtools.demo.stage import Stage
from admissibility_devtools.tools.envoy_config import Gated
from sidecar.core.reasons import Reason
from sidecar.extract.router import error_shape
from sidecar.gate import check_response
from tests.process.envoy.sites import CREDENTIAL, Wired, allow, wire
from tests.process.examples.clients import CLIENTS, EXAMPLES, Client
from tests.support.site.stand import Stand, standing

ANSWER = "Your refund is on its way."
DETAIL = "the approval of the regulator was withdrawn"
SECONDS = 120
MODELS = {
    "azure": "support",
    "bedrock": "arn:aws:bedrock:eu-central-1:123456789012:custom-model-deployment/abc",
    "vllm": "support-v3",
}
SHAPES = {
    "azure": {"choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}}]},
    "bedrock": {
        "output": {"message": {"role": "assistant", "content": [{"text": ANSWER}]}},
        "stopReason": "end_turn",
    },
    "vllm": {"type": "message", "content": [{"type": "text", "text": ANSWER}]},
}
"""What the provider behind the gate answers in its own form."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that has ended."""

    status: int
    printed: str
    errors: str


def run(client: Client, base: str, model: str, token: Path) -> Ran:
    """Run an example as its README states it."""
    settings = {"BASE_URL": base, "MODEL": model, "CREDENTIAL_FILE": str(token)}
    ended = subprocess.run(
        client.command(),
        env={**os.environ, **client.environment(), **settings},
        cwd=token.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The demo in its admitted state."""
    with standing(tmp_path_factory.mktemp("stage") / "demo") as running:
        yield running


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """The file that SPIFFE's helper would keep up to date."""
    return tmp_path / "svid.jwt"


def through_the_demo(stage: Stage, client: Client, stand: Stand, token: Path) -> None:
    token.write_text("expired", encoding="utf-8")
    refused = run(client, stage.gateway, stand.model, token)
    assert (refused.status, "denied: " in refused.errors) == (1, True), refused
    assert "credential" in refused.errors
    # Its file is replaced, as it is every few minutes; nothing else is told to the program.
    token.write_text(stand.token() + "\n", encoding="utf-8")
    stage.upstream.received.clear()
    admitted = run(client, stage.gateway, stand.model, token)
    assert (admitted.status, ANSWER in admitted.printed) == (0, True), admitted
    (received,) = stage.upstream.received
    assert json.loads(received.body)["model"] == stand.model
    assert received.header("x-environment-credential") == ()
    denied = run(client, stage.gateway, UNLISTED_BASE, token)
    assert denied.status == 1
    assert "403" in denied.errors or client.language == "shell"
    assert re.search(r"denied: .*base_model_not_listed", denied.errors, re.DOTALL), denied
    assert len(stage.upstream.received) == 1


def ready(client: Client) -> None:
    """Skip with the reason where a program cannot be run."""
    if client.language == "shell" and shutil.which("curl") is None:
        pytest.skip(f"{client.name}: curl is not on PATH")
    if not client.installed:
        pytest.skip(f"{client.name} is not installed: run `make examples` and see what is missing")


OPENAI = [each for each in CLIENTS if each.api == "openai"]


@pytest.mark.parametrize("client", [each for each in OPENAI if each.locked], ids=lambda c: c.name)
def test_an_example_with_locked_libraries_passes_the_demo(
    client: Client, stand: Stand, token: Path
) -> None:
    ready(client)
    through_the_demo(stand.stage, client, stand, token)


@pytest.mark.examples
@pytest.mark.parametrize(
    "client", [each for each in OPENAI if not each.locked], ids=lambda c: c.name
)
def test_an_example_passes_the_demo(client: Client, stand: Stand, token: Path) -> None:
    ready(client)
    through_the_demo(stand.stage, client, stand, token)


def base_of(client: Client, wired: Wired) -> str:
    return f"http://127.0.0.1:{wired.envoy.port}" + ("/v1" if client.api == "vllm" else "")


@pytest.mark.parametrize(
    "client", [each for each in CLIENTS if each.api != "openai"], ids=lambda c: c.name
)
def test_an_example_of_another_api_passes_its_reference_configuration(
    client: Client, tmp_path: Path, token: Path
) -> None:
    ready(client)
    name: Gated = client.api  # type: ignore[assignment]
    token.write_text("a.jwt.svid\n", encoding="utf-8")
    with ExitStack() as stack:
        wired = stack.enter_context(wire(name, tmp_path / "site"))
        wired.provider.answer_with(json.dumps(SHAPES[client.api]).encode())
        admitted = run(client, base_of(client, wired), MODELS[client.api], token)
        assert (admitted.status, ANSWER in admitted.printed) == (0, True), admitted
        (asked,) = wired.gate.asked
        http = asked.attributes.request.http
        lines = {line.key: line.raw_value.decode() for line in http.header_map.headers}
        assert lines[CREDENTIAL] == "a.jwt.svid"
        shape = error_shape(client.api, "POST", http.path)
        wired.gate.answer = check_response.denial(Reason.WITHDRAWN, DETAIL, "d" * 32, shape)
        denied = run(client, base_of(client, wired), MODELS[client.api], token)
        assert (denied.status, DETAIL in denied.errors) == (1, True), denied
        assert "withdrawn" in denied.errors
        wired.gate.answer = allow(CREDENTIAL)
        assert len(wired.provider.received) == 1


def test_the_readme_has_a_line_for_each_example_and_each_has_a_program() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    names = sorted(each.name for each in CLIENTS)
    assert sorted(re.findall(r"^\| \[`([a-z0-9-]+)`\]", text, re.M)) == names
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()) == names
