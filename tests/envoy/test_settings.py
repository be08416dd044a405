"""Every setting that the argument rests on is in both reference configurations, with its value."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from sidecar.toolchain import ToolchainError, envoy_path
from sidecar.toolchain.envoy_config import TlsFiles, credential_document, reference, render
from tests.integration.support.spiffe import TrustDomain

Name = Literal["jwt", "mtls"]
BOTH: tuple[Name, ...] = ("jwt", "mtls")
TYPES = "type.googleapis.com/envoy.extensions."


def manager(config: dict[str, Any]) -> dict[str, Any]:
    (listener,) = config["static_resources"]["listeners"]
    (chain,) = listener["filter_chains"]
    (only,) = chain["filters"]
    typed: dict[str, Any] = only["typed_config"]
    return typed


def filters(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each["typed_config"] for each in manager(config)["http_filters"]}


def ignoring_case(*names: str) -> list[dict[str, Any]]:
    return [{"exact": name, "ignore_case": True} for name in names]


@pytest.fixture(params=BOTH)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(reference(request.param))
    return loaded


def test_the_gate_comes_first_and_the_credential_only_after_it(config: dict[str, Any]) -> None:
    assert list(filters(config)) == [
        "envoy.filters.http.ext_authz",
        "envoy.filters.http.credential_injector",
        "envoy.filters.http.router",
    ]


def test_the_gate_cannot_be_skipped_softened_or_misread(config: dict[str, Any]) -> None:
    assert filters(config)["envoy.filters.http.ext_authz"] == {
        "@type": TYPES + "filters.http.ext_authz.v3.ExtAuthz",
        "stat_prefix": "admissibility",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "gate"}, "timeout": "1s"},
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
        "deny_at_disable": {
            "default_value": True,
            "runtime_key": "admissibility.deny_at_disable",
        },
        "with_request_body": {
            "max_request_bytes": 1048576,
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
            "allow_expression": {"regex": "x-admissibility-[a-z0-9-]+|x-environment-credential"},
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


def test_every_path_of_every_host_has_a_route_through_the_gate(config: dict[str, Any]) -> None:
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
            "x-envoy-external-address",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-request-id",
        ],
    }


def test_paths_headers_and_streams_are_bounded_and_left_as_they_came(
    config: dict[str, Any],
) -> None:
    held = manager(config)
    aside = ("http_filters", "route_config", "access_log", "early_header_mutation_extensions")
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


def test_nothing_can_be_changed_through_the_admin_interface(config: dict[str, Any]) -> None:
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


def test_mtls_is_jwt_with_exactly_two_differences() -> None:
    jwt, mtls = (yaml.safe_load(reference(name)) for name in BOTH)
    (listener,) = mtls["static_resources"]["listeners"]
    socket = listener["filter_chains"][0].pop("transport_socket")["typed_config"]
    (early,) = manager(mtls)["early_header_mutation_extensions"]
    early["typed_config"]["mutations"].remove({"remove": "x-environment-credential"})
    assert mtls == jwt
    assert socket == {
        "@type": TYPES + "transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "disable_stateless_session_resumption": True,
        "disable_stateful_session_resumption": True,
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": "/run/spiffe/svid.pem"},
                    "private_key": {"filename": "/run/spiffe/svid.key"},
                }
            ],
            "validation_context": {
                "custom_validator_config": {
                    "name": "envoy.tls.cert_validator.spiffe",
                    "typed_config": {
                        "@type": TYPES + "transport_sockets.tls.v3.SPIFFECertValidatorConfig",
                        "trust_domains": [
                            {
                                "name": "acme.example",
                                "trust_bundle": {"filename": "/run/spiffe/bundle.pem"},
                            }
                        ],
                    },
                }
            },
        },
    }


def places(folder: Path, name: Name) -> dict[str, Any]:
    credential = folder / "credential.yaml"
    credential.write_text(credential_document("Bearer sk-x"), encoding="utf-8")
    tls = None
    if name == "mtls":
        domain = TrustDomain("corp.example", folder / "spiffe")
        svid = domain.issue("/gateway")
        tls = TlsFiles(svid.certificate, svid.private_key, domain.name, domain.bundle)
    return {
        "listener_port": 1,
        "admin_port": 2,
        "gate": ("127.0.0.3", 3),
        "upstream": ("127.0.0.4", 4),
        "credential_file": credential,
        "tls": tls,
    }


@pytest.mark.parametrize("name", BOTH)
def test_envoy_itself_accepts_each_file_without_a_warning(name: Name, tmp_path: Path) -> None:
    path = tmp_path / "envoy.yaml"
    path.write_text(render(reference(name), **places(tmp_path, name)), encoding="utf-8")
    ran = subprocess.run(
        [str(envoy_path()), "--mode", "validate", "-c", str(path), "--log-level", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"configuration '{path}' OK\n", "")


@pytest.mark.parametrize("name", BOTH)
def test_rendering_changes_the_places_and_nothing_else(name: Name, tmp_path: Path) -> None:
    filled = places(tmp_path, name)
    rendered = yaml.safe_load(render(reference(name), **filled))
    expected = copy.deepcopy(yaml.safe_load(reference(name)))
    expected["admin"]["address"]["socket_address"]["port_value"] = 2
    (listener,) = expected["static_resources"]["listeners"]
    listener["address"]["socket_address"]["port_value"] = 1
    for cluster, address, port in zip(
        expected["static_resources"]["clusters"], ("127.0.0.3", "127.0.0.4"), (3, 4), strict=True
    ):
        (locality,) = cluster["load_assignment"]["endpoints"]
        (endpoint,) = locality["lb_endpoints"]
        endpoint["endpoint"]["address"]["socket_address"] = {"address": address, "port_value": port}
    injector = filters(expected)["envoy.filters.http.credential_injector"]
    source = injector["credential"]["typed_config"]["credential"]["sds_config"]
    source["path_config_source"]["path"] = str(filled["credential_file"])
    if name == "mtls":
        common = listener["filter_chains"][0]["transport_socket"]["typed_config"]
        common = common["common_tls_context"]
        tls: TlsFiles = filled["tls"]
        common["tls_certificates"] = [
            {
                "certificate_chain": {"filename": str(tls.certificate)},
                "private_key": {"filename": str(tls.private_key)},
            }
        ]
        validator = common["validation_context"]["custom_validator_config"]["typed_config"]
        validator["trust_domains"] = [
            {"name": "corp.example", "trust_bundle": {"filename": str(tls.trust_bundle)}}
        ]
    assert rendered == expected


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("jwt", "name: gate\n", "name: other\n", "has 0 × gate; expected 1"),
        ("jwt", "name: provider-credential", "name: another", "0 × credential source"),
        ("jwt", "- name: applications", "- name: elsewhere", "0 × applications"),
        ("mtls", "TLS", "TLS", "has a TLS listener; its files must be given"),
    ],
)
def test_a_place_that_is_missing_is_an_error_and_not_a_default(
    name: Name, old: str, new: str, message: str, tmp_path: Path
) -> None:
    text = reference(name)
    assert old in text
    with pytest.raises(ToolchainError, match=message):
        render(text.replace(old, new), **{**places(tmp_path, "jwt"), "tls": None})


def test_tls_files_for_a_plain_listener_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="has 0 × TLS listener"):
        render(reference("jwt"), **places(tmp_path, "mtls"))


@pytest.mark.parametrize("value", ["", " Bearer x", "Bearer x\n", "Bearer \x00", "Bearer é"])
def test_a_credential_that_no_header_can_carry_is_refused_at_once(value: str) -> None:
    with pytest.raises(ToolchainError, match="credential is empty or holds"):
        credential_document(value)
