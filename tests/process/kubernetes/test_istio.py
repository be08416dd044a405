"""What Istio makes of deploy/istio: nothing for the linter, and closed in every mistake.

Istio's own code makes the gateway's configuration of the objects; it runs in the real Envoy, before
a real gate.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from admissibility_devtools.demo.caller import CREDENTIAL_HEADER
from admissibility_devtools.tools.envoy_config import nodes
from envoy_extauthz_lint import LintOptions, Severity, lint
from tests.process.envoy.doubles import Received
from tests.process.envoy.local_replies import SEALED
from tests.process.kubernetes.istio_proxy import Proxy, ask, made_for
from tests.process.kubernetes.mesh_objects import Object, named, objects
from tests.process.kubernetes.mistakes import MISTAKES, mistaken
from tests.process.kubernetes.runnable import Config, delivered, snake
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
from tests.support.site.spiffe import TrustDomain
from tests.support.site.talk import until

pytestmark = pytest.mark.kubernetes

ADDRESS, LISTENER = "10.0.0.7", "0.0.0.0_8443"
EGRESS = "provider-egress.admissibility.svc.cluster.local"
LABELS = {"istio": "provider-egress"}
EGRESS_PROXY = Proxy("router", "admissibility", LABELS, ADDRESS)
WORKLOADS_PROXY = Proxy("sidecar", "applications", {"app": "support"}, "10.0.0.9")
PATCHES = named(objects("istio"), "EnvoyFilter", "admissibility")["spec"]["configPatches"]
MANAGER = "envoy.filters.network.http_connection_manager"
METADATA_EXCHANGE = "envoy.tcp.metadataexchange.config.MetadataExchange"
"""Speaks only with proxies of the mesh; an EnvoyFilter cannot remove it from a cluster."""


def of_istio() -> list[Object]:
    """The objects that Istio reads, and the Service as it sees one."""
    found = [each for each in objects("istio") if "istio.io" in each["apiVersion"]]
    (port,) = named(objects("istio"), "Service", "provider-egress")["spec"]["ports"]
    ports = {"name": port["name"], "number": port["port"], "protocol": "TLS"}
    endpoint = {
        "address": ADDRESS,
        "ports": {port["name"]: port["targetPort"]},
        "labels": LABELS,
    }
    entry: Object = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "service", "namespace": "admissibility"},
        "spec": {
            "hosts": [EGRESS],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "ports": [ports],
            "endpoints": [endpoint],
        },
    }
    return [*found, entry]


def made(change: Callable[[list[Object]], None] = lambda _: None) -> Config:
    """What the gateway's Envoy gets of changed objects."""
    found = of_istio()
    change(found)
    return made_for(EGRESS_PROXY, found)


@pytest.fixture(scope="module")
def dump() -> Config:
    return made()


@pytest.fixture(scope="module")
def gateway(
    dump: Config,
    site: Site,
    domain: TrustDomain,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """One Envoy for the tests that change nothing."""
    with running(dump, LISTENER, site, tmp_path_factory.mktemp("gw"), domain=domain) as found:
        yield found


def test_istio_accepts_every_object_and_warns_only_that_an_envoyfilter_is_one() -> None:
    ran = ask(EGRESS_PROXY, of_istio())
    (warning,) = [line for line in ran.stderr.splitlines() if line.startswith("warning: ")]
    assert ran.returncode == 0
    assert "EnvoyFilter exposes internal implementation details" in warning


def test_a_field_that_istio_or_envoy_does_not_know_is_refused() -> None:
    misspelt = of_istio()
    named(misspelt, "VirtualService", "openai")["spec"]["http"][0]["retry"] = {}
    (replaced,) = (each for each in PATCHES if each["applyTo"] == "NETWORK_FILTER")
    inside = json.loads(json.dumps(of_istio()))
    (patch,) = (
        each
        for each in named(inside, "EnvoyFilter", "admissibility")["spec"]["configPatches"]
        if each == replaced
    )
    patch["patch"]["value"]["typed_config"]["normalise_path"] = False
    for found, field in ((misspelt, "retry"), (inside, "normalise_path")):
        ran = ask(EGRESS_PROXY, found)
        assert ran.returncode == 1
        assert f'unknown field "{field}"' in ran.stderr


def test_the_linter_finds_nothing_that_lets_a_request_pass(dump: Config) -> None:
    report = lint(
        json.dumps(dump).encode(), LintOptions(known_filters=frozenset({METADATA_EXCHANGE}))
    )
    found = sorted({(one.severity.value, one.rule) for one in report.findings})
    assert (report.gate, report.count(Severity.ERROR)) == ("gate", 0)
    # Istio's program makes no bootstrap; that of its proxies is not made from objects.
    assert found == [("warning", "unchecked-bootstrap")]


def test_what_another_envoyfilter_adds_to_every_gateway_is_found_by_the_linter() -> None:
    lua = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": "-- nothing"},
    }

    def patch(operation: str, **near: object) -> Object:
        chain = {"filter": {"name": MANAGER, **near}}
        return {
            "applyTo": "HTTP_FILTER",
            "match": {"context": "GATEWAY", "listener": {"filterChain": chain}},
            "patch": {
                "operation": operation,
                "value": {"name": "envoy.filters.http.lua", "typed_config": lua},
            },
        }

    before = patch("INSERT_FIRST")
    behind = patch("INSERT_BEFORE", subFilter={"name": "envoy.filters.http.router"})

    def with_another(found: list[Object]) -> None:
        found.append(
            {
                "apiVersion": "networking.istio.io/v1alpha3",
                "kind": "EnvoyFilter",
                "metadata": {"name": "of-everybody", "namespace": "istio-system"},
                "spec": {"configPatches": [before, behind]},
            }
        )

    options = LintOptions(known_filters=frozenset({METADATA_EXCHANGE}))
    rules = {one.rule for one in lint(json.dumps(made(with_another)).encode(), options).findings}
    assert rules == {
        "order-code-before-gate",
        "order-changed-behind-gate",
        "unchecked-bootstrap",
    }


def test_an_admitted_call_reaches_the_provider_with_its_key_and_nothing_of_the_mesh(
    gateway: Running,
) -> None:
    forged = [
        ("authorization", "Bearer of-the-client"),
        ("x-api-key", "of-the-client"),
        ("openai-project", "another"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-client-cert", "URI=spiffe://acme.example/env/other"),
        ("x-admissibility-reason", "forged"),
        (CREDENTIAL_HEADER, "a.b.c"),
    ]
    verdict, reached = gateway.outcome(gateway.send([*gateway.lines(), *forged]))
    body = gateway.body()
    headers = {
        "host": HOST,
        "authorization": KEY,
        "content-type": JSON[1],
        "content-length": str(len(body)),
    }
    assert (verdict, reached) == ((200, "admitted"), [Received("POST", CALL, headers, body)])


def test_another_workload_of_the_mesh_is_denied_and_one_without_a_certificate_not_heard(
    gateway: Running, domain: TrustDomain
) -> None:
    other = domain.issue("/env/other").client_context(domain.bundle)
    assert gateway.outcome(gateway.send(client=other)) == ((403, "environment_unknown"), [])
    nobody = ssl.create_default_context(cafile=str(domain.bundle))
    nobody.check_hostname = False
    with pytest.raises((ssl.SSLError, ConnectionError)):
        gateway.send(client=nobody)
    assert gateway.provider.received == []


def test_the_gate_decides_about_an_upload_before_its_body_is_there(gateway: Running) -> None:
    begun = [*gateway.lines(), ("content-length", str(30 << 20))]
    answer = gateway.send(begun, target="/v1/files", body=b"")
    assert gateway.outcome(answer) == ((403, "unsupported_operation"), [])


@pytest.mark.parametrize("target", ["/v1//chat/completions", "/v1/files/../chat/completions"])
def test_a_path_reaches_the_gate_as_it_came(gateway: Running, target: str) -> None:
    assert gateway.outcome(gateway.send(target=target)) == ((400, "malformed_request"), [])


def test_a_websocket_is_no_way_past_the_body(gateway: Running) -> None:
    upgrade = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    answer = gateway.send([*gateway.lines(), *upgrade], method="GET", body=b"")
    assert answer.status in (400, 403)
    assert gateway.outcome(answer)[1] == []


def test_a_key_that_the_kubelet_replaces_is_used_without_a_restart(
    dump: Config, site: Site, domain: TrustDomain, tmp_path: Path
) -> None:
    with running(dump, LISTENER, site, tmp_path, domain=domain) as gateway:
        mounted(gateway.credential, "Bearer sk-of-tomorrow", "..2")

        def used() -> set[str]:
            _, reached = gateway.outcome(gateway.send())
            return {each.headers["authorization"] for each in reached}

        assert until(used, {"Bearer sk-of-tomorrow"}) == {"Bearer sk-of-tomorrow"}


def test_without_a_gate_every_request_is_a_503(
    dump: Config, site: Site, domain: TrustDomain, tmp_path: Path
) -> None:
    with running(dump, LISTENER, site, tmp_path, gate=NOBODY, domain=domain) as gateway:
        for answer in (gateway.send(), gateway.send([]), gateway.send(method="GET", target="/x")):
            assert by_envoy(answer) == (503, "ext_authz_error")
        assert gateway.provider.received == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_about_the_gate_ends_at_the_seal(
    mistake: str,
    dump: Config,
    site: Site,
    domain: TrustDomain,
    tmp_path: Path,
) -> None:
    wrong = mistaken(dump, mistake)
    with running(wrong, LISTENER, site, tmp_path, gate=NOBODY, domain=domain) as gateway:
        assert by_envoy(gateway.send()) == (403, SEALED)
        assert gateway.provider.received == []


def test_as_long_as_the_filters_are_not_in_force_everything_is_denied(
    site: Site, domain: TrustDomain, tmp_path: Path
) -> None:
    def without(found: list[Object]) -> None:
        found.remove(named(found, "EnvoyFilter", "admissibility"))

    with running(made(without), LISTENER, site, tmp_path, domain=domain) as gateway:
        for answer in (gateway.send(), gateway.send([JSON]), gateway.send(target="/v1/files")):
            assert (answer.status, answer.body.decode()) == CLOSED
        assert gateway.provider.received == []


@pytest.mark.parametrize("left_out", range(len(PATCHES)))
def test_a_patch_that_fails_opens_nothing(
    left_out: int, site: Site, domain: TrustDomain, tmp_path: Path
) -> None:
    def without(found: list[Object]) -> None:
        del named(found, "EnvoyFilter", "admissibility")["spec"]["configPatches"][left_out]

    other = domain.issue("/env/other").client_context(domain.bundle)
    dump = made(without)
    with running(dump, LISTENER, site, tmp_path, domain=domain) as gateway:
        for target in (CALL, "/v1/files"):
            assert gateway.send(client=other, target=target).status in (400, 401, 403, 503)
        assert gateway.provider.received == []


def test_a_route_that_is_not_named_in_a_patch_admits_nothing(
    site: Site, domain: TrustDomain, tmp_path: Path
) -> None:
    def without(found: list[Object]) -> None:
        spec = named(found, "EnvoyFilter", "admissibility")["spec"]
        spec["configPatches"] = [
            each for each in spec["configPatches"] if each["applyTo"] != "HTTP_ROUTE"
        ]

    with running(made(without), LISTENER, site, tmp_path, domain=domain) as gateway:
        assert gateway.outcome(gateway.send()) == (UNNAMED, [])


def test_a_workloads_sidecar_takes_its_call_to_the_gateway_in_mutual_tls() -> None:
    found = delivered(snake(made_for(WORKLOADS_PROXY, of_istio())))
    (host,) = (
        each for each in found.routes["80"]["virtual_hosts"] if "api.openai.com" in each["domains"]
    )
    (route,) = host["routes"]
    cluster = f"outbound|443||{EGRESS}"
    assert (route["route"]["cluster"], "retry_policy" in route["route"]) == (cluster, False)
    (used,) = (each for each in found.clusters if each["name"] == cluster)
    (tls,) = (
        each["transport_socket"]["typed_config"]
        for each in nodes(used)
        if each.get("transport_socket", {}).get("name") == "envoy.transport_sockets.tls"
    )
    (certificate,) = tls["common_tls_context"]["tls_certificate_sds_secret_configs"]
    assert (tls["sni"], certificate["name"]) == (HOST, "default")
