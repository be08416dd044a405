"""The sandbox routes of every provider, all in one Envoy: what each passes, and what none does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import pytest
import yaml

from admissibility_devtools.tools.envoy_config import LISTENER, Gated, Sandbox, reference, render
from tests.process.envoy.certificates import serve_as
from tests.process.envoy.config import SANDBOXES, SEAL
from tests.process.envoy.doubles import FakeGate, FakeProvider, admitted, fake_gate, fake_provider
from tests.process.envoy.local_replies import BY_ITSELF, SEALED, replied, shown
from tests.process.envoy.sites import BODY, CREDENTIAL, SITES, Site
from tests.support.site.envoy import Answer, EnvoyProcess, exchange, patient, request_bytes


@dataclass(frozen=True, slots=True)
class Beside:
    """Every sandbox as a listener of one Envoy, before one gate, each with a provider."""

    envoy: EnvoyProcess
    gate: FakeGate
    providers: dict[Sandbox, FakeProvider]

    def send(self, name: Sandbox) -> Answer:
        _, text = self.envoy.ask_admin("/listeners?format=json")
        (port,) = (
            each["local_address"]["socket_address"]["port_value"]
            for each in json.loads(text)["listener_statuses"]
            if each["name"] == listener(name)
        )
        return exchange(port, request_bytes("POST", site(name).target, [(CREDENTIAL, "jwt")], BODY))


def site(name: Sandbox) -> Site:
    """What is particular about the provider of a sandbox."""
    return SITES[cast("Gated", name.removeprefix("sandbox-") if name != "sandbox" else "jwt")]


def listener(name: Sandbox) -> str:
    """The name of a sandbox's listener; one keeps its own, by which Envoy is found to be ready."""
    return LISTENER if name == "sandbox" else name


def renamed(text: str, name: Sandbox) -> dict[str, Any]:
    """A configuration whose listener and clusters have names that no other one has."""
    config = yaml.load(text, Loader=yaml.CSafeLoader)
    static = config["static_resources"]
    static["listeners"][0]["name"] = listener(name)
    whole = json.dumps(static)
    for cluster in static["clusters"]:
        own = cluster["name"]
        for key in ("cluster", "cluster_name", "name"):
            whole = whole.replace(f'"{key}": "{own}"', f'"{key}": "{own}-{name}"')
    return {**config, "static_resources": json.loads(whole)}


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    folder = tmp_path_factory.mktemp("sandboxes")
    providers: dict[Sandbox, FakeProvider] = {}
    merged: dict[str, Any] = {}
    with ExitStack() as stack:
        gate = stack.enter_context(fake_gate(admitted(key="sandbox")))
        for name in SANDBOXES:
            own = site(name)
            credential = folder / name / "credential"
            credential.parent.mkdir(parents=True)
            credential.write_text(own.document(), encoding="utf-8")
            server, roots = serve_as(own.host, folder / name / "provider")
            providers[name] = stack.enter_context(fake_provider(server if own.tls else None))
            text = render(
                patient(reference(name)),
                listener_port=0,
                admin_port=0,
                gate=("127.0.0.1", gate.port),
                upstream=("127.0.0.1", providers[name].port),
                credential_file=credential,
                provider_roots=roots if own.tls else None,
            )
            config = renamed(text, name)
            if not merged:
                merged = config
            else:
                for kind in ("listeners", "clusters"):
                    merged["static_resources"][kind] += config["static_resources"][kind]
        envoy = stack.enter_context(
            EnvoyProcess(yaml.safe_dump(merged, sort_keys=False), folder / "envoy")
        )
        yield Beside(envoy, gate, providers)


@pytest.mark.parametrize("name", SANDBOXES)
def test_a_sandbox_passes_what_was_admitted_for_it_and_nothing_of_production(
    beside: Beside, name: Sandbox
) -> None:
    beside.gate.asked.clear()
    beside.gate.answer = admitted(key="admitted")
    assert shown(beside.send(name)) == replied(site(name).name, BY_ITSELF, 403, SEALED)
    assert beside.providers[name].received == []
    beside.gate.answer = admitted(key="sandbox")
    assert beside.send(name).status == 200
    (received,) = beside.providers[name].received
    header, key = site(name).key
    assert site(name).seen(received).headers[header] == key
    asked = [dict(each.attributes.context_extensions) for each in beside.gate.asked]
    assert asked == 2 * [{**site(name).routed(), "sandbox": "true"}]


def test_each_seal_requires_the_key_of_sandboxes_and_no_reference_accepts_both() -> None:
    for name in SANDBOXES:
        text = reference(name)
        assert (text.count("[{key: sandbox}]"), text.count("[{key: admitted}]")) == (1, 0)
        assert text.index(SEAL) < text.index("[{key: sandbox}]")
