"""Runs a real Envoy as a child process, for the demo and for tests.

Ports may be 0 in the configuration. Envoy then binds what the kernel gives it, writes its admin
address to a file and names its listeners there, so no port is ever guessed, and two of them never
collide. The child is stopped by its own process id and by nothing broader.
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

from admissibility_devtools.tools.envoy_config import LISTENER, Address
from admissibility_devtools.tools.find import ENVOY
from sidecar.opa.errors import ProgramError
from sidecar.opa.executable import ends_with_parent
from sidecar.opa.location import locate

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 12


class EnvoyProcess:
    """One Envoy, from `start` to `stop`; also a context manager.

    Attributes:
        log: Access log and Envoy's own messages.
        admin: Address of the admin interface; valid after `start`.
        port: Port of the listener ``applications``; valid after `start`.
    """

    def __init__(self, config: str, folder: Path, *, tied: bool = False) -> None:
        """Prepare, without starting anything.

        Args:
            config: A whole bootstrap, as from `admissibility_devtools.tools.envoy_config.render`.
            folder: Where to write the configuration and the log; made if it does not exist.
            tied: Whether the kernel ends Envoy if the thread that starts it ends first.
        """
        self._config = config
        self._tied = tied
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self.log = folder / "envoy.log"
        self.admin: Address = ("127.0.0.1", 0)
        self.port = 0

    @property
    def url(self) -> str:
        """Base URL of the applications' listener without TLS."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the running child, or None."""
        return None if self._child is None else self._child.pid

    def start(self) -> Self:
        """Start Envoy and wait until it reports that it is ready.

        Raises:
            ProgramError: It ended, or was not ready in time; carries the end of its log.
        """
        if self._child is not None:
            raise ProgramError("this Envoy is already running")
        self._folder.mkdir(parents=True, exist_ok=True)
        config, address = self._folder / "envoy.yaml", self._folder / "envoy-admin-address"
        config.write_text(self._config, encoding="utf-8")
        address.unlink(missing_ok=True)
        command = [
            *(str(locate(ENVOY)), "-c", str(config), "--admin-address-path", str(address)),
            *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
        ]
        if self._tied:
            command = ends_with_parent(command, signal.SIGKILL)
        with self.log.open("wb") as sink:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
            )
        try:
            self._await_ready(self._child, address)
            self.port = self._listener_port()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the child and wait for its end; nothing happens where none runs."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def ask_admin(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and body of one request to the admin interface.

        Raises:
            OSError: Nobody answers there.
        """
        connection = http.client.HTTPConnection(*self.admin, timeout=5)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", errors="replace")
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _await_ready(self, child: subprocess.Popen[bytes], address: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise ProgramError(f"Envoy ended with {child.returncode}: {self._log_tail()}")
            if self._is_ready(address):
                return
            time.sleep(_POLL_SECONDS)
        raise ProgramError(f"Envoy is not ready after {_START_SECONDS:.0f} s: {self._log_tail()}")

    def _is_ready(self, address: Path) -> bool:
        try:
            host, _, port = address.read_text(encoding="ascii").strip().rpartition(":")
            self.admin = (host, int(port))
            return self.ask_admin("/ready") == (200, "LIVE\n")
        except (OSError, ValueError, http.client.HTTPException):
            return False  # not written yet, or not listening yet

    def _listener_port(self) -> int:
        status, body = self.ask_admin("/listeners?format=json")
        if status != http.client.OK:
            raise ProgramError("this configuration's admin.allow_paths must allow /listeners")
        for listener in json.loads(body).get("listener_statuses", []):
            if listener["name"] == LISTENER:
                return int(listener["local_address"]["socket_address"]["port_value"])
        raise ProgramError(f"Envoy has no listener {LISTENER!r}: {self._log_tail()}")

    def _log_tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " / ".join(lines[-_LOG_TAIL_LINES:]) or "its log is empty"
