"""The objects for Istio and Envoy Gateway have the settings of the references, and fit the gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from admissibility_devtools.tools.envoy_config import Gated
from admissibility_devtools.tools.places import repository_root
from sidecar.resources import versions
from sidecar.service.config import load
from tests.process.envoy.config import filters, host, loaded, manager, mutations
from tests.process.kubernetes.mesh_objects import MESHES, Mesh, Object, named, objects, patched, pod

ROOT = repository_root()
LIKE: dict[Mesh, Gated] = {"gateway": "egress", "istio": "mtls"}
ROUTES: dict[Mesh, tuple[str, str]] = {
    "gateway": (
        "httproute/admissibility/openai/rule/0/match/0/*",
        "httproute/admissibility/openai/rule/1/match/0/*",
    ),
    "istio": ("uploads", "calls"),
}
CREDENTIAL_FOLDER = "/etc/envoy/credential"


def of_reference(mesh: Mesh) -> Object:
    """The filters of the reference, with what a mounted Secret needs besides."""
    found = filters(loaded(LIKE[mesh]))
    credential = found["envoy.filters.http.credential_injector"]["credential"]["typed_config"]
    source = credential["credential"]["sds_config"]["path_config_source"]
    source["watched_directory"] = {"path": CREDENTIAL_FOLDER}
    return found


@pytest.mark.parametrize("mesh", MESHES)
def test_every_filter_is_the_one_of_the_reference(mesh: Mesh) -> None:
    found = [(each["name"], each["typed_config"]) for each in patched(mesh)["filters"]]
    assert found == list(of_reference(mesh).items())


@pytest.mark.parametrize("mesh", MESHES)
def test_the_gate_is_reached_as_in_the_reference(mesh: Mesh) -> None:
    (gate,) = (
        each
        for each in loaded(LIKE[mesh])["static_resources"]["clusters"]
        if each["name"] == "gate"
    )
    assert patched(mesh)["gate"] == gate


@pytest.mark.parametrize("mesh", MESHES)
def test_the_gate_is_told_provider_and_route_class_on_both_routes(mesh: Mesh) -> None:
    told = {}
    for name, settings in patched(mesh)["routes"].items():
        flat = "typed_per_filter_config/envoy.filters.http.ext_authz"
        if flat in settings:
            told[name] = settings[flat]
        else:
            told[name] = settings["typed_per_filter_config"]["envoy.filters.http.ext_authz"]
    reference = [
        route["typed_per_filter_config"]["envoy.filters.http.ext_authz"]
        for route in host(loaded(LIKE[mesh]))["routes"]
    ]
    assert told == dict(zip(ROUTES[mesh], reference, strict=True))


def test_the_listener_of_envoy_gateway_is_the_one_of_the_reference() -> None:
    policy = named(objects("gateway"), "ClientTrafficPolicy", "applications")["spec"]
    early = policy["headers"]["earlyRequestHeaders"]
    removed = [{"remove": name} for name in early["remove"]] + [
        {"remove_on_match": {"key_matcher": {"prefix": each["value"], "ignore_case": True}}}
        for each in early["removeOnMatch"]
        if each["type"] == "Prefix"
    ]
    assert removed == mutations(loaded("egress"))
    reference = manager(loaded("egress"))
    assert patched("gateway")["manager"] == {
        "normalize_path": reference["normalize_path"],
        "max_request_headers_kb": reference["max_request_headers_kb"],
        "common_http_protocol_options/max_headers_count": reference["common_http_protocol_options"][
            "max_headers_count"
        ],
        "local_reply_config": reference["local_reply_config"],
    }


def removed_headers(mesh: Mesh) -> list[tuple[list[str], list[str]]]:
    """What each route takes out of requests and answers."""
    if mesh == "istio":
        routes = named(objects("istio"), "VirtualService", "openai")["spec"]["http"]
        return [
            (each["headers"]["request"]["remove"], each["headers"]["response"]["remove"])
            for each in routes
            if each["name"] in ("uploads", "calls")
        ]
    rules = named(objects("gateway"), "HTTPRoute", "openai")["spec"]["rules"]
    found = []
    for rule in rules:
        by = {each["type"]: each for each in rule["filters"]}
        found.append(
            (
                by["RequestHeaderModifier"]["requestHeaderModifier"]["remove"],
                by["ResponseHeaderModifier"]["responseHeaderModifier"]["remove"],
            )
        )
    return found


@pytest.mark.parametrize("mesh", MESHES)
def test_what_is_for_the_gate_never_reaches_the_provider_nor_passes_for_the_gates(
    mesh: Mesh,
) -> None:
    reference = host(loaded(LIKE[mesh]))
    for requests, answers in removed_headers(mesh):
        assert set(requests) >= set(reference["request_headers_to_remove"])
        assert answers == reference["response_headers_to_remove"]


def test_envoy_gateway_denies_by_itself_and_is_told_so_before_there_is_a_gateway() -> None:
    order = [each["kind"] for each in objects("gateway") if each["kind"] != "EnvoyPatchPolicy"]
    assert order.index("SecurityPolicy") < order.index("Gateway")
    closed = named(objects("gateway"), "SecurityPolicy", "closed-without-the-gate")["spec"]
    assert closed == {
        "targetRefs": [
            {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "applications"}
        ],
        "authorization": {"defaultAction": "Deny"},
    }


@pytest.mark.parametrize("mesh", MESHES)
def test_ports_probes_and_folders_are_those_of_the_gates_configuration(
    mesh: Mesh, tmp_path: Path
) -> None:
    text = named(objects(mesh), "ConfigMap", "admissibility-gate")["data"]["sidecar.yaml"]
    (tmp_path / "sidecar.yaml").write_text(text, encoding="utf-8")
    config = load(tmp_path / "sidecar.yaml")
    (gate,) = pod(mesh)["initContainers"]
    (port,) = gate["ports"]
    mounts = {each["name"]: each["mountPath"] for each in gate["volumeMounts"]}
    assert (config.listen, config.metrics, config.decision_log, str(config.trust)) == (
        "127.0.0.1:9191",
        f"0.0.0.0:{port['containerPort']}",
        "-",
        f"{mounts['trust']}/trust.yaml",
    )
    assert gate["args"] == ["serve", "--config", mounts["gate"]]
    probes = {
        name: gate[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")
    }
    assert probes == {
        "startup": {"path": "/healthz", "port": port["name"]},
        "readiness": {"path": "/healthz", "port": port["name"]},
        "liveness": {"path": "/status", "port": port["name"]},
    }


@pytest.mark.parametrize("mesh", MESHES)
def test_the_gate_is_started_before_envoy_stopped_after_it_and_may_do_little(mesh: Mesh) -> None:
    (gate,) = pod(mesh)["initContainers"]
    assert (gate["name"], gate["restartPolicy"], gate["image"]) == (
        "gate",
        "Always",
        "admissibility-standalone:0.1.0",
    )
    assert gate["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize("mesh", MESHES)
def test_the_providers_key_is_mounted_into_envoy_alone(mesh: Mesh) -> None:
    found = pod(mesh)
    mounted = {"name": "provider-credential", "mountPath": CREDENTIAL_FOLDER, "readOnly": True}
    assert mounted in found["envoy"]["volumeMounts"]
    for each in found["initContainers"]:
        assert "provider-credential" not in [one["name"] for one in each["volumeMounts"]]
    (secret,) = (each for each in found["volumes"] if each["name"] == "provider-credential")
    assert secret["secret"] == {"secretName": "provider-credential", "defaultMode": 0o440}


def test_envoy_gateway_runs_the_envoy_that_the_tests_ran_with() -> None:
    assert pod("gateway")["envoy"]["image"] == f"envoyproxy/envoy:distroless-v{versions.ENVOY}"
