"""What stands before the gate, or behind it, in the chain of filters."""

from __future__ import annotations

from tests.unit.envoy_extauthz_lint.edit import HTTP, Edit
from tests.unit.envoy_extauthz_lint.mutations.case import breaks


@breaks("order-code-before-gate")
def lua_before(edit: Edit) -> None:
    edit.insert(0, "lua.v3.Lua", default_source_code={"inline_string": "x = 1"})


@breaks("order-body-before-gate")
def decompressed_before(edit: Edit) -> None:
    edit.insert(0, "decompressor.v3.Decompressor")


@breaks("order-cache-before-gate")
def cached_before(edit: Edit) -> None:
    edit.insert(0, "cache.v3.CacheConfig")


@breaks("order-key-before-gate")
def key_before(edit: Edit) -> None:
    edit.filters.insert(edit.at, edit.filters.pop(edit.at + 2))


@breaks("order-changed-behind-gate")
def lua_behind(edit: Edit) -> None:
    edit.insert(1, "lua.v3.Lua", default_source_code={"inline_string": "x = 1"})


@breaks("order-changed-behind-gate")
def decompressed_behind(edit: Edit) -> None:
    edit.insert(2, "decompressor.v3.Decompressor")


@breaks("order-changed-behind-gate")
def type_changed_behind(edit: Edit) -> None:
    header = {"key": "content-type", "value": "multipart/form-data; boundary=x"}
    append = {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    mutation = {"request_mutations": [{"append": append}]}
    edit.insert(1, "header_mutation.v3.HeaderMutation", mutations=mutation)


@breaks("order-changed-behind-gate")
def processed_behind_by_somebody_else(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "provider"}}
    edit.insert(1, "ext_proc.v3.ExternalProcessor", grpc_service=service)


@breaks("order-changed-behind-gate")
def lua_in_the_router(edit: Edit) -> None:
    lua = {"name": "lua", "typed_config": {"@type": f"{HTTP}lua.v3.Lua"}}
    edit.filters[-1]["typed_config"]["upstream_http_filters"] = [lua]


@breaks("order-changed-behind-gate")
def lua_in_the_cluster(edit: Edit) -> None:
    (options,) = edit.clusters[1]["typed_extension_protocol_options"].values()
    lua = {"name": "lua", "typed_config": {"@type": f"{HTTP}lua.v3.Lua"}}
    options["http_filters"] = [lua]


@breaks("order-elsewhere")
def forwarded_by_host(edit: Edit) -> None:
    edit.insert(2, "dynamic_forward_proxy.v3.FilterConfig")


@breaks("order-processor-fail-open")
def reader_fail_open(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "gate"}}
    edit.insert(1, "ext_proc.v3.ExternalProcessor", grpc_service=service, failure_mode_allow=True)


@breaks("order-processor-fail-open")
def reader_fail_open_on_a_route(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "gate"}}
    edit.insert(1, "ext_proc.v3.ExternalProcessor", grpc_service=service)
    per_route = {
        "@type": f"{HTTP}ext_proc.v3.ExtProcPerRoute",
        "overrides": {"failure_mode_allow": True},
    }
    edit.route["typed_per_filter_config"]["ext_proc"] = per_route


@breaks("order-second-authz")
def asked_twice(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "provider"}}
    edit.insert(1, "ext_authz.v3.ExtAuthz", grpc_service=service)
