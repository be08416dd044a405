"""A release of the chart, run: its gate, its Envoy, and a pod's volumes that are renewed.

Only the places differ from a pod: folders below a temporary one, ports on loopback.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from admissibility_devtools.demo.authorities import PROD
from admissibility_devtools.tools.envoy_config import credential_document
from admissibility_devtools.tools.places import repository_root
from deploy.build_policy import prepare
from sidecar.opa.location import opa_path
from tests.process.envoy.certificates import serve_as
from tests.process.envoy.config import address
from tests.process.envoy.doubles import FakeProvider, fake_provider
from tests.process.kubernetes.chart import Rendered, Volume, rendered
from tests.support.site.envoy import Answer, EnvoyProcess, exchange, patient, request_bytes
from tests.support.site.site import Site
from tests.support.site.talk import CHAT, JSON_TYPE, credential_line, told, until

pytestmark = pytest.mark.kubernetes
HOST = "api.openai.com"


@dataclass(frozen=True, slots=True)
class Pod:
    """A running pod of a release."""

    site: Site
    envoy: EnvoyProcess
    provider: FakeProvider
    credential: Volume
    tls: Volume

    def call(self, *, credential: bool = True) -> Answer:
        """An ordinary call of the application in production, over TLS."""
        body = json.dumps({"model": self.site.stand.model, "messages": []}).encode()
        lines = credential_line(self.site.stand.token(PROD)) if credential else []
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        request = request_bytes("POST", CHAT, [*lines, JSON_TYPE], body)
        return exchange(self.envoy.port, request, context)

    def key(self) -> str:
        """The provider's key in the last call that reached it, after one more."""
        assert told(self.call()) == (200, "admitted")
        return self.provider.received[-1].headers["authorization"]

    def certified(self) -> int:
        """The serial number of the listener's certificate."""
        pem = ssl.get_server_certificate(("127.0.0.1", self.envoy.port))
        return x509.load_pem_x509_certificate(pem.encode()).serial_number


def certificate(folder: Path) -> dict[str, str]:
    """A Secret's ``tls.crt`` and ``tls.key``, new each time."""
    serve_as("gateway", folder)
    made = (folder / "server.pem").read_bytes()
    key = serialization.load_pem_private_key(made, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = x509.load_pem_x509_certificate(made).public_bytes(serialization.Encoding.PEM)
    return {"tls.crt": chain.decode(), "tls.key": key.decode()}


def serial(files: dict[str, str]) -> int:
    return x509.load_pem_x509_certificate(files["tls.crt"].encode()).serial_number


def configure(site: Site, release: Rendered) -> None:
    """Give the site the release's ``sidecar.yaml``, with whom to trust in one flat volume."""
    policy = site.folder / "policy"
    prepare(
        opa_path(),
        repository_root() / "policies",
        repository_root() / "deploy/sidecar.yaml",
        policy,
    )
    flat: dict[str, str] = {}
    for entry in site.trust["authorities"]:
        path = site.folder / entry["root"]
        flat[path.name] = path.read_text()
        entry["root"] = path.name
    site.trust["state"] = str(site.folder / "state" / "trust")
    flat["trust.yaml"] = yaml.safe_dump(site.trust)
    volume = site.folder / "trust"
    Volume(volume).write(flat)
    text = release.files["sidecar.yaml"]
    text = text.replace("/etc/admissibility/policy", str(policy))
    settings: dict[str, Any] = yaml.safe_load(text.replace("/etc/admissibility/trust", str(volume)))
    places = {
        name: site.settings[name] for name in ("listen", "metrics", "ready_file", "decision_log")
    }
    patience = {"deadline_ms": site.settings["deadline_ms"], "opa": site.settings["opa"]}
    site.settings = {**settings, **places, **patience}


@contextmanager
def pod(site: Site, release: Rendered) -> Iterator[Pod]:
    """Run a release's gate and Envoy as its pod would."""
    configure(site, release)
    site.start()
    folder = site.folder / "envoy"
    credential, tls = Volume(folder / "credential"), Volume(folder / "tls")
    credential.write({"provider.yaml": credential_document("Bearer first")})
    tls.write(certificate(site.folder / "made"))
    (folder / "listener.yaml").write_text(
        release.files["listener.yaml"].replace("/etc/envoy", str(folder))
    )
    server, roots = serve_as(HOST, site.folder / "provider")
    with fake_provider(server) as provider:
        text = release.files["envoy.yaml"].replace("/etc/envoy/", f"{folder}/")
        text = text.replace("/etc/ssl/certs/ca-certificates.crt", str(roots))
        config = yaml.safe_load(patient(text))
        listener = config["static_resources"]["listeners"][0]["address"]["socket_address"]
        assert listener == {"address": "0.0.0.0", "port_value": 10000}
        listener |= {"address": "127.0.0.1", "port_value": 0}
        config["admin"]["address"]["socket_address"]["port_value"] = 0
        gate, upstream = config["static_resources"]["clusters"]
        assert address(gate) == {"address": "127.0.0.1", "port_value": 9191}
        assert address(upstream) == {"address": HOST, "port_value": 443}
        address(gate)["port_value"] = int(site.listen.rpartition(":")[2])
        address(upstream).update(address="127.0.0.1", port_value=provider.port)
        with EnvoyProcess(yaml.safe_dump(config), folder) as envoy:
            yield Pod(site, envoy, provider, credential, tls)


def canary(release: Rendered, port: int) -> tuple[int, str]:
    """What `helm test` runs, against a port of this machine."""
    (container,) = release.named("Pod", "-canary")["spec"]["containers"]
    program, *arguments = container["command"]
    assert (program, container["args"]) == (
        "python",
        ["https://models-admissibility-gateway:10000"],
    )
    command = [sys.executable, *arguments, f"https://127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout


def test_a_release_admits_denies_and_takes_renewed_keys_and_certificates(site: Site) -> None:
    release = rendered()
    with pod(site, release) as running:
        assert told(running.call(credential=False)) == (401, "credential_missing")
        assert running.provider.received == []
        denied = "status 401, x-admissibility-reason credential_missing\n"
        assert canary(release, running.envoy.port) == (0, denied)
        unchecked = "status 200, x-admissibility-reason None\n"
        assert canary(release, running.provider.port) == (1, unchecked)
        running.provider.received.clear()
        assert running.key() == "Bearer first"
        assert running.provider.received[-1].headers["host"] == HOST
        assert "x-environment-credential" not in running.provider.received[-1].headers
        running.credential.write({"provider.yaml": credential_document("Bearer second")})
        assert until(running.key, "Bearer second") == "Bearer second"
        renewed = certificate(site.folder / "renewed")
        running.tls.write(renewed)
        assert until(running.certified, serial(renewed)) == serial(renewed)
        reached = len(running.provider.received)
        site.stop_gate()
        assert (running.call().status, len(running.provider.received)) == (503, reached)
