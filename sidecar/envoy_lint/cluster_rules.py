"""Family *cluster*: that the gate is the gate, and the provider the provider."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.envoy_lint.finding import Finding, Rule, Severity
from sidecar.envoy_lint.matching import LOOPBACK
from sidecar.envoy_lint.node import Node
from sidecar.envoy_lint.view import VALIDATION, View, addresses, hosts, tls_contexts
from sidecar.envoy_lint.way_rules import chooses

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
CUSTOM = ("envoy.clusters.aggregate", "envoy.clusters.composite", "envoy.clusters.dynamic_modules")

GATE_REMOTE = Rule(
    "cluster-gate-remote",
    WARNING,
    "the gate is asked over the network without TLS",
    "Who is on the path can answer in its name; who can write to it can name any client "
    "certificate.",
    "The gate on loopback or a Unix socket, or TLS to it with a verified name.",
)
GATE_ELSEWHERE = Rule(
    "cluster-gate-elsewhere",
    ERROR,
    "something else than the gate can be asked in its place",
    "An aggregate cluster falls back to another one, an original destination is the client's to "
    "choose.",
    "One STATIC, STRICT_DNS or LOGICAL_DNS cluster of nothing but gates.",
)
PLAINTEXT = Rule(
    "cluster-provider-plaintext",
    ERROR,
    "requests go to a provider without TLS",
    "Key, prompt and answer are in the open, and whoever is on the path can answer.",
    "A `transport_socket` with `UpstreamTlsContext`.",
    softer="warning where the host is not a known provider's (a model server in one's own network)",
)
UNVERIFIED = Rule(
    "cluster-provider-unverified",
    ERROR,
    "the certificate of a provider, or of the next hop, is not verified",
    "Without a CA Envoy takes any certificate; without a name it takes anybody's from that CA. "
    "The key goes to whoever answers; `sni` alone verifies nothing.",
    "`validation_context` with `trusted_ca` and `match_typed_subject_alt_names` (or "
    "`auto_sni_san_validation`).",
    softer="warning where only the name is not verified",
)

RULES = (GATE_REMOTE, GATE_ELSEWHERE, PLAINTEXT, UNVERIFIED)


def check(view: View) -> Iterator[Finding]:
    """Every finding of the family."""
    gate = view.config.clusters.get(view.gate_cluster)
    if gate is not None:
        yield from _gate(gate)
    for name in sorted(view.providers | view.options.next_hops):
        cluster = view.config.clusters.get(name)
        if cluster is not None:
            yield from _provider(view, cluster)


def _gate(cluster: Node) -> Iterator[Finding]:
    custom = cluster.at("cluster_type", "name")
    if chooses(cluster) or (custom is not None and custom.string() in CUSTOM):
        yield GATE_ELSEWHERE.at(cluster, "who is asked is decided elsewhere")
    away = [one for one in addresses(cluster) if not LOOPBACK.fullmatch(one)]
    if away and cluster.get("transport_socket") is None:
        yield GATE_REMOTE.at(cluster, f"the gate is asked at {away[0]} without TLS")


def _provider(view: View, cluster: Node) -> Iterator[Finding]:
    known = any(view.is_provider_host(host) for host in hosts(cluster))
    away = [one for one in addresses(cluster) if not LOOPBACK.fullmatch(one)]
    contexts = tls_contexts(cluster)
    if cluster.get("transport_socket") is None and not contexts:
        if known or away:
            told = away[0] if away else hosts(cluster)[0]
            message = f"plain HTTP to {told}"
            yield PLAINTEXT.at(cluster, message, ERROR if known else WARNING)
        return
    for context in contexts:
        yield from _verified(cluster, context)


def _verified(cluster: Node, context: Node) -> Iterator[Finding]:
    common = context.get("common_tls_context")
    if common is None or not common.has(*VALIDATION):
        yield UNVERIFIED.at(context, f"cluster {cluster.text('name')} takes any certificate")
        return
    checks = [common.get("validation_context")]
    checks.append(common.at("combined_validation_context", "default_validation_context"))
    inline = [one for one in checks if one is not None]
    discovered = common.has("validation_context_sds_secret_config", "combined_validation_context")
    trusts = ("trusted_ca", "ca_certificate_provider_instance", "system_root_certs")
    pinned = ("verify_certificate_spki", "verify_certificate_hash")
    for one in inline:
        if one.text("trust_chain_verification") in {"ACCEPT_UNTRUSTED", "1"}:
            yield UNVERIFIED.at(one, "ACCEPT_UNTRUSTED: any certificate is taken")
            return
        if not discovered and not one.has(*trusts, *pinned, "custom_validator_config"):
            yield UNVERIFIED.at(one, "no CA: any certificate is taken")
            return
    names = ("match_typed_subject_alt_names", "match_subject_alt_names", "custom_validator_config")
    named = any(one.has(*names, *pinned) for one in inline)
    if not (named or _automatic(cluster, context) or (discovered and not inline)):
        yield UNVERIFIED.at(context, "any name under the CA is taken", WARNING)


def _automatic(cluster: Node, context: Node) -> bool:
    """Whether Envoy derives the name from the SNI, here or in the cluster's HTTP options."""
    if context.flag("auto_sni_san_validation"):
        return True
    name = "upstream_http_protocol_options"
    entries = cluster.entries("typed_extension_protocol_options").values()
    options = [cluster.get(name), *(entry.typed()[1].get(name) for entry in entries)]
    return any(one is not None and one.flag("auto_san_validation") for one in options)
