"""A changed reference configuration, running between stand-ins that record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from admissibility_devtools.tools.envoy_config import credential_document, render
from sidecar._pb import ext_authz_pb2 as pb
from tests.process.envoy.doubles import FakeGate, FakeProvider, admitted, fake_gate, fake_provider
from tests.support.site.envoy import Answer, EnvoyProcess, exchange, request_bytes
from tests.unit.envoy_extauthz_lint.edit import Edit
from tests.unit.envoy_extauthz_lint.mutations import Change

INJECTED = "Bearer sk-of-the-provider"
CALL = "/v1/chat/completions"
BODY = b'{"model":"m"}'
Lines = list[tuple[str, str]]


def denied() -> pb.CheckResponse:
    """What the gate says to every request of these tests, unless told otherwise."""
    return pb.CheckResponse(
        status=pb.Status(code=7),
        denied_response=pb.DeniedHttpResponse(status=pb.HttpStatus(code=403)),
    )


def allowed() -> pb.CheckResponse:
    return admitted()


@dataclass(frozen=True, slots=True)
class Wired:
    """Envoy with both its ends; `other` is another upstream, for what goes astray."""

    envoy: EnvoyProcess
    gate: FakeGate
    provider: FakeProvider
    other: FakeProvider

    def send(
        self,
        target: str = CALL,
        headers: Lines | None = None,
        body: bytes = BODY,
        port: int | None = None,
    ) -> Answer:
        request = request_bytes("POST", target, headers, body)
        return exchange(port or self.envoy.port, request)

    def port_of(self, listener: str) -> int:
        """Where a listener beside ``applications`` was bound."""
        _, text = self.envoy.ask_admin("/listeners?format=json")
        (found,) = [one for one in json.loads(text)["listener_statuses"] if one["name"] == listener]
        port: int = found["local_address"]["socket_address"]["port_value"]
        return port

    def headers_asked(self) -> Lines:
        """The header lines the gate was last asked with."""
        headers = self.gate.asked[-1].attributes.request.http.header_map.headers
        return [(line.key, line.raw_value.decode()) for line in headers]


@contextmanager
def wire(edit: Edit, folder: Path, answer: pb.CheckResponse | None = None) -> Iterator[Wired]:
    """Run a changed reference; clusters that were added lead to `other`."""
    folder.mkdir(exist_ok=True)
    credential = folder / "credential.yaml"
    credential.write_text(credential_document(INJECTED), encoding="utf-8")
    with (
        fake_gate(answer or denied()) as gate,
        fake_provider() as provider,
        fake_provider() as other,
    ):
        text = edit.text().replace("port_value: 443\n", f"port_value: {other.port}\n")
        config = render(
            text,
            listener_port=0,
            admin_port=0,
            gate=("127.0.0.1", gate.port),
            upstream=("127.0.0.1", provider.port),
            credential_file=credential,
        )
        with EnvoyProcess(config, folder / "envoy") as envoy:
            yield Wired(envoy, gate, provider, other)


def changed(*changes: Change) -> Edit:
    """A reference without the seal and with changes, which the linter reports."""
    edit = Edit()
    edit.unseal()
    for change in changes:
        change(edit)
    assert edit.found() != []
    return edit


def passed(wired: Wired) -> tuple[int, int]:
    """How often the gate was asked, and how much reached the provider."""
    return len(wired.gate.asked), len(wired.provider.received)


def requests(wired: Wired) -> list[tuple[str, bytes]]:
    return [(one.target, one.body) for one in wired.provider.received]
