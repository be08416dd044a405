"""What Envoy Gateway makes of deploy/gateway: nothing for the linter, and closed in every mistake.

`egctl` translates the objects with Envoy Gateway's own code; the listener runs in the real Envoy,
before a real gate.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from admissibility_devtools.tools.envoy_config import nodes
from envoy_extauthz_lint import LintOptions, Severity, lint
from tests.process.envoy.certificates import serve_as
from tests.process.envoy.doubles import Received
from tests.process.envoy.local_replies import SEALED
from tests.process.kubernetes.egctl import GATEWAY, LISTENER, SECRET, translate
from tests.process.kubernetes.mesh_objects import ROUTES, Object, named, objects
from tests.process.kubernetes.mistakes import MISTAKES, mistaken
from tests.process.kubernetes.runnable import Config
from tests.process.kubernetes.running import (
    CALL,
    CLOSED,
    HOST,
    JSON,
    KEY,
    NOBODY,
    UNNAMED,
    Running,
    by_envoy,
    mounted,
    running,
)
from tests.support.site.site import Site
from tests.support.site.talk import until

pytestmark = pytest.mark.kubernetes

PATCHES = named(objects("gateway"), "EnvoyPatchPolicy", "admissibility")["spec"]["jsonPatches"]


def certified(folder: Path) -> Object:
    """The certificate of the gateway's name, as the operator makes it."""
    serve_as("gateway.example", folder)
    text = (folder / "server.pem").read_bytes()
    key, certificate = text[: (cut := text.index(b"-----BEGIN CERTIFICATE"))], text[cut:]
    held = {"tls.crt": certificate, "tls.key": key}
    data = {name: base64.b64encode(value).decode() for name, value in held.items()}
    return {**SECRET, "data": data}


def translated(folder: Path, change: Callable[[list[Object]], None] = lambda _: None) -> Config:
    """What Envoy gets of the objects, changed."""
    found = objects("gateway")
    change(found)
    dumps = translate([*found, certified(folder / "tls")], folder)["xds"]
    assert list(dumps) == [GATEWAY]
    dump: Config = dumps[GATEWAY]
    return dump


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return translated(tmp_path_factory.mktemp("translated"))


@pytest.fixture(scope="module")
def gateway(
    dump: Config, site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One Envoy for the tests that change nothing."""
    with running(dump, LISTENER, site, tmp_path_factory.mktemp("gateway")) as made:
        yield made


def test_every_object_is_accepted_and_every_patch_can_be_applied(tmp_path: Path) -> None:
    found = translate([*objects("gateway"), certified(tmp_path / "tls")], tmp_path, "gateway-api")
    refused = [
        (held["metadata"]["name"], condition["type"], condition["message"])
        for kind in found.values()
        if isinstance(kind, list)
        for held in kind
        for condition in nodes(held.get("status", {}))
        if condition.get("status") == "False"
    ]
    assert refused == []
    stated = {condition["type"] for condition in nodes(found) if "lastTransitionTime" in condition}
    assert stated == {"Accepted", "ResolvedRefs", "Programmed"}


def test_the_linter_finds_nothing_that_lets_a_request_pass(dump: Config) -> None:
    report = lint(json.dumps({"xds": {GATEWAY: dump}}).encode(), LintOptions())
    found = sorted({(one.severity.value, one.rule) for one in report.findings})
    assert (report.gate, report.count(Severity.ERROR)) == ("gate", 0)
    # Envoy Gateway's own, in a pod whose loopback no application shares: its metrics lead to the
    # admin interface, by GET of one path, and its shutdown manager uses that interface.
    assert found == [
        ("warning", "admin-remote"),
        ("warning", "admin-writable"),
        ("warning", "bypass-without-gate"),
    ]
    assert {one.message for one in report.findings if one.rule == "bypass-without-gate"} == {
        "cluster prometheus_stats is reached without the gate"
    }


def test_an_admitted_call_reaches_the_provider_with_its_key_and_nothing_of_the_mesh(
    gateway: Running,
) -> None:
    forged = [
        ("authorization", "Bearer of-the-client"),
        ("x-api-key", "of-the-client"),
        ("openai-project", "another"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-admissibility-reason", "forged"),
    ]
    verdict, reached = gateway.outcome(gateway.send([*gateway.lines(), *forged]))
    body = gateway.body()
    headers = {
        "host": HOST,
        "authorization": KEY,
        "content-type": JSON[1],
        "content-length": str(len(body)),
    }
    assert (verdict, reached) == (
        (200, "admitted"),
        [Received("POST", CALL, headers, body)],
    )


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"lines": [JSON]}, (401, "credential_missing")),
        ({"body": b'{"model":"gpt-4o","model":"other"}'}, (400, "malformed_request")),
        ({"target": "/v1//chat/completions"}, (400, "malformed_request")),
        ({"target": "/v1/files/../chat/completions"}, (400, "malformed_request")),
    ],
)
def test_what_the_gate_denies_does_not_reach_the_provider(
    gateway: Running, change: dict[str, Any], verdict: tuple[int, str]
) -> None:
    assert gateway.outcome(gateway.send(**change)) == (verdict, [])


def test_the_gate_decides_about_an_upload_before_its_body_is_there(gateway: Running) -> None:
    # Of 30 MiB nothing was sent: were it held for the gate, there would be no answer yet, or a 413.
    begun = [*gateway.lines(), ("content-length", str(30 << 20))]
    answer = gateway.send(begun, target="/v1/files", body=b"")
    assert gateway.outcome(answer) == ((403, "unsupported_operation"), [])


def test_a_websocket_is_no_way_past_the_body(gateway: Running) -> None:
    upgrade = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    answer = gateway.send([*gateway.lines(), *upgrade], method="GET", body=b"")
    assert answer.status in (400, 403)
    assert gateway.outcome(answer)[1] == []


def test_a_key_that_the_kubelet_replaces_is_used_without_a_restart(
    dump: Config, site: Site, tmp_path: Path
) -> None:
    with running(dump, LISTENER, site, tmp_path) as gateway:
        mounted(gateway.credential, "Bearer sk-of-tomorrow", "..2")

        def used() -> set[str]:
            _, reached = gateway.outcome(gateway.send())
            return {each.headers["authorization"] for each in reached}

        assert until(used, {"Bearer sk-of-tomorrow"}) == {"Bearer sk-of-tomorrow"}


def test_without_a_gate_every_request_is_a_503(dump: Config, site: Site, tmp_path: Path) -> None:
    with running(dump, LISTENER, site, tmp_path, gate=NOBODY) as gateway:
        for answer in (gateway.send(), gateway.send([]), gateway.send(method="GET", target="/x")):
            assert by_envoy(answer) == (503, "ext_authz_error")
        assert gateway.provider.received == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_about_the_gate_ends_at_the_seal(
    mistake: str, dump: Config, site: Site, tmp_path: Path
) -> None:
    with running(mistaken(dump, mistake), LISTENER, site, tmp_path, gate=NOBODY) as gateway:
        assert by_envoy(gateway.send()) == (403, SEALED)
        assert gateway.provider.received == []


def test_as_long_as_the_patches_are_not_in_force_everything_is_denied(
    site: Site, tmp_path: Path
) -> None:
    def without(found: list[Object]) -> None:
        found.remove(named(found, "EnvoyPatchPolicy", "admissibility"))

    with running(translated(tmp_path / "objects", without), LISTENER, site, tmp_path) as gateway:
        for answer in (gateway.send(), gateway.send([JSON]), gateway.send(target="/v1/files")):
            assert (answer.status, answer.body.decode()) == CLOSED
        assert gateway.provider.received == []


@pytest.mark.parametrize("left_out", range(len(PATCHES)))
def test_a_patch_that_fails_opens_nothing(left_out: int, site: Site, tmp_path: Path) -> None:
    def without(found: list[Object]) -> None:
        del named(found, "EnvoyPatchPolicy", "admissibility")["spec"]["jsonPatches"][left_out]

    dump = translated(tmp_path / "objects", without)
    with running(dump, LISTENER, site, tmp_path) as gateway:
        unchecked = [gateway.send([JSON]), gateway.send([JSON], target="/v1/files")]
        assert {each.status for each in unchecked} <= {400, 401, 403, 503}
        assert gateway.provider.received == []


def test_a_route_that_is_not_named_in_a_patch_admits_nothing(site: Site, tmp_path: Path) -> None:
    def without(found: list[Object]) -> None:
        spec = named(found, "EnvoyPatchPolicy", "admissibility")["spec"]
        spec["jsonPatches"] = [each for each in spec["jsonPatches"] if each["type"] != ROUTES]

    dump = translated(tmp_path / "objects", without)
    with running(dump, LISTENER, site, tmp_path) as gateway:
        assert gateway.outcome(gateway.send()) == (UNNAMED, [])
