"""Runs an OPA for tools that evaluate many queries outside the gate.

It is started like the gate's OPA, with a bundle built and signed in the same way, and is queried at
the same path, so its answers are those that the gate would receive. Several threads may query it at
once; connections are pooled.
"""

from __future__ import annotations

import http.client
import json
import queue
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sidecar.opa import bundle as bundles
from sidecar.opa import executable
from sidecar.opa.errors import PolicyError
from sidecar.opa.signing import VerificationKey
from sidecar.opa.tree import Tree

DECISION = "/v1/data/admission/decision?strict-builtin-errors=true"
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_POLL_SECONDS = 0.02


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("opa", timeout=_ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect; called by the first request."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Server:
    """An OPA server with one bundle; a context manager, to be entered in the main thread.

    Args:
        program: OPA.
        bundle: The bundle that it serves.
        folder: A private folder for its socket and its output.
        verification: The key that signed the bundle; ``None`` for an unsigned one.

    Raises:
        PolicyError: On entering: OPA refuses the bundle, or does not start.
    """

    def __init__(
        self, program: Path, bundle: Path, folder: Path, verification: VerificationKey | None = None
    ) -> None:
        self.socket = folder / "opa.sock"
        self._output = folder / "opa.log"
        self._words = executable.server_args(program, bundle, self.socket, verification)
        self._process: subprocess.Popen[bytes] | None = None
        self._kept: queue.SimpleQueue[UnixConnection] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        try:
            with self._output.open("wb") as sink:
                self._process = subprocess.Popen(
                    self._words,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=sink,
                    env=executable.process_environment(),
                )
            self._wait(self._process)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def decide(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Evaluate one query and return its result.

        Args:
            facts: OPA's ``input``; its nonce is set here.

        Raises:
            PolicyError: OPA returned no result with this query's nonce.
        """
        nonce = secrets.token_hex(8)
        try:
            status, body = self.ask({**facts, "nonce": nonce})
            answer = json.loads(body).get("result") if status == 200 else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PolicyError(f"OPA gave no answer ({type(error).__name__})") from error
        if not isinstance(answer, dict) or answer.get("nonce") != nonce:
            raise PolicyError(f"OPA gave no decision (status {status})")
        return answer

    def ask(self, facts: object) -> tuple[int, bytes]:
        """Send one query as the gate sends it; return status and body of the reply."""
        return self.exchange("POST", DECISION, json.dumps({"input": facts}).encode())

    def exchange(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Send one request and return status and body of the reply."""
        try:
            connection = self._kept.get_nowait()
        except queue.Empty:
            connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            answer = reply.status, reply.read()
        except BaseException:
            connection.close()
            raise
        self._kept.put(connection)
        return answer

    def close(self) -> None:
        """End the server; safe after any failure, and if called twice."""
        while not self._kept.empty():
            self._kept.get_nowait().close()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end:
            if process.poll() is not None:
                output = " ".join(self._output.read_text(errors="replace").split())
                raise PolicyError(f"OPA ended with {process.returncode}: {output[:500]}")
            try:
                if self.exchange("GET", "/health")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(_POLL_SECONDS)
        raise PolicyError(f"OPA does not answer within {_READY_SECONDS:.0f} s")


@contextmanager
def tree_server(program: Path, policies: Tree) -> Iterator[Server]:
    """Serve a tree of policies from a temporary bundle that is built and signed.

    Args:
        program: OPA.
        policies: The tree.

    Raises:
        PolicyError: OPA refuses the policies, or does not start.
    """
    with tempfile.TemporaryDirectory(prefix="admit-policy-") as made:
        folder = Path(made)
        bundle = bundles.build(program, policies, folder)
        with Server(program, bundle.path, folder, bundle.verification) as server:
            yield server
