"""A gateway's listener as a control plane makes it, before a real gate and a recording provider."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from admissibility_devtools.demo.caller import CREDENTIAL_HEADER
from admissibility_devtools.tools.envoy_config import credential_document
from tests.process.envoy.certificates import serve_as
from tests.process.envoy.doubles import FakeProvider, Received, fake_provider
from tests.process.kubernetes.runnable import Config, Places, runnable
from tests.support.site.envoy import Answer, EnvoyProcess, exchange, request_bytes
from tests.support.site.site import Site
from tests.support.site.spiffe import TrustDomain
from tests.support.site.talk import Verdict, told

HOST = "api.openai.com"
GATEWAY = "gateway.example"
KEY = "Bearer sk-of-the-provider"
CALL = "/v1/chat/completions"
JSON = ("content-type", "application/json")
WORKLOAD = "/env/prod"
NOBODY = 1  # a port on which nobody listens

CLOSED = (403, "RBAC: access denied")
"""What the mesh itself answers while the gate's filters are not in force."""
UNNAMED = (403, "unsupported_operation")
"""The gate's answer on a route that tells it no provider."""

Lines = list[tuple[str, str]]


def mounted(folder: Path, value: str, edition: str = "..1") -> Path:
    """Write a Secret as the kubelet does: files behind a link to a folder, which is replaced."""
    made = folder / edition
    made.mkdir(parents=True)
    (made / "provider.yaml").write_text(credential_document(value), encoding="utf-8")
    link = folder / "..data_tmp"
    link.symlink_to(edition)
    link.replace(folder / "..data")
    if not (folder / "provider.yaml").exists():
        (folder / "provider.yaml").symlink_to("..data/provider.yaml")
    return folder


@dataclass(frozen=True, slots=True)
class Running:
    """Envoy with both its ends.

    Attributes:
        envoy: The real one.
        provider: Records what reaches it.
        model: An admitted model.
        credential_lines: The line with a JWT-SVID; none where a certificate is the credential.
        client: How an application connects.
        name: Of the host that it calls.
        credential: The folder with the provider's key.
    """

    envoy: EnvoyProcess
    provider: FakeProvider
    model: str
    credential_lines: Lines
    client: ssl.SSLContext
    name: str
    credential: Path

    def body(self) -> bytes:
        """Of an ordinary call."""
        messages = [{"role": "user", "content": "hello"}]
        return json.dumps({"model": self.model, "messages": messages}).encode()

    def send(
        self,
        lines: Lines | None = None,
        *,
        method: str = "POST",
        target: str = CALL,
        body: bytes | None = None,
        client: ssl.SSLContext | None = None,
    ) -> Answer:
        """Send one request with these header lines; an ordinary call's where None."""
        found = self.lines() if lines is None else lines
        content = self.body() if body is None else body
        request = request_bytes(method, target, found, content)
        named = request.replace(b"Host: gateway.example", f"Host: {self.name}".encode(), 1)
        return exchange(self.envoy.port, named, client or self.client, self.name)

    def lines(self) -> Lines:
        """The header lines of an ordinary call."""
        return [*self.credential_lines, JSON]

    def outcome(self, answer: Answer) -> tuple[Verdict, list[Received]]:
        """What the client is told, and what reached the provider since the last time."""
        reached = list(self.provider.received)
        self.provider.received.clear()
        return told(answer), reached


def by_envoy(answer: Answer) -> tuple[int, str]:
    """Status, and the cause that Envoy names in an answer of its own."""
    if answer.headers.get("content-type") != "application/json":
        return answer.status, answer.body.decode()
    return answer.status, str(json.loads(answer.body)["error"]["code"])


@contextmanager
def running(
    dump: Config,
    listener: str,
    site: Site,
    folder: Path,
    *,
    gate: int | None = None,
    domain: TrustDomain | None = None,
) -> Iterator[Running]:
    """Run a listener of a dump before a site's gate.

    Args:
        dump: Of a configuration.
        listener: Its name there.
        site: A gate that runs.
        folder: For everything that it needs.
        gate: Port of a gate to ask instead.
        domain: Of clients, where their certificate is the credential.
    """
    credential = mounted(folder / "credential", KEY)
    provider_tls, provider_roots = serve_as(HOST, folder / "provider")
    if domain is None:
        _, roots = serve_as(GATEWAY, folder / "gateway")
        chain = key = folder / "gateway" / "server.pem"
        client = ssl.create_default_context(cafile=str(roots))
        lines = [(CREDENTIAL_HEADER, site.stand.token())]
    else:
        own, workload = domain.issue("/ns/admissibility/sa/provider-egress"), domain.issue(WORKLOAD)
        chain, key, lines = own.certificate, own.private_key, []
        client = workload.client_context(domain.bundle)
    with ExitStack() as stack:
        provider = stack.enter_context(fake_provider(provider_tls))
        places = Places(
            gate=int(site.listen.rpartition(":")[2]) if gate is None else gate,
            provider=provider.port,
            provider_roots=provider_roots,
            credential=credential,
            certificate=chain,
            private_key=key,
            clients=None if domain is None else domain.bundle,
        )
        text = runnable(dump, listener, places)
        envoy = stack.enter_context(EnvoyProcess(text, folder / "envoy"))
        name = GATEWAY if domain is None else HOST
        yield Running(envoy, provider, site.stand.model, lines, client, name, credential)
