"""A reference configuration, running between a stand-in gate and a stand-in provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.toolchain.envoy_config import TlsFiles, credential_document, reference, render
from tests.envoy.doubles import FakeGate, FakeProvider, fake_gate, fake_provider
from tests.integration.support.envoy import Answer, EnvoyProcess, exchange, request_bytes
from tests.integration.support.spiffe import Svid, TrustDomain

INJECTED = "Bearer sk-of-the-provider"
CREDENTIAL = "x-environment-credential"
WORKLOAD = "/ns/support/sa/assistant"


def allow(*removed: str) -> pb.CheckResponse:
    """An allow that takes these request headers away."""
    return pb.CheckResponse(
        status=pb.Status(code=0), ok_response=pb.OkHttpResponse(headers_to_remove=removed)
    )


@dataclass(frozen=True, slots=True)
class Wired:
    """Everything between an application and a provider, with both ends in the test's hands."""

    envoy: EnvoyProcess
    gate: FakeGate
    provider: FakeProvider

    def send(
        self,
        method: str = "POST",
        target: str = "/v1/chat/completions",
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b'{"model":"m"}',
    ) -> Answer:
        return exchange(self.envoy.port, request_bytes(method, target, headers, body))


@contextmanager
def wire(
    template: str,
    folder: Path,
    *,
    tls: TlsFiles | None = None,
    document: str = credential_document(INJECTED),
) -> Iterator[Wired]:
    """Run a configuration, with the gate answering an allow until told otherwise."""
    credential = folder / "credential.yaml"
    credential.write_text(document, encoding="utf-8")
    with fake_gate(allow(CREDENTIAL)) as gate, fake_provider() as provider:
        config = render(
            template,
            listener_port=0,
            admin_port=0,
            gate=("127.0.0.1", gate.port),
            upstream=("127.0.0.1", provider.port),
            credential_file=credential,
            tls=tls,
        )
        with EnvoyProcess(config, folder / "envoy") as envoy:
            yield Wired(envoy, gate, provider)


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[Wired]:
    """`envoy/jwt.yaml` as it stands."""
    with wire(reference("jwt"), tmp_path) as running:
        yield running


@dataclass(frozen=True, slots=True)
class MutualTls:
    """The same behind mutual TLS, with the client's certificates."""

    wired: Wired
    domain: TrustDomain
    client: Svid


@pytest.fixture
def mutual_tls(tmp_path: Path) -> Iterator[MutualTls]:
    """`envoy/mtls.yaml` as it stands, trusting one freshly made trust domain."""
    domain = TrustDomain("acme.example", tmp_path / "spiffe")
    server = domain.issue("/gateway")
    tls = TlsFiles(server.certificate, server.private_key, domain.name, domain.bundle)
    with wire(reference("mtls"), tmp_path, tls=tls) as running:
        yield MutualTls(running, domain, domain.issue(WORKLOAD))
