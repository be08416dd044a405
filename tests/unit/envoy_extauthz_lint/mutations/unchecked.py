"""What the linter cannot see or does not know, and says so instead of passing it."""

from __future__ import annotations

from typing import Any

from sidecar.cli.lint_options import lint_options
from tests.unit.envoy_extauthz_lint.edit import GATE, HTTP, NETWORK, TYPES, UDP_PROXY, Edit
from tests.unit.envoy_extauthz_lint.mutations.case import (
    TRUSTED,
    breaks,
    generic_proxy,
    hosted,
    routed,
    tcp,
)
from tests.unit.envoy_extauthz_lint.mutations.order import matched


@breaks("unchecked-nothing")
def no_listener(edit: Edit) -> None:
    del edit.top["static_resources"]["listeners"]


@breaks("unchecked-listeners")
def listeners_from_a_file(edit: Edit) -> None:
    edit.top["dynamic_resources"] = {"lds_config": {"path_config_source": {"path": "/lds.yaml"}}}


@breaks("unchecked-listeners")
def chains_from_elsewhere(edit: Edit) -> None:
    edit.listener["fcds_config"] = {}


@breaks("unchecked-clusters")
def clusters_from_a_file(edit: Edit) -> None:
    edit.top["dynamic_resources"] = {"cds_config": {"path_config_source": {"path": "/cds.yaml"}}}


@breaks("unchecked-clusters")
def endpoints_from_elsewhere(edit: Edit) -> None:
    hosted(edit, common_tls_context=TRUSTED, auto_sni_san_validation=True)
    del edit.clusters[1]["load_assignment"]
    edit.clusters[1]["type"] = "EDS"


@breaks("unchecked-routes", "unchecked-nothing")
def scopes_from_elsewhere(edit: Edit) -> None:
    del edit.manager["route_config"]
    edit.manager["scoped_routes"] = {"name": "scopes", "scoped_rds": {}}


@breaks("unchecked-routes")
def routes_of_a_scope_from_elsewhere(edit: Edit) -> None:
    scopes = [{"name": "a", "route_configuration": edit.manager.pop("route_config")}]
    scopes.append({"name": "b", "route_configuration_name": "elsewhere"})
    inline = {"scoped_route_configurations": scopes}
    edit.manager["scoped_routes"] = {"name": "s", "scoped_route_configurations_list": inline}


@breaks("unchecked-routes")
def routes_of_a_proxy_of_anything_from_elsewhere(edit: Edit) -> None:
    source = generic_proxy("", generic_rds={"route_config_name": "elsewhere"})
    edit.listener["filter_chains"].append({"filters": [source]})


@breaks("unchecked-routes", "unchecked-nothing")
def routes_from_elsewhere(edit: Edit) -> None:
    del edit.manager["route_config"]
    edit.manager["rds"] = {"route_config_name": "provider"}


@breaks("unchecked-routes")
def hosts_from_elsewhere(edit: Edit) -> None:
    edit.table["vhds"] = {}


@breaks("unchecked-routes")
def routes_by_extension(edit: Edit) -> None:
    edit.route["route_specifiers"] = [{"name": "x"}]


@breaks("unchecked-filter")
def unknown_filter(edit: Edit) -> None:
    edit.insert(1, "acme.v1.Acme")


@breaks("unchecked-filter")
def filter_from_elsewhere(edit: Edit) -> None:
    edit.filters.insert(edit.at + 2, {"name": "some", "config_discovery": {"type_urls": ["x/y"]}})


@breaks("unchecked-filter")
def unknown_filter_before(edit: Edit) -> None:
    edit.insert(0, "acme.v1.Acme")


@breaks("unchecked-filter", options=lint_options(known_filters={"y"}))
def unknown_filter_beside_a_known_one(edit: Edit) -> None:
    source = {"type_urls": ["x/y", "x/z"]}
    edit.filters.insert(edit.at + 2, {"name": "some", "config_discovery": source})


@breaks("unchecked-filter")
def harmless_filter_from_elsewhere(edit: Edit) -> None:
    source = {"type_urls": [f"{HTTP}buffer.v3.Buffer"]}
    edit.filters.insert(edit.at + 2, {"name": "some", "config_discovery": source})


@breaks("unchecked-filter")
def changing_filter_from_elsewhere(edit: Edit) -> None:
    source = {"type_urls": [f"{HTTP}header_mutation.v3.HeaderMutation"]}
    edit.filters.insert(edit.at + 2, {"name": "some", "config_discovery": source})


def _chosen(edit: Edit, **filter_: Any) -> None:
    """A composite filter behind the gate, which runs one for some requests."""
    action = {"@type": f"{HTTP}composite.v3.ExecuteFilterAction", **filter_}
    typed = matched({"@type": f"{HTTP}composite.v3.Composite"}, action)
    edit.filters.insert(-1, {"name": "chosen", "typed_config": typed})


@breaks("unchecked-filter")
def unknown_filter_chosen_at_run_time(edit: Edit) -> None:
    inner = {"name": "acme", "typed_config": {"@type": f"{TYPES}acme.v1.Acme"}}
    _chosen(edit, typed_config=inner)


@breaks("unchecked-filter")
def filter_from_elsewhere_chosen_at_run_time(edit: Edit) -> None:
    discovered = {"name": "some", "config_discovery": {"type_urls": ["x/y"]}}
    _chosen(edit, dynamic_config=discovered)


@breaks("unchecked-filter")
def known_filter_chosen_at_run_time(edit: Edit) -> None:
    kind = f"{HTTP}buffer.v3.Buffer"
    _chosen(edit, typed_config={"name": "buffer", "typed_config": {"@type": kind}})


@breaks("unchecked-filter", options=lint_options(known_filters={"acme.v1.Acme"}))
def listed_filter_chosen_at_run_time(edit: Edit) -> None:
    unknown_filter_chosen_at_run_time(edit)


@breaks("unchecked-filter")
def unknown_filter_of_the_providers_requests(edit: Edit) -> None:
    kind = f"{TYPES}envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    acme = {"name": "acme", "typed_config": {"@type": f"{HTTP}acme.v1.Acme"}}
    codec = {"name": "codec", "typed_config": {"@type": f"{HTTP}upstream_codec.v3.UpstreamCodec"}}
    options = edit.clusters[1].setdefault("typed_extension_protocol_options", {})
    named = options.setdefault(kind.rpartition("/")[2], {"@type": kind})
    named.setdefault("explicit_http_config", {"http_protocol_options": {}})
    named["http_filters"] = [acme, codec]


@breaks("unchecked-filter")
def unknown_network_filter(edit: Edit) -> None:
    wasm = {"@type": f"{NETWORK}wasm.v3.Wasm"}
    edit.chain["filters"].insert(0, {"name": "wasm", "typed_config": wasm})


@breaks("unchecked-filter")
def unknown_filter_of_the_providers_connections(edit: Edit) -> None:
    wasm = {"@type": f"{NETWORK}wasm.v3.Wasm"}
    edit.clusters[1]["filters"] = [{"name": "wasm", "typed_config": wasm}]


@breaks("unchecked-filter")
def unknown_listener_filter(edit: Edit) -> None:
    edit.before("dynamic_modules.v3.DynamicModuleListenerFilter")


@breaks("unchecked-filter")
def listener_filter_from_elsewhere(edit: Edit) -> None:
    entry = {"name": "some", "config_discovery": {"type_urls": ["x/y"]}}
    edit.listener["listener_filters"] = [entry]


@breaks("unchecked-filter")
def unknown_filter_of_datagrams(edit: Edit) -> None:
    edit.datagrams(cluster="gate")["@type"] = f"{TYPES}acme.v1.Datagrams"


@breaks("unchecked-filter")
def unknown_filters_of_sessions(edit: Edit) -> None:
    kind = f"{UDP_PROXY}session.dynamic_forward_proxy.v3.FilterConfig"
    known = {"name": "envoy.filters.udp.session.dynamic_forward_proxy"}
    discovered = {"name": "some", "config_discovery": {"type_urls": ["x/y"]}}
    sessions = [{**known, "typed_config": {"@type": kind}}, discovered]
    edit.datagrams(cluster="gate", session_filters=sessions)


@breaks("unchecked-gate-conditional")
def gate_from_elsewhere(edit: Edit) -> None:
    source = {"type_urls": [f"{HTTP}ext_authz.v3.ExtAuthz"]}
    edit.filters.insert(edit.at + 2, {"name": "some", "config_discovery": source})


@breaks("unchecked-gate-conditional", "bypass-without-gate", "seal-misplaced")
def gate_in_a_matcher(edit: Edit) -> None:
    matched = f"{TYPES}envoy.extensions.common.matching.v3.ExtensionWithMatcher"
    inner = {"name": "gate", "typed_config": dict(edit.gate)}
    typed = {"@type": matched, "extension_config": inner}
    edit.filters[edit.at] = {"name": GATE, "typed_config": typed}


@breaks("unchecked-route-settings")
def unknown_settings(edit: Edit) -> None:
    edit.host["typed_per_filter_config"] = {GATE: {"@type": f"{HTTP}acme.v1.Acme"}}


@breaks("unchecked-destination")
def cluster_by_plugin(edit: Edit) -> None:
    del edit.action["cluster"]
    edit.action["cluster_specifier_plugin"] = "plugin"


@breaks("unchecked-destination")
def cluster_not_there(edit: Edit) -> None:
    edit.action["cluster"] = "elsewhere"


@breaks("unchecked-destination")
def udp_without_a_cluster(edit: Edit) -> None:
    edit.datagrams()


@breaks("unchecked-destination")
def udp_by_an_unknown_action(edit: Edit) -> None:
    action = {"@type": f"{TYPES}acme.v1.Route", "cluster": "gate"}
    edit.datagrams(matcher=routed({"typed_config": action}))


@breaks("unchecked-destination")
def tcp_without_a_cluster(edit: Edit) -> None:
    tcp(edit, "gate")
    del edit.listener["filter_chains"][1]["filters"][0]["typed_config"]["cluster"]


@breaks("unchecked-destination", "bypass-tcp")
def tcp_to_a_cluster_that_is_not_there(edit: Edit) -> None:
    tcp(edit, "elsewhere")


@breaks("unchecked-destination")
def proxy_of_anything_without_a_cluster(edit: Edit) -> None:
    edit.listener["filter_chains"].append({"filters": [generic_proxy("", route_config={})]})


@breaks("unchecked-destination")
def unknown_action(edit: Edit) -> None:
    route = {"match": {"prefix": "/x"}, "filter_action": {}}
    edit.host["routes"].insert(0, route)


@breaks("unchecked-field")
def unknown_setting(edit: Edit) -> None:
    edit.gate["skip_on_tuesdays"] = True


@breaks("unchecked-field")
def unknown_settings_of_datagrams(edit: Edit) -> None:
    edit.datagrams(cluster="gate", tunneling_config={"hop": 1}, routes=[])
    listener = edit.quic()
    listener["udp_listener_config"]["listener_name"] = "x"
    listener["udp_listener_config"]["quic_options"]["versions"] = []
    edit.before("tls_inspector.v3.TlsInspector")
    edit.listener["listener_filters"][0]["disabled"] = True


@breaks("unchecked-field")
def unknown_setting_of_connections(edit: Edit) -> None:
    tcp(edit, "gate")
    edit.listener["filter_chains"][1]["filters"][0]["typed_config"]["matcher"] = {}


@breaks("unchecked-gate", "order-second-authz", "gate-timeout")
def which_gate(edit: Edit) -> None:
    edit.clusters[0]["name"] = "authz"
    edit.gate["grpc_service"]["envoy_grpc"]["cluster_name"] = "authz"
    service = {"envoy_grpc": {"cluster_name": "provider"}}
    edit.insert(1, "ext_authz.v3.ExtAuthz", **{**edit.gate, "grpc_service": service})


@breaks("unchecked-bootstrap")
def dump_without_bootstrap(edit: Edit) -> None:
    dumped = f"{TYPES}envoy.admin.v3."
    listeners = [{"listener": edit.listener}]
    clusters = [{"cluster": cluster} for cluster in edit.clusters]
    edit.top = {
        "configs": [
            {"@type": f"{dumped}ListenersConfigDump", "static_listeners": listeners},
            {"@type": f"{dumped}ClustersConfigDump", "static_clusters": clusters},
        ]
    }
