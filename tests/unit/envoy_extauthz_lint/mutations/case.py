"""One change, how it is told which rule it breaks, and the hands that several changes share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from envoy_extauthz_lint import LintOptions
from tests.unit.envoy_extauthz_lint.edit import NETWORK, TLS, TYPES, UDP_PROXY, Edit

Change = Callable[[Edit], object]
FINDINGS = Path(__file__).parent.with_name("findings.json")
TRUSTED = {"validation_context": {"trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"}}}


@dataclass(frozen=True, slots=True)
class Case:
    """One change.

    Attributes:
        rule: The rule it breaks.
        change: Makes the change.
        base: The reference that is changed.
        options: What the operator says.
        also: Other rules that the same change breaks.
    """

    rule: str
    change: Change
    base: str = "jwt"
    options: LintOptions | None = None
    also: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.rule}/{self.change.__name__}"

    def found(self) -> list[str]:
        """Every finding of the changed reference."""
        edit = Edit(self.base)
        self.change(edit)
        return edit.found(self.options)


@cache
def known_findings() -> dict[str, list[str]]:
    """The findings of every case by its id, as recorded; ``test_rules`` compares each of them."""
    read: dict[str, list[str]] = json.loads(FINDINGS.read_text())
    return read


REGISTERED: list[Case] = []
"""Every change of the modules imported so far, in the order of their import."""


def breaks(
    rule: str,
    *also: str,
    base: str = "jwt",
    options: LintOptions | None = None,
) -> Callable[[Change], Change]:
    """Register a change as one that breaks ``rule``."""

    def register(change: Change) -> Change:
        REGISTERED.append(Case(rule, change, base, options, also))
        return change

    return register


def aggregate(edit: Edit, name: str) -> None:
    """One more cluster, which leads to the provider's."""
    kind = f"{TYPES}envoy.extensions.clusters.aggregate.v3.ClusterConfig"
    typed = {"name": "several", "typed_config": {"@type": kind, "clusters": ["provider"]}}
    edit.clusters.append({"name": name, "cluster_type": typed, "lb_policy": "CLUSTER_PROVIDED"})


def generic_proxy(cluster: str, **source: object) -> dict[str, object]:
    """A proxy that reads HTTP/1 by a codec of its own, and asks nobody."""
    kind = f"{NETWORK}generic_proxy."
    action = {"@type": f"{kind}action.v3.RouteAction", "name": "r", "cluster": cluster}
    routes = {"on_no_match": {"action": {"name": "r", "typed_config": action}}}
    host = {"name": "all", "hosts": ["*"], "routes": routes}
    typed = {
        "@type": f"{kind}v3.GenericProxy",
        "stat_prefix": "g",
        "codec_config": {
            "name": "http1",
            "typed_config": {"@type": f"{kind}codecs.http1.v3.Http1CodecConfig"},
        },
        "filters": [
            {"name": "router", "typed_config": {"@type": f"{kind}router.v3.Router"}},
        ],
        **(source or {"route_config": {"name": "all", "virtual_hosts": [host]}}),
    }
    return {"name": "generic", "typed_config": typed}


def tcp(edit: Edit, cluster: str, **chain: object) -> None:
    """One more filter chain, which passes connections to ``cluster`` as they are."""
    proxy = {"@type": f"{NETWORK}tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": cluster}
    entry = {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}
    edit.listener["filter_chains"].append({"filters": [entry], **chain})


def routed(action: dict[str, object]) -> dict[str, object]:
    """A UDP proxy's tree of matchers: one action for an address, another one for the rest."""
    source = f"{TYPES}envoy.extensions.matching.common_inputs.network.v3.SourceIPInput"
    to_gate = {"@type": f"{UDP_PROXY}v3.Route", "cluster": "gate"}
    tree = {
        "input": {"name": "source", "typed_config": {"@type": source}},
        "exact_match_map": {"map": {"127.0.0.9": {"action": {"name": "a", **action}}}},
    }
    rest = {"action": {"name": "gate", "typed_config": to_gate}}
    return {"on_no_match": {"matcher": {"matcher_tree": tree, "on_no_match": rest}}}


def hosted(edit: Edit, **context: object) -> None:
    """The provider is a public one; with a ``context`` for TLS, or in the open."""
    endpoints = edit.clusters[1]["load_assignment"]["endpoints"]
    address = endpoints[0]["lb_endpoints"][0]["endpoint"]["address"]
    address["socket_address"] = {"address": "api.openai.com", "port_value": 443}
    if context:
        typed = {"@type": f"{TYPES}{TLS}UpstreamTlsContext", "sni": "api.openai.com", **context}
        edit.clusters[1]["transport_socket"] = {"name": "tls", "typed_config": typed}


def socket(kind: str, **settings: object) -> dict[str, object]:
    """A transport socket of some kind."""
    typed = {"@type": f"{TYPES}envoy.extensions.transport_sockets.{kind}", **settings}
    return {"name": "socket", "typed_config": typed}
