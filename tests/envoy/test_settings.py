"""Every setting that the argument rests on is in `jwt.yaml` with its value, and every other
reference is `jwt.yaml` with exactly the differences that its purpose asks for."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from sidecar.toolchain import ToolchainError, envoy_path
from sidecar.toolchain.envoy_config import (
    Gated,
    Name,
    TlsFiles,
    credential_document,
    reference,
    render,
    render_edge,
)
from sidecar.toolchain.places import repository_root
from tests.envoy import registration, sigv4
from tests.envoy.certificates import serve_as
from tests.envoy.sites import SITES
from tests.integration.support.envoy import EnvoyProcess, exchange, request_bytes
from tests.integration.support.spiffe import TrustDomain

Config = dict[str, Any]
TYPES = "type.googleapis.com/envoy.extensions."
GATE = "envoy.filters.http.ext_authz"
PACE = "envoy.filters.http.local_ratelimit"
EDGE_ID = "spiffe://acme.example/edge"
ALL: list[Name] = [*SITES, "registration", "xfcc-edge"]


def test_every_reference_is_in_its_folder_and_told_in_its_readme() -> None:
    folder = repository_root() / "envoy"
    files = {path.stem for path in folder.glob("*.yaml")}
    told = re.findall(r"^\| \[`([a-z-]+)\.yaml`\]", (folder / "README.md").read_text(), re.M)
    assert (files, sorted(told), set(get_args(Gated))) == (set(ALL), sorted(ALL), set(SITES))


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


def loaded(name: Name) -> Config:
    found: Config = yaml.safe_load(reference(name))
    return found


@pytest.fixture
def config() -> Config:
    return loaded("jwt")


def test_nothing_but_a_refusal_comes_before_the_gate_and_the_credential_only_after_it(
    config: Config,
) -> None:
    assert list(filters(config)) == [
        PACE,
        GATE,
        "envoy.filters.http.credential_injector",
        "envoy.filters.http.router",
    ]


def bucket(tokens: int) -> Config:
    return {"max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": "1s"}


def counted(name: str, size: int) -> Config:
    """A call with a length above this is counted under this name."""
    length = {"name": "content-length", "range_match": {"start": size + 1, "end": (1 << 63) - 1}}
    match = {"descriptor_key": "body", "descriptor_value": name, "headers": [length]}
    return {"actions": [{"header_value_match": match}]}


def of(size: str, tokens: int) -> Config:
    return {"entries": [{"key": "body", "value": size}], "token_bucket": bucket(tokens)}


BODILESS = {"safe_regex": {"regex": "GET|HEAD|DELETE|OPTIONS"}}
UNSTATED = {
    "descriptor_key": "body",
    "descriptor_value": "over-8-MiB",
    "headers": [
        {"name": "content-length", "present_match": False},
        {"name": ":method", "string_match": BODILESS, "invert_match": True},
    ],
}
ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
PACED = {
    "@type": TYPES + "filters.http.local_ratelimit.v3.LocalRateLimit",
    "stat_prefix": "large_bodies",
    "filter_enabled": ALWAYS,
    "filter_enforced": ALWAYS,
    "rate_limits": [
        counted("over-1-MiB", 1 << 20),
        counted("over-8-MiB", 8 << 20),
        {"actions": [{"header_value_match": UNSTATED}]},
    ],
    "descriptors": [of("over-1-MiB", 24), of("over-8-MiB", 4)],
    "token_bucket": bucket(1000000),
}


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
            "max_request_bytes": 20971520,
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
                "typed_per_filter_config": {
                    **checked(context_extensions={"provider": "openai", "route_class": "api"}),
                    PACE: PACED,
                },
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


def test_a_full_envoy_refuses(config: Config) -> None:
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


# ---- the others, as differences ------------------------------------------------------------------


def chain(config: Config) -> Config:
    (listener,) = config["static_resources"]["listeners"]
    (only,) = listener["filter_chains"]
    assert isinstance(only, dict)
    return only


def mutations(config: Config) -> list[Config]:
    (early,) = manager(config)["early_header_mutation_extensions"]
    found: list[Config] = early["typed_config"]["mutations"]
    return found


def host(config: Config) -> Config:
    (only,) = manager(config)["route_config"]["virtual_hosts"]
    assert isinstance(only, dict)
    return only


def extensions(config: Config) -> list[Config]:
    return [
        route["typed_per_filter_config"][GATE]["check_settings"]["context_extensions"]
        for route in host(config)["routes"]
    ]


def provider(config: Config) -> Config:
    found = config["static_resources"]["clusters"][-1]
    assert found["name"] in ("provider", "second-hop")
    assert isinstance(found, dict)
    return found


SPIFFE = {
    "name": "envoy.tls.cert_validator.spiffe",
    "typed_config": {
        "@type": TYPES + "transport_sockets.tls.v3.SPIFFECertValidatorConfig",
        "trust_domains": [
            {"name": "acme.example", "trust_bundle": {"filename": "/run/spiffe/bundle.pem"}}
        ],
    },
}
SVID = [
    {
        "certificate_chain": {"filename": "/run/spiffe/svid.pem"},
        "private_key": {"filename": "/run/spiffe/svid.key"},
    }
]


def socket_of(kind: str, **settings: object) -> Config:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": TYPES + f"transport_sockets.tls.v3.{kind}", **settings},
    }


def named(kind: str, name: str) -> list[Config]:
    return [{"san_type": kind, "matcher": {"exact": name}}]


def mtls(config: Config) -> None:
    mutations(config).insert(0, {"remove": "x-environment-credential"})
    chain(config)["transport_socket"] = socket_of(
        "DownstreamTlsContext",
        require_client_certificate=True,
        disable_stateless_session_resumption=True,
        disable_stateful_session_resumption=True,
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": SVID,
            "validation_context": {"custom_validator_config": SPIFFE},
        },
    )


def xfcc_gate(config: Config) -> None:
    mtls(config)
    context = chain(config)["transport_socket"]["typed_config"]["common_tls_context"]
    context["validation_context"]["match_typed_subject_alt_names"] = named("URI", EDGE_ID)
    manager(config)["forward_client_cert_details"] = "FORWARD_ONLY"
    every = {"remove_on_match": {"key_matcher": {"prefix": "x-forwarded-", "ignore_case": True}}}
    place = mutations(config).index(every)
    mutations(config)[place : place + 1] = [
        {"remove": f"x-forwarded-{name}"}
        for name in ("for", "host", "port", "prefix", "proto", "scheme", "server", "uri")
    ]
    for told in extensions(config):
        told["xfcc_from"] = EDGE_ID
    host(config)["request_headers_to_remove"].insert(2, "x-forwarded-client-cert")


def xfcc_edge(config: Config) -> None:
    mtls(config)
    config["node"]["id"] = "admissibility-edge"
    held = manager(config)
    held["server_name"] = "admissibility-edge"
    held["forward_client_cert_details"] = "SANITIZE_SET"
    held["set_current_client_cert_details"] = {"cert": True, "uri": True}
    held["http_filters"] = held["http_filters"][-1:]
    (_, anything) = host(config)["routes"]
    del anything["typed_per_filter_config"]
    anything["route"]["cluster"] = "second-hop"
    one = {"name": "second-hop", "domains": ["*"], "routes": [anything]}
    held["route_config"] = {"name": "second-hop", "virtual_hosts": [one]}
    cluster = provider(config)
    config["static_resources"]["clusters"] = [cluster]
    cluster["name"] = cluster["load_assignment"]["cluster_name"] = "second-hop"
    address(cluster).update(port_value=10001)
    cluster["typed_extension_protocol_options"][HTTP]["explicit_http_config"] = {
        "http2_protocol_options": {}
    }
    cluster["transport_socket"] = socket_of(
        "UpstreamTlsContext",
        sni="gateway.acme.example",
        max_session_keys=0,
        common_tls_context={
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "alpn_protocols": ["h2"],
            "tls_certificates": SVID,
            "validation_context": {
                "custom_validator_config": SPIFFE,
                "match_typed_subject_alt_names": named("URI", "spiffe://acme.example/gateway"),
            },
        },
    )


HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def address(cluster: Config) -> Config:
    (locality,) = cluster["load_assignment"]["endpoints"]
    (endpoint,) = locality["lb_endpoints"]
    found = endpoint["endpoint"]["address"]["socket_address"]
    assert isinstance(found, dict)
    return found


def hosted(config: Config, name: str) -> None:
    """The provider is a public one, reached over TLS that is verified."""
    cluster = provider(config)
    cluster.update(type="LOGICAL_DNS", dns_lookup_family="V4_PREFERRED", connect_timeout="5s")
    address(cluster).update(address=name, port_value=443)
    cluster["transport_socket"] = socket_of(
        "UpstreamTlsContext",
        sni=name,
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "validation_context": {
                "trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"},
                "match_typed_subject_alt_names": named("DNS", name),
            },
        },
    )


def rewritten(config: Config, name: str) -> None:
    hosted(config, name)
    for route in host(config)["routes"]:
        route["route"] = {**route["route"], "host_rewrite_literal": name}


def egress(config: Config) -> None:
    rewritten(config, "api.openai.com")
    _, connections = config["overload_manager"]["resource_monitors"]
    connections["typed_config"]["max_active_downstream_connections"] = 1000


def azure(config: Config) -> None:
    rewritten(config, "acme-models.openai.azure.com")
    for told in extensions(config):
        told.update(provider="azure", api="azure")
    upload = "/openai(/v1)?/(files|uploads|uploads/[A-Za-z0-9_-]+/parts)"
    host(config)["routes"][0]["match"] = {"safe_regex": {"regex": upload}}
    host(config)["request_headers_to_remove"].append("x-ms-oai-image-generation-deployment")
    injector = filters(config)["envoy.filters.http.credential_injector"]
    injector["credential"]["typed_config"]["header"] = "api-key"


def bedrock(config: Config) -> None:
    hosted(config, "bedrock-runtime.eu-central-1.amazonaws.com")
    del host(config)["routes"][0]
    for told in extensions(config):
        told.update(provider="bedrock", api="bedrock")
    amazon = {"remove_on_match": {"key_matcher": {"prefix": "x-amz-", "ignore_case": True}}}
    mutations(config).insert(mutations(config).index({"remove": "openai-project"}) + 1, amazon)
    signer = {
        "@type": TYPES + "filters.http.aws_request_signing.v3.AwsRequestSigning",
        "service_name": "bedrock",
        "region": "eu-central-1",
        "host_rewrite": "bedrock-runtime.eu-central-1.amazonaws.com",
        "use_unsigned_payload": False,
        "match_included_headers": [{"exact": "content-type"}],
        "credential_provider": {
            "custom_credential_provider_chain": True,
            "credentials_file_provider": {
                "credentials_data_source": {
                    "filename": "/etc/envoy/credential/aws",
                    "watched_directory": {"path": "/etc/envoy/credential"},
                }
            },
        },
    }
    signature = {
        "name": "authorization",
        "string_match": {"prefix": "AWS4-HMAC-SHA256 Credential="},
    }
    guard = {
        "@type": TYPES + "filters.http.rbac.v3.RBAC",
        "rules": {
            "action": "ALLOW",
            "policies": {
                "signed": {"permissions": [{"header": signature}], "principals": [{"any": True}]}
            },
        },
    }
    manager(config)["http_filters"][2:3] = [
        {"name": "envoy.filters.http.aws_request_signing", "typed_config": signer},
        {"name": "envoy.filters.http.rbac", "typed_config": guard},
    ]


SERVED = (
    *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"),
    *("/v1/messages", "/v1/messages/count_tokens"),
    *("/v1/audio/speech", "/v1/audio/transcriptions", "/v1/audio/translations"),
    *("/v1/models", "/v1/score", "/v1/rerank", "/v2/rerank", "/score", "/rerank"),
    *("/pooling", "/classify", "/tokenize", "/detokenize", "/health"),
)


def vllm(config: Config) -> None:
    (_, route) = host(config)["routes"]
    route["route"] = {**route["route"], "host_rewrite_literal": "vllm.internal"}
    asked = route["typed_per_filter_config"]
    extensions(config)[1].update(provider="vllm", api="vllm")
    one_model = {"safe_regex": {"regex": "/v1/models/[^/]+"}}
    matches: list[Config] = [*({"path": path} for path in SERVED), one_model]
    host(config)["routes"] = [
        *({**route, "match": match} for match in matches),
        {
            "match": {"prefix": "/"},
            "direct_response": {"status": 403},
            "typed_per_filter_config": asked,
        },
    ]


def registered(config: Config) -> None:
    (gate,) = (each for each in config["static_resources"]["clusters"] if each["name"] == "gate")
    registration.change(host(config), manager(config)["http_filters"], gate)


DIFFERENCES: dict[Name, Callable[[Config], None]] = {
    "jwt": lambda _: None,
    "mtls": mtls,
    "xfcc-gate": xfcc_gate,
    "xfcc-edge": xfcc_edge,
    "egress": egress,
    "azure": azure,
    "bedrock": bedrock,
    "vllm": vllm,
    "registration": registered,
}


@pytest.mark.parametrize("name", ALL)
def test_each_reference_is_the_first_with_exactly_its_own_differences(name: Name) -> None:
    expected = loaded("jwt")
    DIFFERENCES[name](expected)
    assert loaded(name) == expected


def test_only_one_host_is_trusted_asked_for_and_signed_for() -> None:
    for name in ("egress", "azure", "bedrock"):
        text = re.sub(r"^ *#.*$", "", reference(name), flags=re.M)
        assert set(re.findall(r"[a-z0-9.-]+\.(?:com|example)\b", text)) == {
            "type.googleapis.com",
            SITES[name].host,
        }


def test_the_lines_that_end_tls_at_a_shared_edge_do_so(tmp_path: Path) -> None:
    text, replaced = re.subn(r"^#\|", "", reference("jwt"), flags=re.M)
    assert replaced == 10
    _, roots = serve_as("gateway.example", tmp_path / "tls")
    for name in ("gateway.pem", "gateway.key"):
        text = text.replace(f"/etc/envoy/tls/{name}", str(tmp_path / "tls" / "server.pem"))
    config = yaml.safe_load(text)
    assert list(chain(config)) == ["name", "transport_socket", "filters"]
    socket = chain(config).pop("transport_socket")
    rendered = yaml.safe_load(render(yaml.safe_dump(config), **places(tmp_path, "jwt")))
    chain(rendered)["transport_socket"] = socket
    (listener,) = rendered["static_resources"]["listeners"]
    listener["address"]["socket_address"]["port_value"] = 0
    rendered["admin"]["address"]["socket_address"]["port_value"] = 0
    trusting = ssl.create_default_context(cafile=str(roots))
    with EnvoyProcess(yaml.safe_dump(rendered), tmp_path / "envoy") as envoy:
        answer = exchange(envoy.port, request_bytes("POST", "/v1/x"), trusting)
    assert answer.status == 503  # by way of TLS; there is no gate


def places(folder: Path, name: Name) -> dict[str, Any]:
    credential = folder / "credential.yaml"
    key = sigv4.credentials_file() if name == "bedrock" else credential_document("Bearer sk-x")
    credential.write_text(key, encoding="utf-8")
    site = next((each for each in SITES.values() if each.name == name), SITES["jwt"])
    roots = serve_as(site.host, folder / "roots")[1] if site.tls else None
    return {
        "listener_port": 1,
        "admin_port": 2,
        "gate": ("127.0.0.3", 3),
        "upstream": ("127.0.0.4", 4),
        "credential_file": credential,
        "tls": files(folder) if site.mutual else None,
        "provider_roots": roots,
        "hop": "spiffe://corp.example/door" if name == "xfcc-gate" else None,
    }


def files(folder: Path) -> TlsFiles:
    domain = TrustDomain("corp.example", folder / "spiffe")
    svid = domain.issue("/gateway")
    return TlsFiles(svid.certificate, svid.private_key, domain.name, domain.bundle)


def edge_places(folder: Path) -> dict[str, Any]:
    return {
        "listener_port": 1,
        "admin_port": 2,
        "second_hop": ("127.0.0.3", 3),
        "peer": "spiffe://corp.example/next",
        "tls": files(folder),
    }


def rendered(name: Name, folder: Path) -> str:
    if name == "xfcc-edge":
        return render_edge(reference(name), **edge_places(folder))
    return render(reference(name), **places(folder, name))


@pytest.mark.parametrize("name", ALL)
def test_envoy_itself_accepts_each_file_without_a_warning(name: Name, tmp_path: Path) -> None:
    path = tmp_path / "envoy.yaml"
    path.write_text(rendered(name, tmp_path), encoding="utf-8")
    ran = subprocess.run(
        [str(envoy_path()), "--mode", "validate", "-c", str(path), "--log-level", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"configuration '{path}' OK\n", "")


def put(config: Config, filled: dict[str, Any]) -> None:
    """What filling in the places is to change, told by the paths to them."""
    config["admin"]["address"]["socket_address"]["port_value"] = 2
    (listener,) = config["static_resources"]["listeners"]
    listener["address"]["socket_address"]["port_value"] = 1
    for cluster, number in zip(config["static_resources"]["clusters"], (3, 4), strict=False):
        address(cluster).update(address=f"127.0.0.{number}", port_value=number)
    holders = [chain(config), provider(config)]
    for holder in holders if filled["tls"] else []:
        if "transport_socket" in holder:
            put_tls(holder["transport_socket"]["typed_config"]["common_tls_context"], filled["tls"])


def put_tls(common: Config, tls: TlsFiles) -> None:
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


@pytest.mark.parametrize("name", SITES)
def test_rendering_changes_the_places_and_nothing_else(name: Gated, tmp_path: Path) -> None:
    filled = places(tmp_path, name)
    expected = loaded(name)
    put(expected, filled)
    key = str(filled["credential_file"])
    if name == "bedrock":
        source = filters(expected)["envoy.filters.http.aws_request_signing"]["credential_provider"]
        source["credentials_file_provider"]["credentials_data_source"] = {
            "filename": key,
            "watched_directory": {"path": str(tmp_path)},
        }
    else:
        injector = filters(expected)["envoy.filters.http.credential_injector"]
        source = injector["credential"]["typed_config"]["credential"]["sds_config"]
        source["path_config_source"]["path"] = key
    if filled["provider_roots"]:
        common = provider(expected)["transport_socket"]["typed_config"]["common_tls_context"]
        common["validation_context"]["trusted_ca"] = {"filename": str(filled["provider_roots"])}
    if filled["hop"]:
        common = chain(expected)["transport_socket"]["typed_config"]["common_tls_context"]
        common["validation_context"]["match_typed_subject_alt_names"] = named("URI", filled["hop"])
        for told in extensions(expected):
            told["xfcc_from"] = filled["hop"]
    assert yaml.safe_load(render(reference(name), **filled)) == expected


def test_rendering_the_first_hop_changes_its_places_and_nothing_else(tmp_path: Path) -> None:
    filled = edge_places(tmp_path)
    expected = loaded("xfcc-edge")
    put(expected, filled)
    common = provider(expected)["transport_socket"]["typed_config"]["common_tls_context"]
    common["validation_context"]["match_typed_subject_alt_names"] = named("URI", filled["peer"])
    assert yaml.safe_load(render_edge(reference("xfcc-edge"), **filled)) == expected


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("jwt", {"name: gate\n": "name: other\n"}, "has 0 × gate; expected 1"),
        ("jwt", {"name: provider-credential": "name: another"}, "0 × credential source"),
        ("bedrock", {"credentials_file_provider": "another"}, "0 × credential source"),
        ("jwt", {"    - name: applications\n": "    - name: x\n"}, "0 × applications"),
    ],
)
def test_a_place_that_is_missing_is_an_error_and_not_a_default(
    name: Gated, changes: dict[str, str], message: str, tmp_path: Path
) -> None:
    text = reference(name)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(ToolchainError, match=message):
        render(text, **places(tmp_path, name))


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("mtls", "tls", "has a TLS listener; its files must be given"),
        ("egress", "provider_roots", "reaches its provider over TLS; give its roots"),
        ("xfcc-gate", "hop", "believes another hop; its name must be given"),
    ],
)
def test_what_a_file_needs_must_be_given_and_what_it_has_no_place_for_must_not(
    name: Gated, place: str, message: str, tmp_path: Path
) -> None:
    filled = places(tmp_path, name)
    with pytest.raises(ToolchainError, match=message):
        render(reference(name), **{**filled, place: None})
    with pytest.raises(ToolchainError, match="has 0 × "):
        render(reference("jwt"), **{**places(tmp_path, "jwt"), place: filled[place]})


@pytest.mark.parametrize("value", ["", " Bearer x", "Bearer x\n", "Bearer \x00", "Bearer é"])
def test_a_credential_that_no_header_can_carry_is_refused_at_once(value: str) -> None:
    with pytest.raises(ToolchainError, match="credential is empty or holds"):
        credential_document(value)
