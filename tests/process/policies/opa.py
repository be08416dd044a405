"""The real OPA, for tests: its commands, and the bundle and the server that the product makes.

What a test serves is built, signed and started by the product's own code; here is only what tests
need beside it: a revision of their own, and replies as they came.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from sidecar.opa import bundle as bundles
from sidecar.opa import executable as program
from sidecar.opa import tree as trees
from sidecar.opa.bundle import Bundle
from sidecar.opa.location import opa_path
from sidecar.opa.server import Server, UnixConnection

ROOT = Path(__file__).resolve().parents[3]
POLICIES = Path(os.environ.get("ADMIT_POLICIES", ROOT / "policies")).absolute()
SCHEMAS = POLICIES / "schemas"
CAPABILITIES = POLICIES / "capabilities.json"
REVISION = "r-1"

NOT_THE_DECISION = (
    ("PUT", "/v1/policies/evil"),
    ("DELETE", "/v1/policies/admission/decision.rego"),
    ("GET", "/v1/policies"),
    ("PUT", "/v1/data/params/eu"),
    ("PATCH", "/v1/data/params"),
    ("GET", "/v1/data/admission/decision"),
    ("GET", "/v1/data"),
    ("POST", "/v1/data?strict-builtin-errors=true"),
    ("POST", "/v1/data/admission?strict-builtin-errors=true"),
    ("POST", "/v1/data/admission/decision"),
    ("POST", "/v1/data/admission/decision?strict-builtin-errors=false"),
    ("POST", "/v1/data/admission/decision?strict-builtin-errors=true&explain=full"),
    ("POST", "/v1/data/admission/decision/allow?strict-builtin-errors=true"),
    ("POST", "/v0/data/admission/decision?strict-builtin-errors=true"),
    ("POST", "/v1/query"),
    ("POST", "/v1/compile"),
    ("POST", "/"),
    ("GET", "/v1/config"),
    ("GET", "/v1/status"),
    ("GET", "/metrics"),
    ("GET", "/debug/pprof"),
    ("POST", "/v1/data/admission//decision?strict-builtin-errors=true"),
    ("POST", "/v1/data/admission%2fdecision?strict-builtin-errors=true"),
    ("POST", "/v1/batch/data/admission/decision?strict-builtin-errors=true"),
    ("POST", "/v1/data/admission/batch/decisions?strict-builtin-errors=true"),
    ("GET", "/health/live"),
)
"""What an OPA that others can reach refuses, by ``system.authz``: method and path."""


def opa(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run one OPA command and return what it did; the caller looks at the status."""
    return program.run(opa_path(), *arguments, folder=cwd)


def copy_policies(folder: Path) -> Path:
    """Copy the policies to ``folder/policies``, to be changed there."""
    return Path(shutil.copytree(POLICIES, folder / "policies"))


def change_data(tree: Path, name: str, **changes: Any) -> None:
    """Replace entries of ``params/<name>/data.json`` in a copy of the policies."""
    path = tree / "params" / name / "data.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rule_codes(tree: Path) -> list[str]:
    """The code of every rule of a jurisdiction."""
    codes = {
        code
        for path in (tree / "jurisdiction").rglob("*.rego")
        for code in re.findall(r"^#   code: (\S+)$", path.read_text(), re.MULTILINE)
    }
    return sorted(codes)


def enforce_all(tree: Path) -> None:
    """Bring every rule of a copy of the policies forward, as an operator may."""
    change_data(tree, "admission", enforce_early=rule_codes(tree))


def build_bundle(folder: Path, *, revision: str = REVISION, tree: Path = POLICIES) -> Bundle:
    """Build and sign the bundle as the gate does, but under a revision of the tests' own."""
    made = folder / "bundle"
    made.mkdir()
    return bundles.build(opa_path(), replace(trees.read(tree), revision=revision), made)


def build_unstamped(folder: Path) -> Path:
    """Build a bundle without a revision and without a signature, which the product never does."""
    bundle = folder / "unstamped.tar.gz"
    ignored = ("*_test.rego", "capabilities.json", "*.schema.json", "lint")
    words = [word for name in ignored for word in ("--ignore", name)]
    built = opa("build", POLICIES, "--output", bundle, "--capabilities", CAPABILITIES, *words)
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


class OpaServer:
    """The product's own server over one bundle, with every reply as it came; a context manager.

    A bundle given as a path is an unsigned one.
    """

    def __init__(self, bundle: Bundle | Path, folder: Path) -> None:
        path, key = (
            (bundle, None) if isinstance(bundle, Path) else (bundle.path, bundle.verification)
        )
        self._server = Server(opa_path(), path, folder, key)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._server.socket

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def request(
        self, method: str, path: str, body: bytes | None = None, *, length: int | None = None
    ) -> Reply:
        """Send one request and read the whole reply; ``length`` may announce another one."""
        if length is None:
            return Reply(*self._server.exchange(method, path, body))
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body, {"Content-Length": str(length)})
            response = connection.getresponse()
            return Reply(response.status, response.read())
        finally:
            connection.close()

    def ask(self, facts: object) -> Reply:
        """The whole reply to ``facts``, asked as the gate asks."""
        return Reply(*self._server.ask(facts))

    def decide(self, facts: object) -> Any:
        """The ``result`` for ``facts``, which must be there."""
        reply = self.ask(facts)
        assert reply.status == 200, reply.body
        return reply.json()["result"]
