"""The seal: what the gate did not admit ends in Envoy, whatever else is configured.

Each test makes the mistake in `jwt.yaml` and runs it in real Envoy. Without the seal each of them
lets a request pass unchecked, which `tests/process/envoy_extauthz_lint` shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from admissibility_devtools.tools.envoy_config import Name, credential_document, render
from sidecar._pb import ext_authz_pb2 as pb
from tests.process.envoy.config import GATE, SEAL, TYPES, Config, host, loaded, manager
from tests.process.envoy.doubles import (
    FakeGate,
    FakeProvider,
    admitted,
    fake_gate,
    fake_provider,
)
from tests.process.envoy.local_replies import SEALED
from tests.support.site.envoy import EnvoyProcess, exchange, patient, request_bytes

CALL = request_bytes("POST", "/v1/chat/completions", None, b'{"model":"m"}')
DENIED = (403, SEALED)
PER_ROUTE = TYPES + "filters.http.ext_authz.v3.ExtAuthzPerRoute"
DISABLED = {"@type": PER_ROUTE, "disabled": True}
DENIAL = pb.CheckResponse(
    status=pb.Status(code=7),
    denied_response=pb.DeniedHttpResponse(status=pb.HttpStatus(code=401), body="by the gate"),
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """Envoy between a gate, another authorization service, and a provider."""

    envoy: EnvoyProcess
    gate: FakeGate
    other: FakeGate
    provider: FakeProvider

    def send(self, port: int | None = None) -> tuple[int, bytes | str]:
        """Status, and Envoy's name of the cause of its own answer or else the body."""
        answer = exchange(port or self.envoy.port, CALL)
        if answer.headers.get("content-type") == "application/json" and answer.status == 403:
            return answer.status, json.loads(answer.body)["error"]["code"]
        return answer.status, answer.body

    def port_of(self, listener: str) -> int:
        _, text = self.envoy.ask_admin("/listeners?format=json")
        (found,) = [one for one in json.loads(text)["listener_statuses"] if one["name"] == listener]
        return int(found["local_address"]["socket_address"]["port_value"])

    def denials(self) -> int:
        """What the seal counted."""
        _, text = self.envoy.ask_admin("/stats?format=json&filter=rbac.seal.denied")
        (found,) = json.loads(text)["stats"]
        return int(found["value"])


@pytest.fixture
def config() -> Config:
    return loaded("jwt")


@contextmanager
def running(
    config: Config,
    folder: Path,
    answer: pb.CheckResponse | None = None,
    *,
    forgotten: bool = False,
) -> Iterator[Sealed]:
    """Run a changed reference; `second-gate` is the cluster of the other service.

    With `forgotten`, there is a second listener of that name, which has the seal and no gate.
    """
    credential = folder / "credential.yaml"
    credential.write_text(credential_document("Bearer sk-of-the-provider"), encoding="utf-8")
    with ExitStack() as stack:
        gate = stack.enter_context(fake_gate(admitted() if answer is None else answer))
        second = stack.enter_context(fake_gate(admitted(gate="second")))
        provider = stack.enter_context(fake_provider())
        clusters = config["static_resources"]["clusters"]
        copy = json.loads(json.dumps(clusters[0]).replace("9191", str(second.port)))
        copy["name"] = copy["load_assignment"]["cluster_name"] = "second-gate"
        clusters.insert(1, copy)
        text = render(
            patient(yaml.safe_dump(config, sort_keys=False)),
            listener_port=0,
            admin_port=0,
            gate=("127.0.0.1", gate.port),
            upstream=("127.0.0.1", provider.port),
            credential_file=credential,
        )
        if forgotten:
            text = with_forgotten(text)
        envoy = stack.enter_context(EnvoyProcess(text, folder / "envoy"))
        yield Sealed(envoy, gate, second, provider)


def with_forgotten(text: str) -> str:
    """A configuration with a second listener, from whose chain the gate is missing."""
    config = yaml.load(text, Loader=yaml.CSafeLoader)
    listeners = config["static_resources"]["listeners"]
    listener = json.loads(json.dumps(listeners[0]))
    listener["name"] = "forgotten"
    only = manager({"static_resources": {"listeners": [listener]}})
    only["http_filters"] = [one for one in only["http_filters"] if one["name"] != GATE]
    for route in only["route_config"]["virtual_hosts"][0]["routes"]:
        del route["typed_per_filter_config"][GATE]
    listeners.append(listener)
    return yaml.safe_dump(config, sort_keys=False)


def ext_authz(config: Config) -> dict[str, Any]:
    """The settings of the gate's filter."""
    (found,) = [one for one in manager(config)["http_filters"] if one["name"] == GATE]
    typed: dict[str, Any] = found["typed_config"]
    return typed


def add_second(config: Config, *, before: str) -> None:
    """One more ext_authz filter, which asks the other service."""
    entries = manager(config)["http_filters"]
    place = [one["name"] for one in entries].index(before)
    entry = json.loads(json.dumps(next(one for one in entries if one["name"] == GATE)))
    entry["name"] = "second"
    entry["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"] = "second-gate"
    entry["typed_config"]["stat_prefix"] = "second"
    entries.insert(place, entry)


def disable(config: Config) -> None:
    """Disable the gate on every route."""
    for route in host(config)["routes"]:
        route["typed_per_filter_config"][GATE] = DISABLED


def test_what_this_gate_admits_passes(config: Config, tmp_path: Path) -> None:
    with running(config, tmp_path) as sealed:
        assert sealed.send()[0] == 200
        sealed.gate.answer = DENIAL
        assert sealed.send() == (401, b"by the gate")
        assert (len(sealed.provider.received), sealed.denials()) == (1, 0)


@pytest.mark.parametrize(("name", "passes"), [("jwt", "admitted"), ("sandbox", "sandbox")])
def test_a_seal_passes_what_was_admitted_for_its_own_route_and_never_for_the_other(
    tmp_path: Path, name: Name, passes: str
) -> None:
    with running(loaded(name), tmp_path) as sealed:
        for key in ("admitted", "sandbox"):
            sealed.gate.answer = admitted(key=key)
            sealed.provider.received.clear()
            if key == passes:
                assert (sealed.send()[0], len(sealed.provider.received)) == (200, 1)
            else:
                assert (sealed.send(), sealed.provider.received) == (DENIED, [])
        told = [each.attributes.context_extensions.get("sandbox") for each in sealed.gate.asked]
        assert told == 2 * ["true" if name == "sandbox" else None]


def test_a_dead_gate_that_fails_open_admits_nothing(config: Config, tmp_path: Path) -> None:
    ext_authz(config)["failure_mode_allow"] = True
    with running(config, tmp_path) as sealed:
        sealed.gate.stop()
        assert (sealed.send(), sealed.provider.received, sealed.denials()) == (DENIED, [], 1)


def test_a_route_on_which_the_gate_is_disabled_admits_nothing(
    config: Config, tmp_path: Path
) -> None:
    disable(config)
    with running(config, tmp_path) as sealed:
        assert (sealed.send(), sealed.provider.received) == (DENIED, [])
        assert sealed.gate.asked == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"admitted": False, "gate": "admissibility"},
        {"admitted": "true", "gate": "admissibility"},
        {"admitted": True},
        {"admitted": True, "gate": "second"},
        {"gate": "admissibility"},
    ],
)
def test_an_allow_without_the_whole_metadata_admits_nothing(
    config: Config, tmp_path: Path, fields: dict[str, Any]
) -> None:
    answer = pb.CheckResponse(status=pb.Status(code=0), ok_response=pb.OkHttpResponse())
    answer.dynamic_metadata.update(fields)
    with running(config, tmp_path, answer) as sealed:
        assert (sealed.send(), sealed.provider.received) == (DENIED, [])
        assert len(sealed.gate.asked) == 1


def test_a_denial_in_shadow_mode_is_still_a_denial(config: Config, tmp_path: Path) -> None:
    ext_authz(config)["shadow_mode"] = True
    with running(config, tmp_path, DENIAL) as sealed:
        assert (sealed.send(), sealed.provider.received) == (DENIED, [])
        sealed.gate.answer = admitted()
        assert sealed.send()[0] == 200


def test_a_request_that_is_exempt_from_the_check_is_denied(config: Config, tmp_path: Path) -> None:
    gate = ext_authz(config)
    gate["filter_enabled"] = {"default_value": {"numerator": 0, "denominator": "HUNDRED"}}
    gate["deny_at_disable"]["default_value"] = False
    with running(config, tmp_path) as sealed:
        assert (sealed.send(), sealed.provider.received) == (DENIED, [])
        assert sealed.gate.asked == []


def test_a_listener_without_the_gate_admits_nothing(config: Config, tmp_path: Path) -> None:
    with running(config, tmp_path, forgotten=True) as sealed:
        assert (sealed.send(sealed.port_of("forgotten")), sealed.gate.asked) == (DENIED, [])
        assert (sealed.send()[0], len(sealed.provider.received)) == (200, 1)


def test_what_another_gate_admits_in_the_same_namespace_is_not_admitted(
    config: Config, tmp_path: Path
) -> None:
    # A fact about Envoy 1.40: the namespace is the extension's, whatever the filter's name.
    disable(config)
    add_second(config, before=SEAL)
    with running(config, tmp_path) as sealed:
        assert (sealed.send(), sealed.provider.received) == (DENIED, [])
        assert (len(sealed.gate.asked), len(sealed.other.asked)) == (0, 1)
        sealed.other.answer = admitted()
        assert sealed.send()[0] == 200


def test_what_another_gate_says_before_or_after_changes_nothing(
    config: Config, tmp_path: Path
) -> None:
    add_second(config, before=GATE)
    add_second(config, before="envoy.filters.http.credential_injector")
    with running(config, tmp_path) as sealed:
        assert sealed.send()[0] == 200
        sealed.gate.answer = DENIAL
        assert sealed.send() == (401, b"by the gate")
        ok = pb.CheckResponse(status=pb.Status(code=0), ok_response=pb.OkHttpResponse())
        sealed.gate.answer = ok
        assert sealed.send() == DENIED


def test_a_route_that_answers_directly_is_behind_the_seal_too(
    config: Config, tmp_path: Path
) -> None:
    disable(config)
    route = host(config)["routes"][-1]
    del route["route"]
    route["direct_response"] = {"status": 200, "body": {"inline_string": "healthy"}}
    with running(config, tmp_path) as sealed:
        assert sealed.send() == DENIED


def test_a_health_check_is_answered_before_gate_and_seal(config: Config, tmp_path: Path) -> None:
    match = {"name": ":path", "string_match": {"exact": "/healthz"}}
    health = {
        "name": "envoy.filters.http.health_check",
        "typed_config": {
            "@type": TYPES + "filters.http.health_check.v3.HealthCheck",
            "pass_through_mode": False,
            "headers": [match],
        },
    }
    manager(config)["http_filters"].insert(0, health)
    with running(config, tmp_path, DENIAL) as sealed:
        answer = exchange(sealed.envoy.port, request_bytes("GET", "/healthz", None, b""))
        assert (answer.status, sealed.gate.asked, sealed.provider.received) == (200, [], [])
        assert sealed.send() == (401, b"by the gate")


def test_a_denial_with_metadata_would_pass_in_shadow_mode(config: Config, tmp_path: Path) -> None:
    # A fact about Envoy 1.40: this is why the gate's denials carry no metadata.
    ext_authz(config)["shadow_mode"] = True
    denial = pb.CheckResponse.FromString(DENIAL.SerializeToString())
    denial.dynamic_metadata.update({"admitted": True, "gate": "admissibility"})
    with running(config, tmp_path, denial) as sealed:
        assert sealed.send()[0] == 200


def test_metadata_of_a_later_filter_is_merged_over_the_gates(
    config: Config, tmp_path: Path
) -> None:
    # A fact about Envoy 1.40: this is why the seal is directly behind the gate.
    add_second(config, before=SEAL)
    with running(config, tmp_path) as sealed:
        assert (sealed.send(), sealed.provider.received) == (DENIED, [])
        assert (len(sealed.gate.asked), len(sealed.other.asked)) == (1, 1)
