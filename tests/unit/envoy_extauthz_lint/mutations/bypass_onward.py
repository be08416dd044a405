"""Ways that lead elsewhere after the gate's yes: chosen, mirrored, repeated, upgraded."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.envoy_extauthz_lint.edit import GATE, HTTP, NETWORK, PER_ROUTE, TYPES, Edit
from tests.unit.envoy_extauthz_lint.mutations.case import breaks


@breaks("bypass-client-chooses")
def cluster_from_a_header(edit: Edit) -> None:
    del edit.action["cluster"]
    edit.action["cluster_header"] = "x-cluster"


@breaks("bypass-client-chooses")
def host_from_a_header(edit: Edit) -> None:
    edit.action["host_rewrite_header"] = "x-host"


@breaks("bypass-client-chooses")
def address_from_a_header(edit: Edit) -> None:
    edit.clusters[1]["type"] = "ORIGINAL_DST"
    del edit.clusters[1]["load_assignment"]


@breaks("bypass-client-chooses")
def address_from_the_host_by_a_cluster_of_any_name(edit: Edit) -> None:
    kind = f"{TYPES}envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
    typed = {"@type": kind, "sub_clusters_config": {}}
    edit.clusters[1]["cluster_type"] = {"name": "provider", "typed_config": typed}
    edit.clusters[1]["lb_policy"] = "CLUSTER_PROVIDED"
    del edit.clusters[1]["type"]
    del edit.clusters[1]["load_assignment"]


def _steered(kind: str, when: str) -> dict[str, object]:
    name = {"inline_string": "%REQUESTED_SERVER_NAME%"}
    state = {
        "object_key": "envoy.tcp_proxy.cluster",
        "format_string": {"text_format_source": name},
    }
    return {"name": "state", "typed_config": {"@type": kind, when: [state]}}


@breaks("bypass-client-chooses")
def upstream_from_the_state_of_a_connection(edit: Edit) -> None:
    state = _steered(f"{NETWORK}set_filter_state.v3.Config", "on_new_connection")
    edit.chain["filters"].insert(0, state)


@breaks("bypass-client-chooses")
def upstream_from_the_state_of_a_listener(edit: Edit) -> None:
    kind = f"{TYPES}envoy.extensions.filters.listener.set_filter_state.v3.Config"
    edit.listener["listener_filters"] = [_steered(kind, "on_accept")]


@breaks("bypass-client-chooses")
def upstream_from_the_greeting(edit: Edit) -> None:
    sni = {"@type": f"{NETWORK}sni_cluster.v3.SniCluster"}
    edit.chain["filters"].insert(0, {"name": "sni", "typed_config": sni})


@breaks("bypass-mirror")
def mirrored_to_the_provider(edit: Edit) -> None:
    edit.action["request_mirror_policies"] = [{"cluster": "provider"}]


@breaks("bypass-mirror")
def mirrored_to_something_else(edit: Edit) -> None:
    edit.another("other", "127.0.0.1")
    edit.table["request_mirror_policies"] = [{"cluster": "other"}]


@breaks("bypass-internal-redirect")
def redirects_followed(edit: Edit) -> None:
    edit.action["internal_redirect_policy"] = {"max_internal_redirects": 1}


@breaks("bypass-retry")
def retried(edit: Edit) -> None:
    edit.host["retry_policy"] = {"retry_on": "5xx"}


@breaks("bypass-upgrade")
def websocket_everywhere(edit: Edit) -> None:
    edit.manager["upgrade_configs"] = [{"upgrade_type": "websocket"}]


@breaks("bypass-upgrade")
def websocket_on_calls(edit: Edit) -> None:
    edit.manager["upgrade_configs"] = [{"upgrade_type": "websocket", "enabled": False}]
    edit.action["upgrade_configs"] = [{"upgrade_type": "websocket"}]


@breaks("bypass-upgrade")
def websocket_on_a_route_of_its_own(edit: Edit) -> None:
    route = dict(edit.route, match={"path": "/v1/realtime"})
    route["route"] = {**edit.action, "upgrade_configs": [{"upgrade_type": "websocket"}]}
    edit.host["routes"].insert(0, route)


@breaks("bypass-upgrade")
def tunnels(edit: Edit) -> None:
    route = dict(edit.route, match={"connect_matcher": {}})
    connect = {"upgrade_type": "CONNECT", "connect_config": {}}
    route["route"] = {**edit.action, "upgrade_configs": [connect]}
    edit.host["routes"].insert(0, route)


@breaks("bypass-upgrade-chain")
def upgraded_past_the_gate(edit: Edit) -> None:
    router = edit.filters[-1]
    config = {"upgrade_type": "websocket", "enabled": False, "filters": [router]}
    edit.manager["upgrade_configs"] = [config]


def upgraded_by_filters_of_its_own(edit: Edit) -> list[dict[str, Any]]:
    """Upgrades have a chain of their own, with the gate as the reference has it."""
    kept = [one for one in edit.filters if "credential_injector" not in one["name"]]
    own: list[dict[str, Any]] = json.loads(json.dumps(kept))
    config = {"upgrade_type": "websocket", "enabled": False, "filters": own}
    edit.manager["upgrade_configs"] = [config]
    return own


@breaks("gate-fail-open")
def upgraded_by_a_gate_that_fails_open(edit: Edit) -> None:
    for one in upgraded_by_filters_of_its_own(edit):
        if one["name"] == GATE:
            one["typed_config"]["failure_mode_allow"] = True


@breaks("order-changed-behind-gate")
def upgraded_by_code_behind_the_gate(edit: Edit) -> None:
    lua = {"name": "lua", "typed_config": {"@type": f"{HTTP}lua.v3.Lua"}}
    upgraded_by_filters_of_its_own(edit).insert(-1, lua)


@breaks("bypass-gate-disabled")
def upgraded_by_a_gate_that_a_route_disables(edit: Edit) -> None:
    for one in upgraded_by_filters_of_its_own(edit):
        one["name"] = f"upgraded.{one['name']}"
    for route in (edit.upload, edit.route):
        settings = route["typed_per_filter_config"]
        settings[f"upgraded.{GATE}"] = settings[GATE]
    settings[f"upgraded.{GATE}"] = {"@type": PER_ROUTE, "disabled": True}
