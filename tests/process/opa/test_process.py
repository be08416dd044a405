"""The managed OPA: serves the bundle it was given and no other, kept running, never orphaned."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sidecar.core.verdict import Verdict
from sidecar.opa import tree
from sidecar.opa.client import Opa
from sidecar.opa.errors import PolicyError
from sidecar.opa.location import opa_path
from sidecar.opa.process import OpaProcess
from tests.process.opa.child import built, child
from tests.process.policies.opa import POLICIES, ROOT
from tests.process.policies.samples import sample_facts


async def ask(process: OpaProcess) -> Verdict:
    opa = Opa(process.address, connections=1)
    try:
        return await opa.ask(sample_facts())
    finally:
        await opa.close()


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_a_path_too_long_for_a_socket_is_refused_with_what_to_set(tmp_path: Path) -> None:
    async def story() -> str:
        folder = tmp_path / ("x" * 100)
        process = OpaProcess(opa_path(), built(tmp_path / "b"), folder, lambda: None)
        with pytest.raises(PolicyError) as caught:
            await process.start()
        return str(caught.value).rpartition(": ")[2]

    assert asyncio.run(story()) == (
        "a socket's path has at most 100 characters; set opa.managed.directory to a shorter one"
    )


# ---- the child -----------------------------------------------------------------------------------


def test_the_child_answers_under_the_revision_of_its_bundle(tmp_path: Path) -> None:
    async def story() -> tuple[bool, bool, int]:
        async with child(tmp_path, []) as process:
            verdict = await ask(process)
            mode = stat.S_IMODE(os.stat(str(process.address.socket)).st_mode)  # noqa: PTH116
            return verdict.allow, verdict.revision == tree.read(POLICIES).revision, mode

    assert asyncio.run(story()) == (True, True, 0o600)


def test_a_bundle_that_is_changed_on_disk_is_not_served(tmp_path: Path) -> None:
    async def story() -> tuple[str, bool]:
        folder = tmp_path / "run"
        bundle = built(folder)
        theirs = tmp_path / "theirs"
        bundle.path.write_bytes(built(theirs).path.read_bytes())  # the same, by another key
        process = OpaProcess(opa_path(), bundle, folder, lambda: None)
        with pytest.raises(PolicyError) as caught:
            await process.start()
        return str(caught.value), process.pid is None

    why, nothing = asyncio.run(story())
    assert why.startswith("OPA ended with 1: error: load error: bundle ")
    assert why.endswith("failed to verify JWT signature: invalid ECDSA signature")
    assert nothing


def test_a_bundle_that_is_changed_while_it_is_served_is_not_served_after_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> str:
        async with child(tmp_path, []) as process:
            bundle = tmp_path / "run" / "bundle.tar.gz"
            bundle.write_bytes(bundle.read_bytes()[:-100])
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            async with asyncio.timeout(30):
                while "unexpected EOF" not in caplog.text:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            answer = Opa(process.address, connections=1)
            try:
                return "up" if await answer.healthy() else "down"
            finally:
                await answer.close()

    assert asyncio.run(story()) == "down"


def test_a_child_that_is_killed_is_started_again_and_the_log_names_the_signal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> tuple[bool, list[int]]:
        restarts: list[int] = []
        async with child(tmp_path, restarts) as process:
            first = process.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            opa = Opa(process.address, connections=1)
            async with asyncio.timeout(30):
                while process.pid in (first, None) or not await opa.healthy():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await opa.close()
            return (await ask(process)).allow, restarts

    assert asyncio.run(story()) == (True, [1])
    why = "OPA was ended by SIGKILL (no memory left? see the kernel's log); it is restarted"
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [why]


def test_nothing_is_left_after_the_end(tmp_path: Path) -> None:
    async def story() -> int:
        async with child(tmp_path, []) as process:
            assert process.pid is not None
            pid = process.pid
            assert alive(pid)
        await process.stop()  # twice is harmless
        return pid

    assert not alive(asyncio.run(story()))
    assert not (tmp_path / "run" / "opa.sock").exists()


def test_a_child_that_never_comes_up_is_an_error(tmp_path: Path) -> None:
    """A program that builds like OPA and then refuses to serve."""
    program = tmp_path / "opa"
    program.write_text(
        '#!/bin/sh\nif [ "$1" = run ]; then echo "no address" >&2; exit 3; fi\n'
        f'exec {opa_path()} "$@"\n'
    )
    program.chmod(0o755)

    async def story() -> str:
        folder = tmp_path / "run"
        process = OpaProcess(program, built(folder), folder, lambda: None)
        with pytest.raises(PolicyError) as caught:
            await process.start()
        return str(caught.value)

    assert asyncio.run(story()) == "OPA ended with 3: no address"


GATE = """
import asyncio, sys
from pathlib import Path
from sidecar.opa.process import OpaProcess
from sidecar.opa.bundle import Folder
async def main():
    opa, policies, folder = map(Path, sys.argv[1:])
    bundle = Folder(policies).read().make(opa, folder)
    process = OpaProcess(opa, bundle, folder, lambda: None)
    await process.start()
    print(process.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_no_opa_outlives_a_gate_that_is_killed(tmp_path: Path) -> None:
    gate = subprocess.Popen(
        [sys.executable, "-c", GATE, str(opa_path()), str(POLICIES), str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert gate.stdout is not None
    try:
        pid = int(gate.stdout.readline())
        assert alive(pid)
    finally:
        gate.kill()
        gate.wait()
        gate.stdout.close()
    end = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < end, "OPA outlived the gate"
        time.sleep(0.01)


# ---- a crash on the way up -----------------------------------------------------------------------


def crashing(tmp_path: Path, times: int) -> Path:
    """An OPA that a signal ends the first ``times`` times it is started, and that is OPA then."""
    program, marks = tmp_path / "opa", tmp_path / "marks"
    marks.mkdir()
    program.write_text(
        f'#!/bin/sh\nn=$(ls {marks} | wc -l)\nif [ "$n" -lt {times} ]; then\n'
        f'  touch {marks}/$n; kill -SEGV $$\nfi\nexec {opa_path()} "$@"\n'
    )
    program.chmod(0o755)
    return program


def test_a_crash_on_the_way_up_is_not_taken_for_a_refusal(tmp_path: Path) -> None:
    async def story() -> bool:
        folder = tmp_path / "run"
        process = OpaProcess(crashing(tmp_path, 2), built(folder), folder, lambda: None)
        await process.start()
        try:
            return (await ask(process)).allow
        finally:
            await process.stop()

    assert asyncio.run(story())


def test_an_opa_that_crashes_every_time_is_reported_and_left(tmp_path: Path) -> None:
    async def story() -> None:
        folder = tmp_path / "run"
        await OpaProcess(crashing(tmp_path, 9), built(folder), folder, lambda: None).start()

    with pytest.raises(PolicyError) as caught:
        asyncio.run(story())
    assert str(caught.value) == "OPA ended with -11: "
    assert len(list((tmp_path / "marks").iterdir())) == 3


_SPAWNS_BESIDE_GRPC = """
import asyncio, os, sys
import sidecar.cli
os.environ["GRPC_VERBOSITY"] = "INFO"
import grpc, uvloop

async def main():
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    for _ in range(20):
        await (await asyncio.create_subprocess_exec("true")).wait()
    await server.stop(0)

uvloop.run(main())
"""


def test_grpc_does_nothing_in_the_child_before_it_becomes_opa() -> None:
    """With gRPC's fork handlers one child in a thousand or so crashed before it was OPA."""
    ended = subprocess.run(
        [sys.executable, "-c", _SPAWNS_BESIDE_GRPC],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, "fork" in ended.stderr) == (0, False), ended.stderr
