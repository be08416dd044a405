"""A gate in a process of its own, forked from a server that has imported the product once.

Importing the product takes most of the processor time of a start. The forked process runs the same
command on the same files and is handled by its process id; the installed program itself is started
by ``tests/e2e/test_wheel.py``, the demo's stage and the tests of ``doctor``.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from admissibility_devtools.demo.gate_process import Child, GateProcess
from sidecar.cli.main import run

PRELOADED = ["sidecar.cli.serve", "sidecar.service.run", __name__]


class ForkedGate(GateProcess):
    """``admit serve`` as ``GateProcess`` runs it, without the imports."""

    def run(self, *options: str) -> tuple[int, str]:
        """Run it until it ends by itself; its exit status, and all that it wrote."""
        child = self._launch(["serve", *options, "--config", str(self.config)])
        try:
            return child.wait(60), self.log.read_text(encoding="utf-8")
        finally:
            child.kill()

    def _launch(self, arguments: Sequence[str]) -> Child:
        return forked(arguments, self.log, os.environ)


def forked(
    arguments: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    prepare: Callable[[], None] | None = None,
) -> Child:
    """Run the command with these variables; ``prepare`` is called in its process before."""
    umask = os.umask(0)
    os.umask(umask)
    surroundings = (str(Path.cwd()), dict(environment), umask, prepare)
    process = _server().Process(
        target=_serve, args=(list(arguments), str(log), *surroundings), daemon=True
    )
    process.start()
    return _Forked(process)


class _Forked:
    """A process of the server, handled as ``subprocess.Popen`` is."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("admit serve", timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _serve(
    arguments: list[str],
    log: str,
    folder: str,
    environment: Mapping[str, str],
    umask: int,
    prepare: Callable[[], None] | None,
) -> None:
    """Become the gate: its folder, variables, mask and streams are those of the caller."""
    os.umask(umask)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, flags, numbers in (
        (os.devnull, os.O_RDONLY, (0,)),
        (log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, (1, 2)),
    ):
        stream = os.open(path, flags, 0o666)
        for number in numbers:
            os.dup2(stream, number)
        os.close(stream)
    if prepare is not None:
        prepare()
    sys.exit(run(arguments))
