"""What a model made, perhaps only now, is not fetched once the model is withdrawn (law 1)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.process.registration.stage import Stage, lines, staged
from tests.support.simulator.constants import BASE, MODEL

OPENED = [
    *("responses.retrieve", "responses.cancel", "responses.delete"),
    *("files.create", "files.content", "files.retrieve", "batches.retrieve", "batches.cancel"),
]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(tmp_path, monkeypatch, open_operations=OPENED) as running:
        yield running


def outcome(stage: Stage, method: str, path: str) -> str:
    answer = requests.request(
        method, stage.address + path, headers=stage.options()["default_headers"], timeout=60
    )
    return answer.headers.get("x-admissibility-reason") or str(answer.status_code)


def test_law_1_after_a_withdrawal_no_output_of_the_model_is_fetched(stage: Stage) -> None:
    client = stage.client()
    mine, other = stage.respond(MODEL, background=True), stage.respond(BASE, background=True)
    told = client.files.create(file=("lines.jsonl", lines(MODEL)), purpose="batch").id
    batch = client.batches.create(
        input_file_id=told, endpoint="/v1/chat/completions", completion_window="24h"
    ).id
    assert outcome(stage, "GET", f"/v1/batches/{batch}") == "200"
    outputs = [
        f"/v1/responses/{mine}",
        f"/v1/responses/{mine}?stream=true&starting_after=1",
        f"/v1/files/file-of-{batch}/content",
    ]
    assert {outcome(stage, "GET", path) for path in outputs} == {"200"}

    regulator = stage.site.world.parties["regulator"]
    regulator.withdraw("model", f"openai/{MODEL}")
    stage.site.publish(regulator)
    end = time.monotonic() + 30
    while outcome(stage, "GET", outputs[0]) != "withdrawn":
        assert time.monotonic() < end, "the output is still fetched"
    assert {outcome(stage, "GET", path) for path in outputs} == {"withdrawn"}

    unhindered = [
        ("GET", f"/v1/responses/{other}"),
        ("GET", f"/v1/batches/{batch}"),
        ("GET", f"/v1/files/{told}/content"),
        ("GET", f"/v1/files/file-of-{batch}"),
        ("POST", f"/v1/batches/{batch}/cancel"),
        ("POST", f"/v1/responses/{mine}/cancel"),
        ("DELETE", f"/v1/responses/{mine}"),
    ]
    assert {each: outcome(stage, *each) for each in unhindered} == dict.fromkeys(unhindered, "200")
