"""``opa-envoy-plugin`` for comparison, where ``OPA_ENVOY_PLUGIN`` names the binary.

Once with a policy that admits everything, the least that it can do; once with the composite in
Rego: four ES256 tokens (provider, customer, regulator, evaluator) are verified and their windows
and subject compared for each call. Both answer with the metadata that the seal requires.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

VARIABLE = "OPA_ENVOY_PLUGIN"
ROLES = ("provider", "customer", "regulator", "evaluator")
_START_SECONDS = 30.0

_ADMITTED = """\
admitted := {
	"allowed": true,
	"headers_to_remove": [%(header)s],
	"dynamic_metadata": {"admitted": true, "gate": %(gate)s, "decision_id": "0", "lease_until": ""},
}
"""
ALLOW_ALL = "package bench\n\n" + _ADMITTED + "\nresult := admitted\n"
COMPOSITE = (
    "package bench\n\n"
    + _ADMITTED
    + """
default result := {"allowed": false}

# Envoy sends headers line by line and the body as bytes, so the plugin parses neither.
model := json.unmarshal(base64.decode(input.attributes.request.http.rawBody)).model

result := admitted if {
	every role in ["provider", "customer", "regulator", "evaluator"] {
		agrees(role)
	}
}

agrees(role) if {
	[valid, _, claims] := io.jwt.decode_verify(data.tokens[role], {
		"cert": data.keys[role],
		"alg": "ES256",
		"aud": model,
	})
	valid
	claims.role == role
}
"""
)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A running plugin: where it listens, and its process."""

    port: int
    pid: int


def binary() -> Path | None:
    """Return the plugin's binary; ``None`` if the environment names none."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


@contextlib.contextmanager
def running(
    program: Path, policy: str, model: str, header: str, gate_name: str, folder: Path
) -> Iterator[Plugin]:
    """Run the plugin with a policy and its data for as long as the context lasts.

    Raises:
        TimeoutError: It does not listen in time; its log is in ``folder``.
    """
    folder.mkdir()
    names = {"header": json.dumps(header), "gate": json.dumps(gate_name)}
    (folder / "bench.rego").write_text(policy % names, encoding="utf-8")
    (folder / "data.json").write_text(json.dumps(_evidence(model)), encoding="utf-8")
    port = _free_port()
    config = {
        "plugins": {
            "envoy_ext_authz_grpc": {"addr": f"127.0.0.1:{port}", "path": "bench/result"},
        }
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [
        *(str(program), "run", "--server", "--addr", "127.0.0.1:0", "--log-level", "error"),
        *("--config-file", "config.json", "--disable-telemetry", "bench.rego", "data.json"),
    ]
    with (
        (folder / "log").open("wb") as sink,
        subprocess.Popen(command, cwd=folder, stdout=sink, stderr=sink) as child,
    ):
        try:
            _await(port)
            yield Plugin(port, child.pid)
        finally:
            child.terminate()


def _evidence(model: str) -> dict[str, dict[str, str]]:
    """Return one token and public key per role."""
    tokens, keys, expires = {}, {}, int(time.time()) + 86_400
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        claims = {"role": role, "aud": model, "exp": expires}
        tokens[role] = jwt.encode(claims, key, algorithm="ES256")
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        keys[role] = pem.decode()
    return {"tokens": tokens, "keys": keys}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _await(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"opa-envoy-plugin does not listen on port {port}")
        time.sleep(0.05)
