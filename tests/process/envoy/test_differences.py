"""Every other reference is `jwt.yaml` with exactly the differences that its purpose asks for.

They are written a second time here, so that a setting lost in one of the files is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from admissibility_devtools.tools.envoy_config import Name, reference
from sidecar.ext_proc.body_counter import API
from tests.process.envoy import registration
from tests.process.envoy.config import (
    ALL,
    COUNTED,
    HTTP,
    TYPES,
    Config,
    address,
    chain,
    extensions,
    filters,
    host,
    loaded,
    manager,
    mutations,
    named,
    provider,
)
from tests.process.envoy.counting import uploads_below
from tests.process.envoy.local_replies import local_replies, shape_of
from tests.process.envoy.sites import SITES

EDGE_ID = "spiffe://acme.example/edge"
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
    manager(config)["forward_client_cert_details"] = "SANITIZE_SET"
    manager(config)["set_current_client_cert_details"] = {"chain": True}
    host(config)["request_headers_to_remove"].insert(3, "x-forwarded-client-cert")


def xfcc_gate(config: Config) -> None:
    mtls(config)
    context = chain(config)["transport_socket"]["typed_config"]["common_tls_context"]
    context["validation_context"]["match_typed_subject_alt_names"] = named("URI", EDGE_ID)
    manager(config)["forward_client_cert_details"] = "FORWARD_ONLY"
    del manager(config)["set_current_client_cert_details"]
    every = {"remove_on_match": {"key_matcher": {"prefix": "x-forwarded-", "ignore_case": True}}}
    place = mutations(config).index(every)
    mutations(config)[place : place + 1] = [
        {"remove": f"x-forwarded-{name}"}
        for name in ("for", "host", "port", "prefix", "proto", "scheme", "server", "uri")
    ]
    for told in extensions(config):
        told["trusted_forwarder"] = EDGE_ID


def xfcc_edge(config: Config) -> None:
    mtls(config)
    config["node"]["id"] = "admissibility-edge"
    held = manager(config)
    held["server_name"] = "admissibility-edge"
    held["set_current_client_cert_details"] = {"cert": True, "chain": True, "uri": True}
    for name in ("x-forwarded-client-cert", "x-environment-specification"):
        host(config)["request_headers_to_remove"].remove(name)
    held["http_filters"] = held["http_filters"][-1:]
    del held["local_reply_config"]
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


def counted_as(config: Config, api: str) -> None:
    """Refusals of the filter that counts bodies have this API's form of errors."""
    service = filters(config)[COUNTED]["extension_config"]["typed_config"]["grpc_service"]
    service["initial_metadata"][1] = {"key": API, "value": api}


def answering_as(config: Config, name: str) -> None:
    """What Envoy and the filter that counts bodies answer has this API's form of errors."""
    counted_as(config, name)
    manager(config)["local_reply_config"] = local_replies(shape_of(name))


def azure(config: Config) -> None:
    rewritten(config, "acme-models.openai.azure.com")
    for told in extensions(config):
        told.update(provider="azure", api="azure")
    answering_as(config, "azure")
    uploads_below(config, "/openai(/v1)?")
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
    answering_as(config, "bedrock")
    uploads_below(config, None)
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
    manager(config)["http_filters"][3:4] = [
        {"name": "envoy.filters.http.aws_request_signing", "typed_config": signer},
        {"name": "envoy.filters.http.rbac", "typed_config": guard},
    ]


def vertex(config: Config) -> None:
    del host(config)["routes"][0]
    rewritten(config, "europe-west4-aiplatform.googleapis.com")
    for told in extensions(config):
        told.update(provider="vertex", api="vertex")
    answering_as(config, "vertex")
    uploads_below(config, None)


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
    counted_as(config, "vllm")
    uploads_below(config, None)
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
    uploads_below(config, "/(v1|openai|openai/v1)")
    registration.change(host(config), manager(config)["http_filters"], gate)


def sandbox(config: Config) -> None:
    config["admin"]["address"]["socket_address"]["port_value"] = 9902
    config["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = 10002
    for told in extensions(config):
        told["sandbox"] = "true"
    (policy,) = filters(config)["admissibility.seal"]["rules"]["policies"].values()
    (admitted, _) = policy["permissions"][0]["and_rules"]["rules"]
    admitted["sourced_metadata"]["metadata_matcher"]["path"] = [{"key": "sandbox"}]


def sandbox_of(change: Callable[[Config], None]) -> Callable[[Config], None]:
    """A sandbox differs from the reference of its provider as that of OpenAI does from its own."""

    def both(config: Config) -> None:
        change(config)
        sandbox(config)

    return both


DIFFERENCES: dict[Name, Callable[[Config], None]] = {
    "jwt": lambda _: None,
    "mtls": mtls,
    "xfcc-gate": xfcc_gate,
    "xfcc-edge": xfcc_edge,
    "egress": egress,
    "azure": azure,
    "bedrock": bedrock,
    "vertex": vertex,
    "vllm": vllm,
    "registration": registered,
    "sandbox": sandbox,
    "sandbox-azure": sandbox_of(azure),
    "sandbox-bedrock": sandbox_of(bedrock),
    "sandbox-vertex": sandbox_of(vertex),
    "sandbox-vllm": sandbox_of(vllm),
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
