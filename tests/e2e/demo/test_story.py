"""``admit demo`` as a person runs it: the whole story, and the stage left running."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from admissibility_devtools.demo.authorities import GRANTS, LAB, PROD, UNLISTED_BASE
from admissibility_devtools.demo.caller import CREDENTIAL_HEADER
from admissibility_devtools.demo.stage import Stage
from tests.e2e.demo.stories import LORA, require_as_stated, require_no_credential
from tests.process.cli import admit as program

ADMIT = (sys.executable, "-m", "sidecar.cli")
MODEL = "ft:gpt-4o-2024-08-06:acme:support-v3:abc123"
_READY_SECONDS = 180.0


@pytest.fixture
def scratch() -> Iterator[Path]:
    """For temporary files of the command; short, because the path of a socket is short."""
    with tempfile.TemporaryDirectory(prefix="admit-") as folder:
        yield Path(folder)


def environment(scratch: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(scratch)}


def admit(*arguments: str, code: int = 0) -> Any:
    """Run a command and return what it printed as JSON."""
    done = program.admit(*arguments, "--json", code=code)
    assert done.stderr == b""
    return json.loads(done.stdout)


def test_the_story_of_an_adapter_ends_as_stated_and_writes_no_credential(
    tmp_path: Path, scratch: Path
) -> None:
    """That of a hosted model is told by the wheel: ``tests/e2e/test_wheel.py``."""
    folder = tmp_path / "demo"
    ran = subprocess.run(
        [*ADMIT, "demo", "--story", "lora", "--json", "--folder", str(folder)],
        capture_output=True,
        text=True,
        env=environment(scratch),
        timeout=600,
        check=False,
    )
    require_as_stated(json.loads(ran.stdout), LORA)
    assert (ran.returncode, ran.stderr, list(scratch.iterdir())) == (0, "", [])
    require_no_credential(folder, ran.stdout, kept=0)


@dataclass(frozen=True, slots=True)
class Kept:
    """``admit demo --keep``, running."""

    process: subprocess.Popen[bytes]
    folder: Path
    scratch: Path

    @property
    def told(self) -> dict[str, Any]:
        """What ``demo.json`` says."""
        return dict(json.loads((self.folder / "demo.json").read_text(encoding="utf-8")))

    def tree(self) -> set[int]:
        """The command and every process below it."""
        found, ahead = set[int](), [self.process.pid]
        while ahead:
            pid = ahead.pop()
            found.add(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                ahead += map(int, (task / "children").read_text(encoding="ascii").split())
        return found

    def end(self, number: signal.Signals) -> int:
        """Send the signal to the command alone, and wait for its end."""
        os.kill(self.process.pid, number)
        return self.process.wait(timeout=60)


@contextmanager
def kept(folder: Path, scratch: Path, story: str) -> Iterator[Kept]:
    with (folder.parent / "output").open("wb") as sink:
        process = subprocess.Popen(
            [*ADMIT, "demo", "--story", story, "--keep", "--folder", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=environment(scratch),
        )
    running = Kept(process, folder, scratch)
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not (folder / "demo.json").exists():
            assert process.poll() is None, (folder.parent / "output").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield running
    finally:
        if process.poll() is None:
            running.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """One that is kept running for the tests that only look."""
    with (
        tempfile.TemporaryDirectory(prefix="admit-") as short,
        kept(tmp_path_factory.mktemp("keep") / "demo", Path(short), "hosted") as running,
    ):
        yield running


def test_what_the_stage_is_set_to_is_exactly_what_is_documented(stage: Kept) -> None:
    told = stage.told
    gateway = str(told["gateway"])
    expected = {
        "gateway": gateway,
        "envoy_admin": told["envoy_admin"],
        "gate": told["gate"],
        "metrics": told["metrics"],
        "credential": told["credential"],
        "credential_header": CREDENTIAL_HEADER,
        "model": MODEL,
        "denied_model": UNLISTED_BASE,
        "opa": told["opa"],
        "trust": str(stage.folder / "trust.yaml"),
        "authorities": [
            {
                "name": name,
                "roles": [grant["role"]],
                "repository": str(stage.folder / "authorities" / name / "repository"),
            }
            for name, grant in GRANTS.items()
        ],
    }
    assert told == expected
    assert gateway.startswith("http://127.0.0.1:")
    assert gateway.endswith("/v1")
    assert (stage.folder / "demo.json").stat().st_mode & 0o777 == 0o600
    files = [
        Path(entry["repository"]) / "metadata" / "1.root.json" for entry in told["authorities"]
    ]
    assert [path for path in files if not path.is_file()] == []


def test_the_policy_engine_is_where_it_is_said_to_be(stage: Kept) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(stage.told["opa"].removeprefix("unix://"))
        client.sendall(b"GET /health HTTP/1.1\r\nHost: opa\r\nConnection: close\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"


def test_the_doctor_finds_everything_by_those_settings_and_in_order(stage: Kept) -> None:
    places = {
        "--config": str(stage.folder / "sidecar.yaml"),
        "--envoy-admin": stage.told["envoy_admin"],
        "--gateway": stage.told["gateway"].removesuffix("/v1"),
    }
    found = admit("doctor", *(word for option in places.items() for word in option))
    assert [one for one in found["findings"] if one["state"] != "ok"] == []


def sdk(told: dict[str, Any], **headers: str) -> openai.OpenAI:
    """An application that knows nothing but ``demo.json``."""
    own = {told["credential_header"]: told["credential"], **headers}
    return openai.OpenAI(
        api_key="none", base_url=told["gateway"], default_headers=own, max_retries=0, timeout=30
    )


def test_the_sdk_works_from_outside_with_nothing_but_demo_json(stage: Kept) -> None:
    told = stage.told
    question: Any = [{"role": "user", "content": "Where is my refund?"}]
    with sdk(told) as client:
        answer = client.chat.completions.create(model=told["model"], messages=question)
        response = client.responses.create(model=told["model"], input="Where is my refund?")
        chunks = client.chat.completions.create(model=told["model"], messages=question, stream=True)
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.chat.completions.create(model=told["denied_model"], messages=question)
    text = "Your refund is on its way."
    assert (answer.choices[0].message.content, response.output_text, streamed) == (text,) * 3
    assert (refused.value.code, refused.value.status_code) == ("base_model_not_listed", 403)
    assert UNLISTED_BASE in str(refused.value)


def test_verify_says_the_same_as_the_gate_without_asking_it(stage: Kept) -> None:
    told = stage.told
    trust = ("--trust", told["trust"])
    value = admit("verify", told["model"], "--environment", PROD, *trust)
    assert (value["admissible"], value["reason"]) == (True, "admitted")
    assert value["constituents"] == sorted(GRANTS)
    value = admit("verify", told["model"], "--environment", LAB, *trust, code=1)
    assert (value["admissible"], value["reason"]) == (False, "environment_not_covered")
    value = admit("verify", told["denied_model"], "--environment", PROD, *trust, code=1)
    assert (value["admissible"], value["reason"]) == (False, "base_model_not_listed")


def test_explain_shows_every_numbered_step_and_the_remedy(stage: Kept) -> None:
    told = stage.told
    words = ("explain", told["model"], "--environment", LAB, "--trust", told["trust"])
    value = admit(*words, code=1)
    steps = [(step["step"], step["holds"], step["reason"]) for step in value["steps"]]
    assert (steps, value["not_reached"]) == (
        [
            (0, True, None),
            (1, True, None),
            (2, True, None),
            (3, False, "environment_not_covered"),
            (3, True, None),  # the specification that it was tuned under
            (4, True, None),
            (5, False, "approval_out_of_scope"),
            (6, True, None),
            (6, True, None),
            (7, True, None),
        ],
        [],
    )
    remedies = [step["remedy"] for step in value["steps"] if not step["holds"]]
    assert remedies[0] == "Bind the job again, with this environment in the manifest."
    assert [(a["name"], a["error"]) for a in value["authorities"]] == [(n, None) for n in GRANTS]


def test_status_and_health_tell_that_it_is_ready(stage: Kept) -> None:
    told = stage.told
    value = admit("status", "--url", told["metrics"])
    assert (value["ready"], value["listen"]) == (True, told["gate"])
    assert [(a["name"], a["error"]) for a in value["authorities"]] == [(n, None) for n in GRANTS]
    assert value["evidence"] == {
        "manifests": 1,
        "rejected": 0,
        "rejections": [],
        "waiting": 0,
        "problems": [],
    }
    assert (value["policy"]["up"], value["credential_problems"]) == (True, [])
    value = admit("health", "--gate", told["gate"])
    assert value == {"gate": told["gate"], "status": "SERVING"}


def assert_stops_everything(running: Kept, number: signal.Signals) -> None:
    told, started = running.told, running.tree()
    assert len(started) >= 4  # the command, the gate, OPA and Envoy
    assert running.end(number) == 0
    assert {pid for pid in started if Path(f"/proc/{pid}").exists()} == set()
    assert list(running.scratch.iterdir()) == []
    port = int(told["gateway"].removesuffix("/v1").rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_an_interrupt_stops_everything_that_was_started(tmp_path: Path, scratch: Path) -> None:
    with kept(tmp_path / "demo", scratch, "lora") as running:
        assert_stops_everything(running, signal.SIGINT)


def test_nothing_that_was_started_outlives_a_demo_that_is_killed(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kept(tmp_path / "demo", scratch, "lora") as running:
        started = running.tree()
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while alive := {pid for pid in started if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, alive
        time.sleep(0.02)
    assert len(list(scratch.iterdir())) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with Stage(tmp_path / "next"):
        assert len(list(scratch.iterdir())) == 1
    assert list(scratch.iterdir()) == []


def test_a_termination_stops_everything_that_was_started(stage: Kept) -> None:
    """The last test of the stage, which it ends."""
    assert_stops_everything(stage, signal.SIGTERM)
