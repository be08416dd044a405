"""An installation with registration on: authorities, gate and Envoy, and a stand-in provider."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from admissibility_devtools.tools.envoy_config import credential_document, reference, render
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from tests.process.registration.upstream import Provider, provider
from tests.process.service.site import Running, Site, in_the_present
from tests.support.simulator.constants import APPROVERS, BASE, ENV, MODEL
from tests.support.simulator.predicates import manifest_predicate
from tests.support.simulator.world import World, parties_world
from tests.support.site.envoy import patient
from tests.support.site.worlds import world_of

AZURE_HOST = "acme-models.openai.azure.com"
OTHER_ENV = "spiffe://acme.example/env/test"
HEADER = "x-environment-credential"
AGENTS = ["agents.create", "agents.update"] + [
    f"agents.sessions.{name}" for name in ("create", "update", "events", "read")
]
CREDENTIALS = {"openai": "Bearer sk-of-the-provider", "azure": "key-of-the-resource"}
DEPLOYMENTS = ("support", "support-eu")
_REMOVED = "- x-request-id\n"
AZURE = (
    ("{provider: openai, route_class:", "{provider: azure, api: azure, route_class:"),
    ("header: authorization", "header: api-key"),
    ("cluster: provider\n", f"cluster: provider\n{' ' * 28}host_rewrite_literal: {AZURE_HOST}\n"),
    (_REMOVED, f"{_REMOVED}{' ' * 24}- x-ms-oai-image-generation-deployment\n"),
)
"""What `envoy/registration.yaml` says, and what it is to say for Azure."""
Families = dict[str, list[tuple[dict[str, str], float]]]
"""Samples of metrics by name: labels and value."""

OPERATIONS = ["chat.completions", "responses", "batches.create", *AGENTS]


@dataclass(frozen=True, slots=True)
class Before:
    """What a shared stage had counted and written before a test, which leaves it out."""

    lines: int = 0
    counted: dict[str, dict[str, float]] = field(default_factory=dict)
    records: frozenset[Path] = frozenset()


@dataclass
class Stage:
    """Everything that runs."""

    site: Site
    provider: Provider
    gate: Running
    envoy: EnvoyProcess
    clients: dict[str, openai.OpenAI] = field(default_factory=dict)
    before: Before = Before()

    def for_the_next_test(self) -> Stage:
        """The same stage with nothing received, counted, logged or registered, once it rests."""
        self.provider.forget()
        counted = self._rest()
        return replace(
            self,
            before=Before(
                self.site.log.read_text().count("\n"),
                {name: self._results(counted, name) for name in counted},
                frozenset(self._records()),
            ),
        )

    def _rest(self) -> Families:
        """Wait until no decision is in flight and every one is in the log."""
        end = time.monotonic() + 60
        while True:
            found = self._families()
            decided = sum(value for _, value in found.get("admissibility_decisions_total", ()))
            ((_, flying),) = found["admissibility_in_flight"]
            if flying == 0 and self.site.log.read_text().count("\n") == decided:
                return found
            assert time.monotonic() < end, "the shared stage does not come to rest"
            time.sleep(0.01)

    def client(self, environment: str = ENV) -> openai.OpenAI:
        """The real SDK, as an application in an environment uses it."""
        if environment not in self.clients:
            self.clients[environment] = self._client(environment)
        return self.clients[environment]

    def _client(self, environment: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.address}/v1", **self.options(environment))

    @property
    def address(self) -> str:
        """Where applications connect."""
        return f"http://127.0.0.1:{self.envoy.port}"

    def options(self, environment: str = ENV) -> dict[str, Any]:
        """What every client of an application in an environment is given."""
        token = self.site.issuer.jwt_svid(environment, datetime.now(UTC))
        return {
            "api_key": "none",
            "default_headers": {HEADER: token},
            "max_retries": 0,
            "timeout": 60,
        }

    def respond(self, model: str | None = BASE, environment: str = ENV, **more: Any) -> str:
        """Create a response, and return its id."""
        extra: dict[str, Any] = {**more} if model is None else {"model": model, **more}
        return str(self.client(environment).responses.create(input="hello", **extra).id)

    def restart(self, **changes: Any) -> None:
        """Stop the gate and start another one on the same port."""
        listen = self.gate.listen
        self.gate.stop()
        self.site.configure(listen=listen, **changes)
        self.gate = self.site.start()

    def counted(self, name: str) -> dict[str, float]:
        """A counter of registrations, by result."""
        before = self.before.counted.get(name, {})
        found = self._results(self._families(), name)
        more = {result: value - before.get(result, 0.0) for result, value in found.items()}
        return {result: value for result, value in more.items() if value}

    def _families(self) -> Families:
        text = requests.get(self.gate.metrics + "/metrics", timeout=30).text
        found: Families = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
        return found

    @staticmethod
    def _results(found: Families, name: str) -> dict[str, float]:
        return {labels.get("result", ""): value for labels, value in found.get(name, [])}

    def decisions(self, wanted: int) -> list[dict[str, Any]]:
        """The decision log, once so many decisions are in it; it is written after the answer."""
        end, found = time.monotonic() + 60, list[str]()
        while len(found) < wanted and time.monotonic() < end:
            time.sleep(0.01)
            whole = "".join(self.site.log.read_text().rpartition("\n")[:2])
            found = whole.splitlines()[self.before.lines :]
        return [json.loads(line) for line in found]

    def records(self) -> list[Path]:
        """Every registration."""
        return [path for path in self._records() if path not in self.before.records]

    def _records(self) -> list[Path]:
        return sorted((self.site.folder / "registrations").glob("??/*.json"))


def code_of(call: Any) -> tuple[int, str]:
    """Status and reason of a call that is refused."""
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    error = caught.value
    return error.status_code, str(error.code)


def _world(provider: str) -> World:
    """``MODEL`` and the listed base in two environments, for everything that objects need."""
    if provider != "openai":
        world = world_of(provider, DEPLOYMENTS, OPERATIONS)
        world.declare(OTHER_ENV, label="other")
        return world
    world = parties_world()
    world.declare()
    world.declare(OTHER_ENV, label="other")
    covered = {**manifest_predicate()["environments"][0], "operations": OPERATIONS}
    world.bind(environments=[covered])
    world.result()
    for role in APPROVERS:
        world.approve(role, operations=OPERATIONS)
    return world


def configuration(name: str) -> str:
    """The reference configuration, changed for Azure as ``envoy/README.md`` says."""
    text = reference("registration")
    if name != "azure":
        return text
    for written, meant in AZURE:
        assert written in text
        text = text.replace(written, meant)
    return text


@contextmanager
def staged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, provider_name: str = "openai", **changes: Any
) -> Iterator[Stage]:
    """Run everything until the context ends."""
    settings = {
        "open_operations": ["files.create", "conversations.create"],
        "registration": {"folder": "registrations", "key": "registration.pem"},
        **changes,
    }
    site = in_the_present(folder, monkeypatch, lambda: _world(provider_name), **settings)
    (folder / "credential.yaml").write_text(credential_document(CREDENTIALS[provider_name]))
    with provider() as upstream, site.start() as gate:
        host, _, port = gate.listen.rpartition(":")
        config = render(
            patient(configuration(provider_name)),
            listener_port=0,
            admin_port=0,
            gate=(host, int(port)),
            upstream=("127.0.0.1", upstream.port),
            credential_file=folder / "credential.yaml",
        )
        with EnvoyProcess(config, folder / "envoy") as envoy:
            stage = Stage(site, upstream, gate, envoy)
            try:
                yield stage
            finally:
                for client in stage.clients.values():
                    client.close()
                stage.gate.stop()


def lines(*models: str, **changes: Any) -> bytes:
    """A batch file with one chat completion for each model."""
    return b"".join(
        json.dumps(
            {
                "custom_id": f"line-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": model, "messages": [{"role": "user", "content": "hello"}]},
                **changes,
            }
        ).encode()
        + b"\n"
        for number, model in enumerate(models)
    )


BOTH = (MODEL, BASE, MODEL)
