"""Split a bootstrap, or an admin interface's dump, into listeners, clusters and routes.

Envoy Gateway's ``egctl experimental translate --to xds`` prints such a dump for each gateway.

Dumped listeners, clusters and routes take precedence over the bootstrap's, because they are what
runs; what only the bootstrap has is kept. What is only *named* in the file (a listener from a
control plane, a route table that was not dumped) is reported by ``unchecked_rules``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from envoy_extauthz_lint.cluster import eds
from envoy_extauthz_lint.document import LintError, RawValue
from envoy_extauthz_lint.node import ConfigNode

BOOTSTRAP_FIELDS = ("static_resources", "dynamic_resources", "admin", "layered_runtime", "node")


@dataclass(frozen=True, slots=True)
class Config:
    """The parts of one configuration.

    Attributes:
        top: The whole file.
        bootstrap: The bootstrap; None where a dump has none.
        dumped: Whether the file is a configuration dump.
        listeners: Every listener.
        clusters: Every cluster by name.
        tables: Dumped route tables by name.
        assignments: Dumped endpoints (EDS) by the name of their service.
        filters: Dumped configurations of filters (ECDS) by the filter's name.
        scopes: Dumped scopes of routes by the name of their set.
        has_listeners: Whether the file holds every listener.
        has_clusters: The same for clusters.
    """

    top: ConfigNode
    bootstrap: ConfigNode | None
    dumped: bool
    listeners: tuple[ConfigNode, ...] = ()
    clusters: dict[str, ConfigNode] = field(default_factory=dict)
    tables: dict[str, ConfigNode] = field(default_factory=dict)
    assignments: dict[str, ConfigNode] = field(default_factory=dict)
    filters: dict[str, ConfigNode] = field(default_factory=dict)
    scopes: dict[str, list[ConfigNode]] = field(default_factory=dict)
    has_listeners: bool = True
    has_clusters: bool = True

    def assignment(self, cluster: ConfigNode) -> ConfigNode | None:
        """Return the endpoints of a cluster; None where the file does not hold them."""
        if not eds(cluster):
            return cluster.get("load_assignment")
        source = cluster.get("eds_cluster_config")
        service = "" if source is None else source.text("service_name")
        return self.assignments.get(service or cluster.text("name"))

    def scoped(self, routes: ConfigNode) -> list[ConfigNode]:
        """Return the scopes of ``scoped_routes``; empty where the file does not hold them."""
        inline = routes.get("scoped_route_configurations_list")
        if inline is not None:
            return inline.items("scoped_route_configurations")
        return self.scopes.get(routes.text("name"), [])


def load(raw: RawValue) -> Config:
    """Recognise a bootstrap or a dump, and split it into its parts.

    Raises:
        LintError: The file is neither a bootstrap nor a configuration dump.
    """
    top = ConfigNode(raw)
    top.mapping()
    if top.has("configs"):
        return _dump(top)
    if top.has("xds"):
        return _dump(_translated(top))
    if not top.has(*BOOTSTRAP_FIELDS):
        raise LintError(
            "neither an Envoy bootstrap nor a configuration dump: none of configs, "
            + ", ".join(BOOTSTRAP_FIELDS)
        )
    static = top.get("static_resources")
    listeners, clusters = _static(static)
    dynamic = top.get("dynamic_resources")
    return Config(
        top,
        top,
        dumped=False,
        listeners=tuple(listeners),
        clusters={cluster.text("name"): cluster for cluster in reversed(clusters)},
        has_listeners=dynamic is None or not dynamic.has("lds_config", "lds_resources_locator"),
        has_clusters=dynamic is None or not dynamic.has("cds_config", "cds_resources_locator"),
    )


def _translated(top: ConfigNode) -> ConfigNode:
    """Return the dump of the only gateway that ``egctl`` translated."""
    gateways = top.entries("xds")
    if len(gateways) != 1:
        raise LintError(
            f"xds has {len(gateways)} gateways ({', '.join(gateways) or 'none'}), expected one;"
            " translate the objects of one gateway at a time"
        )
    (only,) = gateways.values()
    if not only.has("configs"):
        raise LintError("xds has no configs; translate with --type all")
    return only


def _static(static: ConfigNode | None) -> tuple[list[ConfigNode], list[ConfigNode]]:
    return ([], []) if static is None else (static.items("listeners"), static.items("clusters"))


def _dump(top: ConfigNode) -> Config:
    sections: dict[str, list[ConfigNode]] = {}
    for section in top.items("configs"):
        sections.setdefault(section.typed()[0].rpartition(".")[2], []).append(section)
    bootstrap = None
    for section in sections.get("BootstrapConfigDump", []):
        bootstrap = section.get("bootstrap")
    static = None if bootstrap is None else bootstrap.get("static_resources")
    listeners, clusters = _static(static)
    running = [one for part in sections.get("ListenersConfigDump", []) for one in _listeners(part)]
    up = [one for part in sections.get("ClustersConfigDump", []) for one in _clusters(part)]
    tables = [one for part in sections.get("RoutesConfigDump", []) for one in _tables(part)]
    ends = [one for part in sections.get("EndpointsConfigDump", []) for one in _endpoints(part)]
    discovered = [one for part in sections.get("EcdsConfigDump", []) for one in _filters(part)]
    scopes = [one for part in sections.get("ScopedRoutesConfigDump", []) for one in _scopes(part)]
    dynamic = None if bootstrap is None else bootstrap.get("dynamic_resources")
    closed = bootstrap is not None and dynamic is None
    return Config(
        top,
        bootstrap,
        dumped=True,
        listeners=tuple(_joined(running, listeners)),
        clusters={one.text("name"): one for one in reversed(_joined(up, clusters))},
        tables={table.text("name"): table for table in tables},
        assignments={one.text("cluster_name"): one for one in ends},
        filters={one.text("name"): one for one in discovered},
        scopes=dict(scopes),
        has_listeners=closed or "ListenersConfigDump" in sections,
        has_clusters=closed or "ClustersConfigDump" in sections,
    )


def _joined(running: list[ConfigNode], static: list[ConfigNode]) -> list[ConfigNode]:
    """Join what runs with what only the bootstrap has."""
    names = {one.text("name") for one in running}
    return [*running, *(one for one in static if one.text("name") not in names)]


def _listeners(section: ConfigNode) -> list[ConfigNode]:
    holders = [*section.items("static_listeners")]
    for dynamic in section.items("dynamic_listeners"):
        states = (dynamic.get("active_state"), dynamic.get("warming_state"))
        holders += [state for state in states if state is not None]
    return _held(holders, "listener")


def _clusters(section: ConfigNode) -> list[ConfigNode]:
    kinds = ("static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters")
    return _held([holder for kind in kinds for holder in section.items(kind)], "cluster")


def _tables(section: ConfigNode) -> list[ConfigNode]:
    return _held(section.items("dynamic_route_configs"), "route_config")


def _endpoints(section: ConfigNode) -> list[ConfigNode]:
    kinds = ("static_endpoint_configs", "dynamic_endpoint_configs")
    return _held([holder for kind in kinds for holder in section.items(kind)], "endpoint_config")


def _filters(section: ConfigNode) -> list[ConfigNode]:
    return _held(section.items("ecds_filters"), "ecds_filter")


def _scopes(section: ConfigNode) -> list[tuple[str, list[ConfigNode]]]:
    kinds = ("inline_scoped_route_configs", "dynamic_scoped_route_configs")
    holders = [holder for kind in kinds for holder in section.items(kind)]
    return [(holder.text("name"), holder.items("scoped_route_configs")) for holder in holders]


def _held(holders: list[ConfigNode], name: str) -> list[ConfigNode]:
    found = (holder.get(name) for holder in holders)
    return [one for one in found if one is not None]
