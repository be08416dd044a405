"""Every setting that the argument rests on is in `jwt.yaml` with its value."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from admissibility_devtools.tools.envoy_config import Gated
from admissibility_devtools.tools.places import repository_root
from sidecar.core.sandbox import MANIFEST_HEADER
from sidecar.ext_proc.body_counter import API, BODIES, STREAM
from sidecar.ext_proc.body_queue import WAIT_SECONDS
from sidecar.gate.check_response import DECISION_ID, REASON
from sidecar.service.config import SidecarConfig
from tests.process.envoy.config import (
    ALL,
    COUNTED,
    GATE,
    SEAL,
    TYPES,
    Config,
    filters,
    loaded,
    manager,
)
from tests.process.envoy.counting import matcher, skipped
from tests.process.envoy.local_replies import local_replies, shape_of
from tests.process.envoy.sites import SITES


def test_every_reference_is_in_its_folder_and_described_in_its_readme() -> None:
    folder = repository_root() / "envoy"
    files = {path.stem for path in folder.glob("*.yaml")}
    told = re.findall(r"^\| \[`([a-z-]+)\.yaml`\]", (folder / "README.md").read_text(), re.M)
    assert (files, sorted(told), set(get_args(Gated))) == (set(ALL), sorted(ALL), set(SITES))


def ignoring_case(*names: str) -> list[dict[str, Any]]:
    return [{"exact": name, "ignore_case": True} for name in names]


@pytest.fixture
def config() -> Config:
    return loaded("jwt")


def test_nothing_but_a_refusal_comes_before_the_gate_and_the_credential_only_after_it(
    config: Config,
) -> None:
    assert list(filters(config)) == [
        COUNTED,
        GATE,
        SEAL,
        "envoy.filters.http.credential_injector",
        "envoy.filters.http.router",
    ]


def test_the_gate_counts_what_is_large_or_states_no_length_and_nothing_else(
    config: Config,
) -> None:
    found = filters(config)[COUNTED]
    only = matcher(config)
    assert only["predicate"] == skipped("/v1")
    assert only["on_match"]["action"]["typed_config"] == {
        "@type": TYPES + "filters.common.matcher.action.v3.SkipFilter"
    }
    processor = found["extension_config"]["typed_config"]
    assert processor["grpc_service"] == {
        "envoy_grpc": {"cluster_name": "gate"},
        "initial_metadata": [
            {"key": STREAM, "value": BODIES},
            {"key": API, "value": "openai"},
        ],
    }
    assert processor["failure_mode_allow"] is False
    # The gate refuses a body that waits longer than this, and says why.
    assert processor["message_timeout"] == "10s"
    assert WAIT_SECONDS < 10
    assert processor["processing_mode"] == {
        "request_header_mode": "SEND",
        "request_body_mode": "STREAMED",
        "request_trailer_mode": "SKIP",
        "response_header_mode": "SKIP",
        "response_body_mode": "NONE",
        "response_trailer_mode": "SKIP",
    }


def required(key: str, value: Config) -> Config:
    """What the seal requires of one field of the gate's metadata."""
    matcher = {"filter": GATE, "path": [{"key": key}], "value": value}
    return {"sourced_metadata": {"metadata_matcher": matcher}}


def test_the_seal_passes_only_what_this_gate_admitted(config: Config) -> None:
    rules = [
        required("admitted", {"bool_match": True}),
        required(
            "gate", {"string_match": {"exact": SidecarConfig.model_fields["gate_name"].default}}
        ),
    ]
    admitted = {"permissions": [{"and_rules": {"rules": rules}}], "principals": [{"any": True}]}
    assert filters(config)[SEAL] == {
        "@type": TYPES + "filters.http.rbac.v3.RBAC",
        "rules_stat_prefix": "seal",
        "rules": {"action": "ALLOW", "policies": {"admitted": admitted}},
    }
    table = manager(config)["route_config"]
    for level in (table, *table["virtual_hosts"], *table["virtual_hosts"][0]["routes"]):
        assert SEAL not in level.get("typed_per_filter_config", {})


def test_the_gate_cannot_be_skipped_softened_or_misread(config: Config) -> None:
    assert filters(config)["envoy.filters.http.ext_authz"] == {
        "@type": TYPES + "filters.http.ext_authz.v3.ExtAuthz",
        "stat_prefix": "admissibility",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "gate"}, "timeout": "2s"},
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
        "deny_at_disable": {
            "default_value": True,
            "runtime_key": "admissibility.deny_at_disable",
        },
        "with_request_body": {
            "max_request_bytes": 27262976,
            "allow_partial_message": False,
            "pack_as_bytes": True,
        },
        "encode_raw_headers": True,
        "disallowed_headers": {
            "patterns": ignoring_case(
                "authorization",
                "proxy-authorization",
                "api-key",
                "x-api-key",
                "x-goog-api-key",
                "cookie",
            )
        },
        "include_peer_certificate": True,
        "include_tls_session": True,
        "validate_mutations": True,
        "decoder_header_mutation_rules": {
            "disallow_all": True,
            "disallow_is_error": True,
            "allow_expression": {
                "regex": "x-admissibility-[a-z0-9-]+|x-environment-(credential|specification)"
            },
        },
        "clear_route_cache": False,
    }


def test_the_provider_credential_replaces_the_clients_and_is_never_left_out(
    config: dict[str, Any],
) -> None:
    assert filters(config)["envoy.filters.http.credential_injector"] == {
        "@type": TYPES + "filters.http.credential_injector.v3.CredentialInjector",
        "overwrite": True,
        "allow_request_without_credential": False,
        "credential": {
            "name": "envoy.http.injected_credentials.generic",
            "typed_config": {
                "@type": TYPES + "http.injected_credentials.generic.v3.Generic",
                "header": "authorization",
                "credential": {
                    "name": "provider-credential",
                    "sds_config": {
                        "resource_api_version": "V3",
                        "path_config_source": {"path": "/etc/envoy/credential/provider.yaml"},
                    },
                },
            },
        },
    }


def test_every_path_of_every_host_has_a_route_through_the_gate(config: Config) -> None:
    (host,) = manager(config)["route_config"]["virtual_hosts"]
    to_provider = {
        "cluster": "provider",
        "timeout": "300s",
        "max_stream_duration": {"max_stream_duration": "300s"},
    }

    def checked(**settings: object) -> dict[str, Any]:
        per_route = TYPES + "filters.http.ext_authz.v3.ExtAuthzPerRoute"
        return {
            "envoy.filters.http.ext_authz": {"@type": per_route, "check_settings": settings},
        }

    upload = "/v1/(files|uploads|uploads/[A-Za-z0-9_-]+/parts)"
    assert host == {
        "name": "provider",
        "domains": ["*"],
        "routes": [
            {
                "match": {"safe_regex": {"regex": upload}},
                "route": to_provider,
                "typed_per_filter_config": checked(
                    context_extensions={"provider": "openai", "route_class": "upload"},
                    disable_request_body_buffering=True,
                ),
            },
            {
                "match": {"prefix": "/"},
                "route": to_provider,
                "typed_per_filter_config": checked(
                    context_extensions={"provider": "openai", "route_class": "api"}
                ),
            },
        ],
        "request_headers_to_remove": [
            "x-environment-credential",
            "x-environment-specification",
            "x-envoy-external-address",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-request-id",
        ],
        "response_headers_to_remove": sorted([DECISION_ID, MANIFEST_HEADER, REASON]),
    }


def test_paths_headers_and_streams_are_bounded_and_left_as_they_came(
    config: dict[str, Any],
) -> None:
    held = manager(config)
    assert held["local_reply_config"] == local_replies(shape_of("jwt"))
    aside = (
        "local_reply_config",
        "http_filters",
        "route_config",
        "access_log",
        "early_header_mutation_extensions",
    )
    assert {key: value for key, value in held.items() if key not in aside} == {
        "@type": TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "applications",
        "normalize_path": False,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "use_remote_address": True,
        "xff_num_trusted_hops": 0,
        "forward_client_cert_details": "SANITIZE",
        "generate_request_id": True,
        "preserve_external_request_id": False,
        "server_name": "admissibility-gateway",
        "server_header_transformation": "OVERWRITE",
        "request_headers_timeout": "5s",
        "request_timeout": "60s",
        "stream_idle_timeout": "120s",
        "max_request_headers_kb": 32,
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "max_headers_count": 64,
            "max_stream_duration": "300s",
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 262144,
            "initial_connection_window_size": 1048576,
        },
    }


def test_nothing_can_be_changed_through_the_admin_interface(config: Config) -> None:
    assert (config["admin"], config["layered_runtime"]) == (
        {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 9901}},
            "allow_paths": [
                {"exact": "/ready"},
                {"prefix": "/listeners"},
                {"prefix": "/clusters"},
                {"exact": "/server_info"},
                {"prefix": "/stats"},
            ],
        },
        {"layers": [{"name": "static", "static_layer": {}}]},
    )


def test_an_envoy_whose_heap_is_full_refuses_requests(config: Config) -> None:
    monitors = TYPES + "resource_monitors."
    heap = "envoy.resource_monitors.fixed_heap"

    def at(action: str, **when: object) -> Config:
        return {
            "name": f"envoy.overload_actions.{action}",
            "triggers": [{"name": heap, **when}],
        }

    assert config["overload_manager"] == {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": heap,
                "typed_config": {
                    "@type": monitors + "fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": 1 << 30,
                },
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": monitors + "downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": 10000,
                },
            },
        ],
        "actions": [
            at("shrink_heap", threshold={"value": 0.9}),
            at("stop_accepting_requests", threshold={"value": 0.95}),
        ],
    }


@pytest.mark.parametrize("name", sorted(get_args(Gated)))
def test_no_question_to_the_gate_waits_behind_a_large_one(name: Gated) -> None:
    clusters = loaded(name)["static_resources"]["clusters"]
    (gate,) = (each for each in clusters if each["name"] == "gate")
    (options,) = gate["typed_extension_protocol_options"].values()
    http2 = options["explicit_http_config"]["http2_protocol_options"]
    (bounds,) = gate["circuit_breakers"]["thresholds"]
    # A connection for each question, and so as many of them as there may be questions.
    assert http2["max_concurrent_streams"] == 1
    assert bounds["max_connections"] == bounds["max_requests"] == 1024
