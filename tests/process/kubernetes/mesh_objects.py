"""The objects of deploy/gateway and deploy/istio as plain values, and what is in them by name."""

from __future__ import annotations

from typing import Any, Literal

import yaml

from admissibility_devtools.tools.places import repository_root

Object = dict[str, Any]
Mesh = Literal["gateway", "istio"]
MESHES: tuple[Mesh, ...] = ("gateway", "istio")
DEPLOY = repository_root() / "deploy"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


def objects(mesh: Mesh) -> list[Object]:
    """Every object of a folder, file by file in the order of `kubectl apply -f`."""
    return [
        found
        for path in sorted((DEPLOY / mesh).glob("*.yaml"))
        for found in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def named(found: list[Object], kind: str, name: str) -> Object:
    """The only object of this kind and name."""
    (only,) = [each for each in found if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return only


def pod(mesh: Mesh) -> Object:
    """The pod of the gateway: init containers, the container of Envoy, volumes."""
    found = objects(mesh)
    if mesh == "istio":
        spec = named(found, "Deployment", "provider-egress")["spec"]["template"]["spec"]
        (envoy,) = spec["containers"]
        return {**spec, "envoy": envoy}
    proxy = named(found, "EnvoyProxy", "admissibility")["spec"]["provider"]["kubernetes"]
    spec = proxy["envoyDeployment"]
    return {**spec["pod"], "initContainers": spec["initContainers"], "envoy": spec["container"]}


def patched(mesh: Mesh) -> Object:
    """What is put into Envoy's configuration: `gate`, `filters`, `manager`, `routes`.

    The settings of the connection manager are those that a patch has, and routes are what the gate
    is told on each, by its name.
    """
    return _of_gateway(objects(mesh)) if mesh == "gateway" else _of_istio(objects(mesh))


def _of_gateway(found: list[Object]) -> Object:
    policy = named(found, "EnvoyPatchPolicy", "admissibility")
    manager: Object = {}
    routes: Object = {}
    gate: Object = {}
    for each in policy["spec"]["jsonPatches"]:
        operation = each["operation"]
        if each["type"] == CLUSTER:
            gate = operation.get("value", gate)
        elif each["type"] == LISTENER:
            manager[operation["path"].removeprefix("/")] = operation["value"]
        else:
            key = operation["path"].removeprefix("/")
            routes.setdefault(operation["jsonPath"].split("'")[1], {})[key] = operation["value"]
    return {
        "gate": gate,
        "filters": manager.pop("http_filters"),
        "manager": manager,
        "routes": routes,
    }


def _of_istio(found: list[Object]) -> Object:
    patches = named(found, "EnvoyFilter", "admissibility")["spec"]["configPatches"]
    by: dict[tuple[str, str], list[Object]] = {}
    for each in patches:
        by.setdefault((each["applyTo"], each["patch"]["operation"]), []).append(each)
    (gate,) = by["CLUSTER", "ADD"]
    (manager,) = by["NETWORK_FILTER", "REPLACE"]
    held = dict(manager["patch"]["value"]["typed_config"])
    routes = {
        each["match"]["routeConfiguration"]["vhost"]["route"]["name"]: each["patch"]["value"]
        for each in by["HTTP_ROUTE", "MERGE"]
    }
    return {
        "gate": gate["patch"]["value"],
        "filters": held.pop("http_filters"),
        "manager": held,
        "routes": routes,
    }
