"""The real OPA, for tests: its commands, a bundle of the policies, and a server on a Unix socket.

The flags of :class:`OpaServer` are the ones the policies are meant to run with. Every answer of the
server is read whole; the process is ended by its own handle.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sidecar.toolchain import opa_path

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "policies"
SCHEMAS = POLICIES / "schemas"
CAPABILITIES = POLICIES / "capabilities.json"
DECISION = "/v1/data/admission/decision?strict-builtin-errors=true"
REVISION = "r-1"
_READY_SECONDS = 60.0


def opa(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run one OPA command and return what it did; the caller looks at the status."""
    command = [str(opa_path()), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


def copy_policies(folder: Path) -> Path:
    """Copy the policies to ``folder/policies``, to be changed there."""
    return Path(shutil.copytree(POLICIES, folder / "policies"))


def change_data(tree: Path, name: str, **changes: Any) -> None:
    """Replace entries of ``params/<name>/data.json`` in a copy of the policies."""
    path = tree / "params" / name / "data.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def enforce_all(tree: Path) -> None:
    """Bring every rule of a copy of the policies forward, as an operator may."""
    codes = {
        code
        for path in (tree / "jurisdiction").rglob("*.rego")
        for code in re.findall(r"^#   code: (\S+)$", path.read_text(), re.MULTILINE)
    }
    change_data(tree, "admission", enforce_early=sorted(codes))


def build_bundle(folder: Path, *, revision: str | None = REVISION, tree: Path = POLICIES) -> Path:
    """Build the bundle as a deployment does, with ``revision`` as data; None leaves it out."""
    stamp = folder / "stamp"
    stamp.mkdir()
    if revision is not None:
        (stamp / "data.json").write_text(json.dumps({"revision": revision}))
    bundle = folder / "bundle.tar.gz"
    built = opa(
        "build", tree, stamp, "--output", bundle, "--capabilities", CAPABILITIES,
        "--ignore", "*_test.rego", "--ignore", "capabilities.json", "--ignore", "*.schema.json",
        "--ignore", "lint", "--revision", revision or "",
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return bundle


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP reply."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class OpaServer:
    """An OPA server over one bundle; a context manager."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.socket = folder / "opa.sock"
        self._log = folder / "opa.log"
        self._command = [
            str(opa_path()), "run", "--server",
            "--addr", f"unix://{self.socket}", "--unix-socket-perm", "600",
            "--authorization", "basic", "--bundle", str(bundle),
            "--set", "server.decoding.max_length=1048576",
            "--log-level", "error", "--log-format", "json",
            "--skip-version-check", "--shutdown-grace-period", "1",
        ]  # fmt: skip

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _wait(self) -> None:
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                if self.request("GET", "/health").status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"OPA did not become ready: {self._log.read_text()}")

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, length: int | None = None
    ) -> Reply:
        """Send one request and read the whole reply; ``length`` may announce another one."""
        headers = {"Content-Type": "application/json"}
        if length is not None:
            headers["Content-Length"] = str(length)
        connection = _UnixConnection(self.socket)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Reply(response.status, response.read())
        finally:
            connection.close()

    def ask(self, facts: object) -> Reply:
        """The whole reply to ``facts``, asked as the gate asks."""
        return self.request("POST", DECISION, json.dumps({"input": facts}).encode())

    def decide(self, facts: object) -> Any:
        """The ``result`` for ``facts``, which must be there."""
        reply = self.ask(facts)
        assert reply.status == 200, reply.body
        return reply.json()["result"]
