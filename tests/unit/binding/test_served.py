"""What a running server states of a name is compared with the folder that a manifest binds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.binding import model_files, served, served_api
from sidecar.binding.errors import BindingError
from sidecar.binding.served import Api, BoundBase, Proof, ServedComparison
from sidecar.binding.source import SourceError
from tests.support.open_weights import OpenWeights, Tag, open_weights
from tests.unit.binding.adapters import BASE, REVISION, lay_out

WEIGHTS, ADAPTER = b"GGUF base", b"GGUF adapter"
FILE = hashlib.sha256(WEIGHTS).hexdigest()
NAME = "support-v3"


@pytest.fixture
def server() -> Iterator[OpenWeights]:
    with open_weights() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An adapter with the file that Ollama serves beside the one that it was converted from."""
    made = lay_out(tmp_path / NAME)
    (made / "adapter.gguf").write_bytes(ADAPTER)
    return made


def compared(
    api: Api, server: OpenWeights, folder: Path, name: str = NAME, revision: str = REVISION
) -> ServedComparison:
    found = served_api.ask(api, server.url, name)
    files = model_files.read_folder(folder).digests
    return served.compare(found, BoundBase(BASE, revision), files, folder)


def refused(api: Api, url: str, name: str = NAME) -> str:
    with pytest.raises((BindingError, SourceError)) as caught:
        served_api.ask(api, url, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_tag_of_ollama_is_proven_by_the_digest_of_its_adapter(
    server: OpenWeights, folder: Path
) -> None:
    tag = server.tags["support:latest"] = Tag(WEIGHTS, (ADAPTER,))
    found = compared(Api.OLLAMA, server, folder, "support", FILE)
    assert (found.proof, found.differences) == (Proof.DIGEST, ())
    assert found.unproven == (
        "template, system prompt and parameters of the tag are the server's; its digest "
        f"{tag.digest} covers them",
    )
    by_commit = compared(Api.OLLAMA, server, folder, "support:latest")
    assert by_commit.differences == ()
    assert by_commit.unproven[1].startswith("the base model was not compared: the manifest names")


def test_another_adapter_or_base_of_a_tag_is_a_difference(
    server: OpenWeights, folder: Path
) -> None:
    server.tags["support:v1"] = Tag(b"another base", (b"converted by Ollama",))
    file, base = compared(Api.OLLAMA, server, folder, "support:v1", FILE).differences
    other = hashlib.sha256(b"converted by Ollama").hexdigest()
    assert file.startswith(f"the adapter's file has the SHA-256 {other}, which no file of the")
    assert base.endswith(f"but the manifest's base revision is {FILE}")


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        (Tag(WEIGHTS), "'support' has 0 adapters, expected one"),
        (Tag(WEIGHTS, (ADAPTER, b"more")), "has 2 adapters, expected one"),
        (
            Tag(WEIGHTS, (), system=f"x\nADAPTER /blobs/sha256-{FILE}\ny"),
            "/api/show: system has a line that names a file as ADAPTER does",
        ),
        (Tag(WEIGHTS, (), system='"""\nADAPTER ./a.gguf\n"'), "does not name a file by its digest"),
    ],
)
def test_a_tag_without_exactly_one_adapter_is_refused(
    server: OpenWeights, tag: Tag, why: str
) -> None:
    server.tags["support:latest"] = tag
    assert why in refused(Api.OLLAMA, server.url, "support")


def test_a_tag_that_is_moved_while_it_is_read_is_refused(server: OpenWeights) -> None:
    server.tags["support:latest"] = Tag(WEIGHTS, (ADAPTER,))

    def move(path: str) -> None:
        if path == "/api/show":
            server.tags["support:latest"] = Tag(WEIGHTS, (b"another",))

    server.before = move
    assert "was moved while it was read" in refused(Api.OLLAMA, server.url, "support")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"{", "/api/tags: not JSON"),
        (b'{"models": [], "models": []}', "/api/tags: "),
        (b'{"models": [{"name": "support:latest"}]}', "models.0.digest: Field required"),
        (b'{"models": []}', "lists the tag 'support' 0 times, expected once"),
        # What SGLang answers where Ollama's API is asked.
        (
            b'{"models": [{"name": "support:latest", "digest": "sha256:sglang00"}]}',
            "is 'sha256:sglang00', which is no SHA-256: not Ollama",
        ),
        (b" " * (9 << 20), "is larger than 8388608 bytes"),
    ],
)
def test_an_answer_that_is_not_ollamas_is_refused(
    server: OpenWeights, answer: bytes, why: str
) -> None:
    server.tags["support:latest"] = Tag(WEIGHTS, (ADAPTER,))
    server.answers["/api/tags"] = answer
    assert why in refused(Api.OLLAMA, server.url, "support")


def test_a_name_of_vllm_agrees_by_its_folder_and_that_is_said_to_be_no_proof(
    server: OpenWeights, folder: Path
) -> None:
    server.serve_base("qwen", BASE)
    server.serve_adapter(NAME, f"{folder}/../{NAME}", "qwen")
    found = compared(Api.VLLM, server, folder)
    assert (found.proof, found.differences) == (Proof.PATH, ())
    (unproven,) = found.unproven
    assert unproven.startswith(f"the server names the folder {folder}/../{NAME}, not what it")
    server.models = []
    server.serve_base("qwen", "Qwen/Qwen3-8B")
    server.serve_adapter(NAME, "acme/support-v3", "qwen")
    assert compared(Api.VLLM, server, folder).differences == (
        f"the adapter was loaded from 'acme/support-v3', which is not a path of a folder: serve "
        f"{folder}",
        f"the base model is Qwen/Qwen3-8B, but the manifest's is {BASE}",
    )
    server.models = []
    server.serve_base("qwen", "/models/qwen")
    server.serve_adapter(NAME, "/models/other", "qwen")
    found = compared(Api.VLLM, server, folder)
    assert found.differences == (f"the adapter was loaded from /models/other, not from {folder}",)
    assert found.unproven[1] == (
        "the server does not name its base model, only its folder /models/qwen"
    )


@pytest.mark.parametrize("path", ["/model_info", "/get_model_info"])
def test_a_name_of_sglang_is_what_follows_the_colon(
    server: OpenWeights, folder: Path, path: str
) -> None:
    server.info_path = path
    server.serve_base("qwen", "qwen")
    server.serve_adapter(NAME, str(folder), "qwen")
    server.model_path = BASE
    found = compared(Api.SGLANG, server, folder, f"qwen:{NAME}")
    assert (found.proof, found.differences, len(found.unproven)) == (Proof.PATH, (), 1)
    server.model_path = "Qwen/Qwen3-8B"
    assert compared(Api.SGLANG, server, folder, f"qwen:{NAME}").differences


def test_what_a_server_does_not_serve_as_an_adapter_is_refused(server: OpenWeights) -> None:
    server.serve_base(NAME, "/models/merged")
    assert "lists 'support-v3' as a base model" in refused(Api.VLLM, server.url)
    assert "lists 'other' 0 times, expected once: support-v3" in refused(
        Api.VLLM, server.url, "other"
    )
    server.answers["/v1/models"] = json.dumps({"data": [{"id": 1}]}).encode()
    assert "/v1/models: data.0.id: " in refused(Api.VLLM, server.url)


def test_a_server_that_does_not_answer_is_one_line_and_its_key_is_sent(
    server: OpenWeights,
) -> None:
    server.tags["support:latest"] = Tag(WEIGHTS, (ADAPTER,))
    server.key = "a-key-of-the-server"
    assert "HTTP 401, expected 200" in refused(Api.OLLAMA, f"{server.url}/v1/", "support")
    assert served_api.ask(Api.OLLAMA, server.url, "support", server.key).base == FILE
    assert "no answer (ConnectionError)" in refused(Api.VLLM, "http://127.0.0.1:9")
    assert "is not http(s)://HOST[:PORT] without user" in refused(Api.VLLM, "http://u:p@h")
