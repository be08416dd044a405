"""Runs a real gate as a child process, for the demo and for tests.

Ports may be 0 in its configuration. The gate then binds what the kernel gives it and writes to its
log, and once ready to a file, where it listens; so no port is guessed. The child is stopped by its
own process id and by nothing broader.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import yaml

from sidecar.opa.executable import ends_with_parent

_READY = "gate.json"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.01
_LISTENING = re.compile(r"gate on (\S+), metrics on (\S+)\n")


class Child(Protocol):
    """What a gate needs of its process; ``subprocess.Popen`` has it."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """Return its exit status, if it has ended."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status once it ends; ``TimeoutExpired`` if that takes too long."""
        ...

    def send_signal(self, number: int, /) -> None:
        """Send it a signal, unless it has ended."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class StageError(Exception):
    """A part of the demo did not start; one line with the end of its log."""


def launch(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start ``admit`` with its streams going to a file; it is stopped if this process is killed."""
    command = [sys.executable, "-m", "sidecar.cli", *arguments]
    with log.open("wb") as sink:
        return subprocess.Popen(
            ends_with_parent(command, signal.SIGTERM),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )


def end(child: Child, seconds: float, number: signal.Signals = signal.SIGTERM) -> int:
    """Send a signal unless it has ended, kill it after ``seconds``; return its exit status."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        return child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


class GateProcess:
    """One ``admit serve`` in a folder, from `start` to `stop`; a context manager that stops it.

    Attributes:
        config: ``sidecar.yaml``.
        log: What it writes to its standard streams.
        decisions: Its decision log, a JSON line for each.
        listen: ``host:port`` of the ext_authz service, once it listens.
        metrics: URL of the HTTP endpoint, once it listens.
    """

    def __init__(self, folder: Path) -> None:
        self.config = folder / "sidecar.yaml"
        self.log = folder / "gate.log"
        self.decisions = folder / "decisions.jsonl"
        self.listen = ""
        self.metrics = ""
        self._ready = folder / _READY
        self._child: Child | None = None

    @staticmethod
    def settings(policies: Path, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as YAML has it
        """Return the least settings: ports that the kernel chooses, files in its folder."""
        return {
            "listen": "127.0.0.1:0",
            "metrics": "127.0.0.1:0",
            "trust": "trust.yaml",
            "policies": str(policies.absolute()),
            "decision_log": "decisions.jsonl",
            "ready_file": _READY,
            **more,
        }

    def configure(self, settings: dict[str, Any]) -> None:
        """Write ``sidecar.yaml``; read at the next start."""
        self.config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            StageError: It was never started.
        """
        return self._started().pid

    @property
    def ready(self) -> bool:
        """Whether its ready file exists, which it removes when it ends."""
        return self._ready.exists()

    def spawn(self) -> Self:
        """Start the process without waiting for anything."""
        # A gate that was killed could not remove its ready file.
        self._ready.unlink(missing_ok=True)
        self.log.write_bytes(b"")
        self._child = self._launch(["serve", "--config", str(self.config)])
        return self

    def _launch(self, arguments: Sequence[str]) -> Child:
        return launch(arguments, self.log)

    def await_listening(self) -> None:
        """Wait until its log states where it listens, ready or not.

        Raises:
            StageError: It ended, or did not in time.
        """
        deadline = time.monotonic() + _START_SECONDS
        while (found := _LISTENING.search(self._log_text())) is None:
            self._check(deadline, "listen")
        self.listen, self.metrics = found[1], f"http://{found[2]}"

    def await_ready(self) -> None:
        """Wait until its ready file exists, and read from it where it listens.

        Raises:
            StageError: It ended, or was not ready in time.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not self.ready:
            self._check(deadline, "become ready")
        ready = json.loads(self._ready.read_text(encoding="utf-8"))
        self.listen, self.metrics = ready["listen"], f"http://{ready['metrics']}"

    def start(self) -> Self:
        """Start the process and wait until it is ready; stop it if it does not become so.

        Raises:
            StageError: It did not become ready.
        """
        self.spawn()
        try:
            self.await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def wait(self) -> int:
        """Wait until it ends by itself, and return its exit status."""
        return self._started().wait(timeout=_START_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, unless it has ended, and return its exit status."""
        return end(self._started(), _STOP_SECONDS, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self.stop()

    def _started(self) -> Child:
        if self._child is None:
            raise StageError("the gate was not started")
        return self._child

    def _log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _check(self, deadline: float, what: str) -> None:
        """Sleep for one poll, unless the process ended or the time is up."""
        if self._started().poll() is not None or time.monotonic() > deadline:
            last = self._log_text().splitlines()[-1:] or ["its log is empty"]
            raise StageError(f"the gate did not {what}: {last[0]} (see {self.log})")
        time.sleep(_POLL_SECONDS)
