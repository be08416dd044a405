"""Check the connections to the gate and to providers (family ``cluster``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint.cluster import (
    ELSEWHERE,
    VALIDATION,
    accepts_untrusted,
    addresses,
    chooses,
    eds,
    kind,
    members,
    sockets,
    validations,
)
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.matching import LOOPBACK
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.view import View

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

GATE_REMOTE = LintRule(
    "cluster-gate-remote",
    WARNING,
    "the gate is asked over the network without TLS",
    "An attacker on the network path can answer in its place; anyone who can reach it can claim "
    "any client certificate.",
    "Run the gate on loopback or a Unix socket, or use TLS with a verified name.",
)
GATE_ELSEWHERE = LintRule(
    "cluster-gate-elsewhere",
    ERROR,
    "another service than the gate can be asked in its place",
    "An aggregate cluster falls back to another one; the client chooses an original destination.",
    "Use one STATIC, STRICT_DNS or LOGICAL_DNS cluster that holds gates only.",
)
PLAINTEXT = LintRule(
    "cluster-provider-plaintext",
    ERROR,
    "requests go to a provider without TLS",
    "Credential, prompt and response are readable on the network, and can be forged.",
    "A `transport_socket` with `UpstreamTlsContext`.",
    softer="warning where the host is not a known provider's (a model server in a private network)",
)
UNVERIFIED = LintRule(
    "cluster-provider-unverified",
    ERROR,
    "the certificate of a provider, or of the next hop, is not verified",
    "Without a CA Envoy accepts any certificate; without a name, any certificate of that CA. The "
    "credential goes to whatever server answers; `sni` alone verifies nothing.",
    "`validation_context` with `trusted_ca` and `match_typed_subject_alt_names` (or "
    "`auto_sni_san_validation`).",
    softer="warning where only the name is not verified",
)

RULES = (GATE_REMOTE, GATE_ELSEWHERE, PLAINTEXT, UNVERIFIED)


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    gate = view.config.clusters.get(view.gate_cluster)
    if gate is not None:
        yield from _gate(view, gate)
    yield from _targets(view)
    for name in sorted(view.providers | view.options.next_hops):
        cluster = view.config.clusters.get(name)
        if cluster is not None:
            yield from _provider(view, cluster)


def _away(view: View, cluster: ConfigNode) -> list[str]:
    """Return the addresses of a cluster that are not loopback."""
    found = addresses(view.config.assignment(cluster))
    return [one for one in found if not LOOPBACK.fullmatch(one)]


def _gate(view: View, cluster: ConfigNode) -> Iterator[LintFinding]:
    if chooses(cluster) or kind(cluster) in ELSEWHERE:
        yield GATE_ELSEWHERE.at(cluster, "this cluster type lets another service be asked")
    away = _away(view, cluster)
    if away and any(one.plain for one in sockets(cluster)):
        yield GATE_REMOTE.at(cluster, f"the gate is asked at {away[0]} without TLS")


def _targets(view: View) -> Iterator[LintFinding]:
    """Check gates that are asked through `google_grpc`, which has no cluster."""
    for gate in (gate for manager in view.managers for gate in view.gates(manager)):
        client = gate.config.at("grpc_service", "google_grpc")
        if client is None or _secured(client):
            continue
        target = client.text("target_uri")
        host = target.partition("://")[2].lstrip("/") or target
        if not (target.startswith("unix:") or LOOPBACK.fullmatch(host.rpartition(":")[0])):
            yield GATE_REMOTE.at(client, f"the gate is asked at {target} without TLS")


def _secured(client: ConfigNode) -> bool:
    """Return whether a gRPC client has channel credentials."""
    return (
        client.has("channel_credentials_plugin")
        or client.at("channel_credentials", "ssl_credentials") is not None
    )


def _provider(view: View, cluster: ConfigNode) -> Iterator[LintFinding]:
    if members(cluster):
        return  # no endpoints of its own; each member is checked by itself
    hosts, away = view.hosts(cluster), _away(view, cluster)
    known = any(view.is_provider_host(host) for host in hosts)
    unseen = eds(cluster) and view.config.assignment(cluster) is None
    for one in sockets(cluster):
        if one.tls is not None:
            yield from _verified(cluster, one.tls)
        elif one.other:
            message = f"the transport socket of cluster {cluster.text('name')} is unknown"
            yield UNVERIFIED.at(one.node, f"{message}: {one.other}", WARNING)
        elif known or away or unseen:
            text = (*away, *hosts, "endpoints that are not in this file")[0]
            yield PLAINTEXT.at(one.node, f"plain HTTP to {text}", ERROR if known else WARNING)


def _verified(cluster: ConfigNode, context: ConfigNode) -> Iterator[LintFinding]:
    common = context.get("common_tls_context")
    if common is None or not common.has(*VALIDATION):
        yield UNVERIFIED.at(context, f"cluster {cluster.text('name')} takes any certificate")
        return
    inline = validations(common)
    discovered = common.has("validation_context_sds_secret_config", "combined_validation_context")
    trusts = ("trusted_ca", "ca_certificate_provider_instance", "system_root_certs")
    pinned = ("verify_certificate_spki", "verify_certificate_hash")
    for one in inline:
        if accepts_untrusted(one):
            yield UNVERIFIED.at(one, "ACCEPT_UNTRUSTED: any certificate is taken")
            return
        if not discovered and not one.has(*trusts, *pinned, "custom_validator_config"):
            yield UNVERIFIED.at(one, "no CA: any certificate is taken")
            return
    names = ("match_typed_subject_alt_names", "match_subject_alt_names", "custom_validator_config")
    named = any(one.has(*names, *pinned) for one in inline)
    if not (named or _automatic(cluster, context) or (discovered and not inline)):
        yield UNVERIFIED.at(context, "any name under the CA is taken", WARNING)


def _automatic(cluster: ConfigNode, context: ConfigNode) -> bool:
    """Return whether Envoy derives the name from the SNI, here or in the cluster's HTTP options."""
    if context.flag("auto_sni_san_validation"):
        return True
    name = "upstream_http_protocol_options"
    entries = cluster.entries("typed_extension_protocol_options").values()
    options = [cluster.get(name), *(entry.typed()[1].get(name) for entry in entries)]
    return any(one is not None and one.flag("auto_san_validation") for one in options)
