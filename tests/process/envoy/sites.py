"""What is particular about each reference configuration, and each of them run."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from admissibility_devtools.tools.envoy_config import (
    Gated,
    TlsFiles,
    credential_document,
    reference,
    render,
)
from sidecar._pb import ext_authz_pb2 as pb
from tests.process.envoy import sigv4
from tests.process.envoy.certificates import serve_as
from tests.process.envoy.doubles import (
    FakeGate,
    FakeProvider,
    Received,
    admitted,
    fake_gate,
    fake_provider,
)
from tests.support.site.envoy import (
    Answer,
    EnvoyProcess,
    exchange,
    patient,
    request_bytes,
)
from tests.support.site.spiffe import TrustDomain

CREDENTIAL = "x-environment-credential"
WORKLOAD = "/ns/support/sa/assistant"
EDGE, GATEWAY = "/edge", "/gateway"
DOMAIN = "acme.example"
BODY = b'{"model":"m"}'
BEARER = "Bearer sk-of-the-provider"
ARN = "arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Acustom-model-deployment%2Fabc"


@dataclass(frozen=True, slots=True)
class Site:
    """One reference configuration as an application, a gate and a provider see it.

    Attributes:
        name: Of the file.
        extensions: What its routes tell the gate.
        target: An ordinary call.
        host: What the provider is addressed as.
        key: The line with the provider's credential, and its value.
        uploads: Paths that are decided without their body.
        mutual: Whether a client needs a certificate, and no JWT-SVID is taken.
        tls: Whether the provider is reached over TLS.
    """

    name: Gated
    extensions: dict[str, str]
    target: str = "/v1/chat/completions"
    host: str = "gateway.example"
    key: tuple[str, str] = ("authorization", BEARER)
    uploads: tuple[str, ...] = ()
    mutual: bool = False
    tls: bool = False

    def routed(self, route_class: str = "api") -> dict[str, str]:
        """What the gate is told on a route of this class."""
        return {**self.extensions, "route_class": route_class}

    def document(self, key: str | None = None) -> str:
        """A file with the provider's credential; ``key`` for another than the first."""
        if self.name == "bedrock":
            return sigv4.credentials_file() if key is None else sigv4.credentials_file(key)
        return credential_document(self.key[1] if key is None else key)

    def key_in(self, received: Received) -> str:
        """The credential that a call went out with."""
        return sigv4.key_of(received) if self.name == "bedrock" else received.headers[self.key[0]]

    def seen(self, received: Received) -> Received:
        """A call as it arrived; a signature is verified, and told by one word."""
        return sigv4.unsigned(received) if self.name == "bedrock" else received


FILES = ("/v1/files", "/v1/uploads", "/v1/uploads/u-1/parts?x=1")
OPENAI = {"provider": "openai"}
SITES: dict[Gated, Site] = {
    site.name: site
    for site in (
        Site("jwt", OPENAI, uploads=FILES),
        Site("mtls", OPENAI, uploads=FILES, mutual=True),
        Site(
            "xfcc-gate",
            {**OPENAI, "trusted_forwarder": f"spiffe://{DOMAIN}{EDGE}"},
            uploads=FILES,
            mutual=True,
        ),
        Site("egress", OPENAI, host="api.openai.com", uploads=FILES, tls=True),
        Site(
            "azure",
            {"provider": "azure", "api": "azure"},
            target="/openai/deployments/support/chat/completions?api-version=2024-10-21",
            host="acme-models.openai.azure.com",
            key=("api-key", "key-of-the-resource"),
            uploads=("/openai/files", "/openai/v1/files", "/openai/uploads/u-1/parts?x=1"),
            tls=True,
        ),
        Site(
            "bedrock",
            {"provider": "bedrock", "api": "bedrock"},
            target=f"/model/{ARN}/converse",
            host="bedrock-runtime.eu-central-1.amazonaws.com",
            key=("authorization", sigv4.SIGNED),
            tls=True,
        ),
        Site(
            "vertex",
            {"provider": "vertex", "api": "vertex"},
            target="/v1/projects/acme/locations/europe-west4/endpoints/1234567890:generateContent",
            host="europe-west4-aiplatform.googleapis.com",
            tls=True,
        ),
        Site("vllm", {"provider": "vllm", "api": "vllm"}, host="vllm.internal"),
    )
}


def allow(*removed: str) -> pb.CheckResponse:
    """An allow that takes these request headers away."""
    return admitted(pb.OkHttpResponse(headers_to_remove=removed))


@dataclass(frozen=True, slots=True)
class Wired:
    """Everything between an application and a provider, with both ends in the test's hands."""

    site: Site
    envoy: EnvoyProcess
    gate: FakeGate
    provider: FakeProvider
    credential: Path
    domain: TrustDomain
    client: ssl.SSLContext | None = field(repr=False)

    def send(
        self,
        method: str = "POST",
        target: str | None = None,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = BODY,
    ) -> Answer:
        wanted = self.site.target if target is None else target
        return self.send_bytes(request_bytes(method, wanted, headers, body))

    def send_bytes(self, request: bytes) -> Answer:
        return exchange(self.envoy.port, request, self.client)

    def reset(self) -> None:
        """As it was at the start, but for the processes."""
        self.gate.answer = allow(CREDENTIAL)
        self.gate.asked.clear()
        self.provider.received.clear()


@contextmanager
def wire(
    name: Gated,
    folder: Path,
    *,
    template: str | None = None,
    document: str | None = None,
    certified: str | None = None,
    gate: int | None = None,
) -> Iterator[Wired]:
    """Run a configuration, with the gate answering an allow until told otherwise.

    Args:
        name: Of the reference.
        folder: For everything it needs.
        template: Instead of the reference, to leave something out.
        document: Instead of the provider's credential.
        certified: The host that the provider has a certificate for, instead of its own.
        gate: Port of a gate to ask instead of the stand-in.
    """
    site = SITES[name]
    credential = folder / "credential" / "file"
    credential.parent.mkdir(parents=True)
    credential.write_text(site.document() if document is None else document, encoding="utf-8")
    domain = TrustDomain(DOMAIN, folder / "spiffe")
    own, client = domain.issue(GATEWAY), domain.issue(EDGE if name == "xfcc-gate" else WORKLOAD)
    server, roots = serve_as(certified or site.host, folder / "provider")
    with (
        fake_gate(allow(CREDENTIAL)) as double,
        fake_provider(server if site.tls else None) as provider,
    ):
        config = render(
            patient(reference(name) if template is None else template),
            listener_port=0,
            admin_port=0,
            gate=("127.0.0.1", double.port if gate is None else gate),
            upstream=("127.0.0.1", provider.port),
            credential_file=credential,
            tls=own_files(own.certificate, own.private_key, domain) if site.mutual else None,
            provider_roots=roots if site.tls else None,
            trusted_forwarder=f"spiffe://{DOMAIN}{EDGE}" if name == "xfcc-gate" else None,
        )
        with EnvoyProcess(config, folder / "envoy") as envoy:
            context = client.client_context(domain.bundle) if site.mutual else None
            yield Wired(site, envoy, double, provider, credential, domain, context)


def own_files(certificate: Path, private_key: Path, domain: TrustDomain) -> TlsFiles:
    """An Envoy's own X.509-SVID, and the trust domain it believes."""
    return TlsFiles(certificate, private_key, domain.name, domain.bundle)
