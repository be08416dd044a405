"""The managed OPA: built from the policies as they are, kept running, never orphaned."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.core.verdict import Verdict
from sidecar.gate import opa_bundle
from sidecar.gate.opa import Opa
from sidecar.gate.opa_bundle import PolicyError
from sidecar.gate.opa_process import Managed, OpaProcess, private_folder
from sidecar.toolchain import opa_path
from tests.policies.opa import POLICIES, ROOT, copy_policies
from tests.policies.samples import sample_facts


def build(policies: Path, folder: Path) -> opa_bundle.Bundle:
    folder.mkdir()
    return opa_bundle.build(opa_path(), policies, folder)


@asynccontextmanager
async def child(tmp_path: Path, restarts: list[int]) -> AsyncIterator[OpaProcess]:
    managed = Managed(opa_path(), POLICIES, tmp_path / "run")
    process = OpaProcess(managed, lambda: restarts.append(1))
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


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


# ---- the bundle ----------------------------------------------------------------------------------


def test_the_revision_is_the_content(tmp_path: Path) -> None:
    policies = copy_policies(tmp_path)
    first = build(policies, tmp_path / "1")
    assert first == opa_bundle.Bundle(
        tmp_path / "1" / "bundle.tar.gz", first.revision, ("eu", "us")
    )
    (policies / "admission" / "more_test.rego").write_text("not even rego")
    (policies / "admission" / ".hidden.rego").write_text("not even rego")
    assert build(policies, tmp_path / "2").revision == first.revision
    data = policies / "params" / "admission" / "data.json"
    data.write_text(data.read_text().replace("30", "31"))
    assert build(policies, tmp_path / "3").revision != first.revision


def test_names_and_contents_cannot_be_shifted_into_each_other() -> None:
    pairs = [{"a": b"bc"}, {"ab": b"c"}, {"a": b"b", "c": b""}, {"abc": b""}]
    assert len({opa_bundle.revision_of(files) for files in pairs}) == len(pairs)


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        build(tmp_path / "none", tmp_path / "b")
    assert str(caught.value) == f"{tmp_path / 'none'}: there is no such folder"


def test_no_policies_are_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolicyError) as caught:
        build(tmp_path / "empty", tmp_path / "b")
    expected = f"{tmp_path / 'empty'}: no policies with a capabilities.json in there"
    assert str(caught.value) == expected


def test_policies_that_want_the_network_are_refused(tmp_path: Path) -> None:
    policies = copy_policies(tmp_path)
    (policies / "lib" / "net.rego").write_text(
        'package lib.net\n\nx := http.send({"method": "get", "url": "http://x.example"})\n'
    )
    with pytest.raises(PolicyError, match=r"^OPA refuses the policies: .*http\.send") as caught:
        build(policies, tmp_path / "b")
    assert "\n" not in str(caught.value)


# ---- the folder ----------------------------------------------------------------------------------


def test_a_folder_others_can_reach_is_refused(tmp_path: Path) -> None:
    parent = tmp_path / "run"
    parent.mkdir(mode=0o750)
    parent.chmod(0o750)
    with pytest.raises(PolicyError) as caught:
        private_folder(parent)
    assert str(caught.value) == f"{parent}: must be this user's alone (chmod 0700)"


def test_a_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    made = private_folder(tmp_path / "a" / "run")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (made, made.parent)]
    assert modes == [0o700, 0o700]


def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    async def story() -> str:
        parent = tmp_path / ("x" * 100)
        process = OpaProcess(Managed(opa_path(), POLICIES, parent), lambda: None)
        with pytest.raises(PolicyError) as caught:
            await process.start()
        assert list(parent.iterdir()) == []
        return str(caught.value).rpartition(": ")[2]

    assert asyncio.run(story()) == "too long a path for a socket"


# ---- the child -----------------------------------------------------------------------------------


def test_the_child_answers_under_the_revision_of_its_bundle(tmp_path: Path) -> None:
    async def story() -> tuple[bool, bool, int]:
        async with child(tmp_path, []) as process:
            verdict = await ask(process)
            mode = stat.S_IMODE(os.stat(str(process.address.socket)).st_mode)  # noqa: PTH116
            return verdict.allow, verdict.revision == process.bundle.revision, mode

    assert asyncio.run(story()) == (True, True, 0o600)


def test_a_child_that_is_killed_is_started_again(tmp_path: Path) -> None:
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


def test_nothing_is_left_after_the_end(tmp_path: Path) -> None:
    async def story() -> int:
        async with child(tmp_path, []) as process:
            assert process.pid is not None
            pid = process.pid
            assert alive(pid)
        await process.stop()  # twice is harmless
        return pid

    assert not alive(asyncio.run(story()))
    assert list((tmp_path / "run").iterdir()) == []


def test_a_child_that_never_comes_up_is_an_error(tmp_path: Path) -> None:
    """A program that builds like OPA and then refuses to serve."""
    program = tmp_path / "opa"
    program.write_text(
        '#!/bin/sh\nif [ "$1" = run ]; then echo "no address" >&2; exit 3; fi\n'
        f'exec {opa_path()} "$@"\n'
    )
    program.chmod(0o755)

    async def story() -> str:
        process = OpaProcess(Managed(program, POLICIES, tmp_path / "run"), lambda: None)
        with pytest.raises(PolicyError) as caught:
            await process.start()
        return str(caught.value)

    assert asyncio.run(story()) == "OPA ended with 3: no address"
    assert list((tmp_path / "run").iterdir()) == []


GATE = """
import asyncio, sys
from pathlib import Path
from sidecar.gate.opa_process import Managed, OpaProcess
async def main():
    process = OpaProcess(Managed(Path(sys.argv[1]), Path(sys.argv[2])), lambda: None)
    await process.start()
    print(process.pid, process.address.url, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_no_opa_outlives_a_gate_that_is_killed() -> None:
    gate = subprocess.Popen(
        [sys.executable, "-c", GATE, str(opa_path()), str(POLICIES)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert gate.stdout is not None
    try:
        pid, url = gate.stdout.readline().split()
        assert alive(int(pid))
    finally:
        gate.kill()
        gate.wait()
        gate.stdout.close()
    end = time.monotonic() + 20
    while alive(int(pid)):
        assert time.monotonic() < end, "OPA outlived the gate"
        time.sleep(0.01)
    shutil.rmtree(Path(url.removeprefix("unix://")).parent)
