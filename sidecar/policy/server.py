"""An OPA of one's own over one tree of policies, for tools that ask many questions.

It is started as the gate starts its OPA, over a bundle built and signed as the gate builds it, and
is asked at the same path; so what it answers is what the gate would have been told. Several threads
may ask at once; connections are kept and handed from one to the next.
"""

from __future__ import annotations

import http.client
import json
import queue
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sidecar.policy import bundle as bundles
from sidecar.policy import opa
from sidecar.policy.errors import PolicyError
from sidecar.policy.tree import Tree

DECISION = "/v1/data/admission/decision?strict-builtin-errors=true"
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_POLL_SECONDS = 0.02


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("opa", timeout=_ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class TreeServer:
    """The server; a context manager, to be entered in the main thread.

    Args:
        program: OPA.
        policies: What it decides by.

    Raises:
        PolicyError: On entering: OPA refuses the policies, or does not come up.
    """

    def __init__(self, program: Path, policies: Tree) -> None:
        self._program = program
        self._policies = policies
        self._folder = Path(tempfile.mkdtemp(prefix="admit-policy-"))
        self._socket = self._folder / "opa.sock"
        self._output = self._folder / "opa.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._kept: queue.SimpleQueue[_UnixConnection] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        try:
            bundle = bundles.build(self._program, self._policies, self._folder)
            words = opa.serve_words(self._program, bundle.path, self._socket, bundle.verification)
            with self._output.open("wb") as sink:
                self._process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=sink,
                    env=opa.serve_environment(),
                )
            self._wait(self._process)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def decide(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one question.

        Args:
            facts: OPA's ``input``; its nonce is chosen here.

        Raises:
            PolicyError: There is no answer to this very question.
        """
        nonce = secrets.token_hex(8)
        question = json.dumps({"input": {**facts, "nonce": nonce}}).encode()
        try:
            status, body = self._exchange("POST", DECISION, question)
            answer = json.loads(body).get("result") if status == 200 else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PolicyError(f"OPA gave no answer ({type(error).__name__})") from error
        if not isinstance(answer, dict) or answer.get("nonce") != nonce:
            raise PolicyError(f"OPA gave no decision (status {status})")
        return answer

    def _exchange(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        try:
            connection = self._kept.get_nowait()
        except queue.Empty:
            connection = _UnixConnection(self._socket)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            answer = reply.status, reply.read()
        except BaseException:
            connection.close()
            raise
        self._kept.put(connection)
        return answer

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end:
            if process.poll() is not None:
                said = " ".join(self._output.read_text(errors="replace").split())
                raise PolicyError(f"OPA ended with {process.returncode}: {said[:500]}")
            try:
                if self._exchange("GET", "/health")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(_POLL_SECONDS)
        raise PolicyError(f"OPA does not answer within {_READY_SECONDS:.0f} s")

    def _close(self) -> None:
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
        shutil.rmtree(self._folder, ignore_errors=True)
