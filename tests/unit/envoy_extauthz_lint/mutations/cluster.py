"""Where the gate and the provider are, and how it is known that it is they."""

from __future__ import annotations

from tests.unit.envoy_extauthz_lint.edit import Edit
from tests.unit.envoy_extauthz_lint.mutations.case import TRUSTED, aggregate, breaks, hosted, socket
from tests.unit.envoy_extauthz_lint.mutations.unchecked import endpoints_from_elsewhere


@breaks("cluster-gate-remote")
def gate_far_away(edit: Edit) -> None:
    endpoints = edit.clusters[0]["load_assignment"]["endpoints"]
    address = endpoints[0]["lb_endpoints"][0]["endpoint"]["address"]
    address["socket_address"]["address"] = "192.0.2.1"


@breaks("cluster-gate-remote")
def gate_far_away_without_a_cluster(edit: Edit) -> None:
    service = edit.gate["grpc_service"]
    del service["envoy_grpc"]
    service["google_grpc"] = {"target_uri": "dns:///gate.example:9191", "stat_prefix": "gate"}
    del edit.clusters[0]


@breaks("cluster-gate-elsewhere")
def gate_or_something_else(edit: Edit) -> None:
    del edit.clusters[0]["type"]
    edit.clusters[0]["cluster_type"] = {"name": "envoy.clusters.aggregate"}


@breaks("cluster-provider-plaintext")
def provider_in_the_open_in_so_many_words(edit: Edit) -> None:
    hosted(edit)
    edit.clusters[1]["transport_socket"] = socket("raw_buffer.v3.RawBuffer")


@breaks("cluster-provider-plaintext")
def provider_in_the_open_behind_a_proxy(edit: Edit) -> None:
    hosted(edit)
    kind = "http_11_proxy.v3.Http11ProxyUpstreamTransport"
    edit.clusters[1]["transport_socket"] = socket(kind)


@breaks("cluster-provider-plaintext")
def provider_in_the_open_by_a_match(edit: Edit) -> None:
    hosted(edit, common_tls_context=TRUSTED, auto_sni_san_validation=True)
    plain = {"name": "plain", "match": {"tls": "no"}}
    plain["transport_socket"] = socket("raw_buffer.v3.RawBuffer")
    edit.clusters[1]["transport_socket_matches"] = [plain]


@breaks("cluster-provider-plaintext", "unchecked-clusters")
def endpoints_from_elsewhere_in_the_open(edit: Edit) -> None:
    endpoints_from_elsewhere(edit)
    del edit.clusters[1]["transport_socket"]


@breaks("cluster-provider-plaintext")
def provider_in_the_open(edit: Edit) -> None:
    hosted(edit)


@breaks("cluster-provider-plaintext")
def model_server_in_the_open(edit: Edit) -> None:
    hosted(edit)
    endpoints = edit.clusters[1]["load_assignment"]["endpoints"]
    address = endpoints[0]["lb_endpoints"][0]["endpoint"]["address"]
    address["socket_address"]["address"] = "vllm.example"


@breaks("cluster-provider-unverified")
def any_certificate(edit: Edit) -> None:
    hosted(edit, common_tls_context={})


@breaks("cluster-provider-unverified")
def any_certificate_over_quic(edit: Edit) -> None:
    hosted(edit)
    context = {"sni": "api.openai.com", "common_tls_context": {}}
    kind = "quic.v3.QuicUpstreamTransport"
    edit.clusters[1]["transport_socket"] = socket(kind, upstream_tls_context=context)


@breaks("cluster-provider-unverified")
def any_certificate_behind_a_proxy_header(edit: Edit) -> None:
    hosted(edit, common_tls_context={})
    inner = edit.clusters[1]["transport_socket"]
    kind = "proxy_protocol.v3.ProxyProtocolUpstreamTransport"
    edit.clusters[1]["transport_socket"] = socket(kind, transport_socket=inner)


@breaks("cluster-provider-unverified")
def certificate_of_an_unknown_kind(edit: Edit) -> None:
    hosted(edit)
    edit.clusters[1]["transport_socket"] = socket("alts.v3.Alts")


@breaks("cluster-provider-unverified")
def any_certificate_of_one_of_several(edit: Edit) -> None:
    hosted(edit, common_tls_context={})
    aggregate(edit, "all")
    for route in edit.host["routes"]:
        route["route"]["cluster"] = "all"


@breaks("cluster-provider-unverified")
def any_name(edit: Edit) -> None:
    trusted = {"trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"}}
    hosted(edit, common_tls_context={"validation_context": trusted})


@breaks("cluster-provider-unverified")
def untrusted_accepted(edit: Edit) -> None:
    context = {
        "trusted_ca": {"filename": "/ca.pem"},
        "trust_chain_verification": "ACCEPT_UNTRUSTED",
    }
    hosted(edit, common_tls_context={"validation_context": context})
