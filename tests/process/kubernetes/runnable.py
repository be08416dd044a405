"""What a control plane makes of the objects, as a bootstrap that runs on this machine.

The listener, its filters and routes stay as they were delivered. Only places change: addresses and
ports become loopback's, files of a pod become the test's, and what Envoy would ask the control
plane for (routes, certificates, roots) is put where it would be used.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from admissibility_devtools.tools.envoy_config import LISTENER, nodes

Config = dict[str, Any]
OF_ISTIO = ("io.istio.", "istio.envoy.", "envoy.tcp.metadataexchange.")
"""Packages of the filters that only Istio's own build of Envoy has. They tell Istio's proxies about
each other and choose a protocol between them; here they are left out."""

_CAMEL = re.compile(r"([A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where everything is on this machine.

    Attributes:
        gate: Port of the gate's service.
        provider: Port of the provider.
        provider_roots: PEM that a provider's certificate must chain to.
        credential: Folder with ``provider.yaml``.
        certificate: Of the gateway, PEM.
        private_key: Of that certificate, PEM.
        clients: PEM that clients' certificates must chain to; None where they need none.
    """

    gate: int
    provider: int
    provider_roots: Path
    credential: Path
    certificate: Path
    private_key: Path
    clients: Path | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What Envoy was given: the sections of a configuration dump."""

    listeners: tuple[Config, ...]
    clusters: tuple[Config, ...]
    routes: dict[str, Config]


def snake(value: Any) -> Any:
    """The same with the names of fields as in Envoy's own documentation."""
    if isinstance(value, dict):
        return {
            _CAMEL.sub(lambda found: "_" + found[1].lower(), key) if key.isalnum() else key: snake(
                child
            )
            for key, child in value.items()
        }
    return [snake(child) for child in value] if isinstance(value, list) else value


def delivered(dump: Config) -> Delivered:
    """Split a dump; of a listener that runs and one that warms up, the latter."""
    sections: dict[str, list[Config]] = {}
    for section in dump["configs"]:
        sections.setdefault(section["@type"].rpartition(".")[2], []).append(section)
    listeners = []
    for part in sections.get("ListenersConfigDump", []):
        for each in part.get("dynamic_listeners", []):
            state = each.get("warming_state", each.get("active_state"))
            listeners.append(state["listener"])
    clusters = []
    for part in sections.get("ClustersConfigDump", []):
        for kind in ("dynamic_active_clusters", "dynamic_warming_clusters"):
            clusters += [each["cluster"] for each in part.get(kind, [])]
    routes = {}
    for part in sections.get("RoutesConfigDump", []):
        for each in part.get("dynamic_route_configs", []):
            routes[each["route_config"]["name"]] = each["route_config"]
    for held in (*listeners, *clusters, *routes.values()):
        held.pop("@type")  # where they are to stand, their types are known
    return Delivered(tuple(listeners), tuple(clusters), routes)


def runnable(dump: Config, listener: str, places: Places) -> str:
    """A bootstrap with one listener of a dump, called ``applications``, and every cluster."""
    found = delivered(snake(dump))
    (chosen,) = (each for each in found.listeners if each["name"] == listener)
    chosen["name"] = LISTENER
    chosen["address"] = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    for node in nodes([chosen, *found.clusters]):
        for kind in ("http_filters", "filters"):
            if isinstance(node.get(kind), list):
                node[kind] = [each for each in node[kind] if not _of_istio(each)]
    for node in nodes(chosen):
        if "rds" in node:
            node["route_config"] = found.routes[node.pop("rds")["route_config_name"]]
        if "path_config_source" in node:
            node["path_config_source"] = {
                "path": str(places.credential / "provider.yaml"),
                "watched_directory": {"path": str(places.credential)},
            }
        if node.get("@type", "").endswith(".DownstreamTlsContext"):
            _own_certificate(node["common_tls_context"], places)
        if node.get("@type", "").endswith(".ExtAuthz"):
            # As `patient` does: two seconds are plenty for a machine that does nothing else.
            assert node["grpc_service"]["timeout"] == "2s"
            node["grpc_service"]["timeout"] = "20s"
    for cluster in found.clusters:
        _place(cluster, places)
    loopback = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    bootstrap = {
        "node": {"id": "gateway", "cluster": "gateway"},
        "admin": {"address": loopback},
        "static_resources": {"listeners": [chosen], "clusters": list(found.clusters)},
    }
    return json.dumps(bootstrap, indent=1)


def _of_istio(each: Config) -> bool:
    typed = each.get("typed_config", {})
    kind = str(typed.get("type_url", typed.get("@type", ""))).rpartition("/")[2]
    return kind.startswith(OF_ISTIO)


def _own_certificate(common: Config, places: Places) -> None:
    """The gateway's certificate from files, and the roots of clients where they need one."""
    common.pop("tls_certificate_sds_secret_configs")
    common["tls_certificates"] = [
        {
            "certificate_chain": {"filename": str(places.certificate)},
            "private_key": {"filename": str(places.private_key)},
        }
    ]
    if places.clients is not None:
        _validated(common, places.clients)


def _validated(common: Config, roots: Path) -> None:
    """Roots from a file in the place of the secret that holds them; what else is checked stays."""
    combined = common.pop("combined_validation_context", {})
    common.pop("validation_context_sds_secret_config", None)
    checked = combined.get("default_validation_context", common.get("validation_context", {}))
    common["validation_context"] = {**checked, "trusted_ca": {"filename": str(roots)}}


def _place(cluster: Config, places: Places) -> None:
    port = places.gate if cluster["name"] == "gate" else places.provider
    name = cluster["name"]
    if cluster.pop("eds_cluster_config", None) is not None:
        cluster["type"] = "STATIC"
        cluster["load_assignment"] = {
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {}}}}]}]
        }
    for node in nodes(cluster.get("load_assignment", {})):
        if "socket_address" in node:
            node["socket_address"] = {"address": "127.0.0.1", "port_value": port}
    if "load_assignment" in cluster:
        cluster["load_assignment"]["cluster_name"] = name
    for node in nodes(cluster):
        if node.get("@type", "").endswith(".UpstreamTlsContext"):
            node["common_tls_context"].pop("tls_certificate_sds_secret_configs", None)
            _validated(node["common_tls_context"], places.provider_roots)
