"""Admin interface, runtime and limits: what can change or wear down an Envoy that runs."""

from __future__ import annotations

from tests.unit.envoy_extauthz_lint.edit import Edit
from tests.unit.envoy_extauthz_lint.mutations.case import breaks, tcp


@breaks("admin-remote")
def admin_far_away(edit: Edit) -> None:
    edit.top["admin"]["address"]["socket_address"]["address"] = "0.0.0.0"


def _to_the_admin(edit: Edit) -> None:
    edit.another("console", "127.0.0.1")
    address = edit.clusters[-1]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    address["address"] = edit.top["admin"]["address"]


@breaks("admin-remote")
def admin_by_a_route(edit: Edit) -> None:
    _to_the_admin(edit)
    route = dict(edit.route, match={"path": "/console"})
    route["route"] = {**edit.action, "cluster": "console"}
    edit.host["routes"].insert(0, route)


@breaks("admin-remote", "bypass-tcp")
def admin_by_connections(edit: Edit) -> None:
    _to_the_admin(edit)
    tcp(edit, "console")


@breaks("admin-writable")
def admin_of_everything(edit: Edit) -> None:
    del edit.top["admin"]["allow_paths"]


@breaks("admin-writable")
def admin_of_the_runtime(edit: Edit) -> None:
    edit.top["admin"]["allow_paths"].append({"prefix": "/runtime"})


@breaks("runtime-mutable")
def runtime_of_the_admin(edit: Edit) -> None:
    edit.top["layered_runtime"]["layers"].append({"name": "admin", "admin_layer": {}})


@breaks("runtime-mutable")
def runtime_without_layers(edit: Edit) -> None:
    edit.top["layered_runtime"] = {}


@breaks("runtime-overrides-gate")
def runtime_says_otherwise(edit: Edit) -> None:
    layer = {"admissibility": {"deny_at_disable": False}}
    edit.top["layered_runtime"]["layers"][0]["static_layer"] = layer


@breaks("limit-stream-duration")
def streams_for_ever(edit: Edit) -> None:
    del edit.action["max_stream_duration"]
    del edit.manager["common_http_protocol_options"]["max_stream_duration"]


@breaks("limit-stream-duration")
def streams_for_ever_on_a_route(edit: Edit) -> None:
    edit.action["max_stream_duration"]["max_stream_duration"] = "0s"


@breaks("limit-stream-duration")
def streams_for_a_day(edit: Edit) -> None:
    edit.action["max_stream_duration"]["max_stream_duration"] = "86400s"


@breaks("limit-idle")
def idle_for_ever(edit: Edit) -> None:
    edit.manager["stream_idle_timeout"] = "0s"


@breaks("limit-slow-senders")
def slow_senders(edit: Edit) -> None:
    del edit.manager["request_timeout"]
