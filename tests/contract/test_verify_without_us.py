"""``docs/verify-without-us.md`` does what it says: its own code, over evidence of every kind."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sidecar.authority import home as authority
from sidecar.authority.open_home import Home
from sidecar.core import wire
from sidecar.core.predicates import APPROVAL
from tests.contract import evidence_of_every_kind as every_kind
from tests.contract.evidence_of_every_kind import KEY_KINDS, KINDS, NOW, Case

DOC = Path(__file__).parents[2] / "docs" / "verify-without-us.md"


def block() -> str:
    """The document's Python program."""
    found = re.findall(r"^```python\n(.*?)^```$", DOC.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


@pytest.fixture(scope="module")
def verify() -> Callable[..., Any]:
    """The document's own function."""
    namespace: dict[str, Any] = {"__name__": "verify_without_us"}
    exec(compile(block(), str(DOC), "exec"), namespace)
    function: Callable[..., Any] = namespace["verify"]
    return function


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return every_kind.cases()


@pytest.fixture(scope="module", params=KEY_KINDS)
def signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return every_kind.signer(tmp_path_factory.mktemp("authority"), request.param)


def test_the_program_is_thirty_lines_over_cryptography_and_the_standard_library() -> None:
    text = block()
    assert len(text.splitlines()) <= 30
    imported = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_evidence_verifies(
    verify: Callable[..., Any], cases: dict[str, Case], signer: Home, kind: str
) -> None:
    case = cases[kind]
    envelope = authority.attest(signer, case.statement, NOW)
    pem = authority.pem(signer).encode()
    assert verify(pem, envelope, kind, case.blob) == wire.plain(case.statement.predicate)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_changed_stops_verifying(
    verify: Callable[..., Any], cases: dict[str, Case], signer: Home, kind: str, tmp_path: Path
) -> None:
    case = cases[kind]
    envelope = authority.attest(signer, case.statement, NOW)
    pem = authority.pem(signer).encode()
    stranger = authority.pem(authority.init(tmp_path / "stranger", "stranger", now=NOW)).encode()
    other = next(name for name in KINDS if name != kind)

    def changed(**parts: Any) -> bytes:
        return json.dumps({**json.loads(envelope), **parts}).encode()

    payload = bytearray(base64.b64decode(json.loads(envelope)["payload"]))
    payload[-20] ^= 1
    signature = json.loads(envelope)["signatures"][0]
    flipped = bytearray(base64.b64decode(signature["sig"]))
    flipped[-1] ^= 1
    attempts = {
        "payload": (pem, changed(payload=base64.b64encode(payload).decode()), kind, case.blob),
        "payload type": (pem, changed(payloadType="text/plain"), kind, case.blob),
        "no signature": (pem, changed(signatures=[]), kind, case.blob),
        "signature": (
            pem,
            changed(signatures=[{"sig": base64.b64encode(flipped).decode()}]),
            kind,
            case.blob,
        ),
        "key": (stranger, envelope, kind, case.blob),
        "type": (pem, envelope, other, case.blob),
        "blob": (pem, envelope, kind, case.blob + b"\n"),
    }
    said = {name: refusal(verify, *attempt) for name, attempt in attempts.items()}
    assert said == {
        **dict.fromkeys(attempts, "not signed by this key"),
        "type": "another kind of evidence",
        "blob": "about another subject",
    }


def refusal(verify: Callable[..., Any], *attempt: object) -> str:
    with pytest.raises(ValueError) as caught:
        verify(*attempt)
    return str(caught.value)


def test_it_runs_as_the_document_says(cases: dict[str, Case], signer: Home, tmp_path: Path) -> None:
    case = cases[APPROVAL]
    (tmp_path / "verify.py").write_text(block())
    (tmp_path / "key.pem").write_text(authority.pem(signer))
    (tmp_path / "a.dsse.json").write_bytes(authority.attest(signer, case.statement, NOW))
    (tmp_path / "blob").write_bytes(case.blob)
    command = [sys.executable, "-I", "verify.py", "key.pem", "a.dsse.json", APPROVAL, "blob"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, json.loads(done.stdout)) == (0, wire.plain(case.statement.predicate))
    (tmp_path / "blob").write_bytes(b"another")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.endswith(b"ValueError: about another subject\n")


@pytest.mark.skipif(None in map(shutil.which, ("openssl", "jq")), reason="openssl or jq is missing")
def test_openssl_and_jq_verify_every_kind_as_the_document_says(
    cases: dict[str, Case], signer: Home, tmp_path: Path
) -> None:
    (commands,) = re.findall(
        r"^## With openssl.*?^```sh\n(.*?)^```$", DOC.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    (tmp_path / "key.pem").write_text(authority.pem(signer))
    curve = getattr(load_pem_public_key(authority.pem(signer).encode()), "curve", None)
    names = {"KEY": "key.pem", "ENVELOPE": "a.dsse.json", "BLOB": "blob"}
    names["DIGEST"] = "-digest sha384" if curve is not None and curve.name == "secp384r1" else ""

    def run(envelope: bytes, blob: bytes) -> list[str]:
        (tmp_path / "a.dsse.json").write_bytes(envelope)
        (tmp_path / "blob").write_bytes(blob)
        done = subprocess.run(
            ["/bin/sh", "-c", commands],
            cwd=tmp_path,
            env={**os.environ, **names},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    digests = {kind: hashlib.sha256(case.blob).hexdigest() for kind, case in cases.items()}
    signed = {kind: authority.attest(signer, case.statement, NOW) for kind, case in cases.items()}
    assert {kind: run(signed[kind], case.blob) for kind, case in cases.items()} == {
        kind: [
            "Signature Verified Successfully",
            "application/vnd.in-toto+json",
            "https://in-toto.io/Statement/v1",
            kind,
            digests[kind],
            f"{digests[kind]}  blob",
        ]
        for kind in cases
    }
    parts = json.loads(signed[APPROVAL])
    other = base64.b64encode(base64.b64decode(parts["payload"]) + b"\n").decode()
    assert run(json.dumps({**parts, "payload": other}).encode(), b"")[0] == (
        "Signature Verification Failure"
    )
