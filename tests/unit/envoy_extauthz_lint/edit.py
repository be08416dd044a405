"""The reference configurations, and hands to change one thing in them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from envoy_extauthz_lint import LintOptions, LintReport, lint
from sidecar.cli.lint_options import lint_options

ENVOY = Path(__file__).resolve().parents[3] / "envoy"
TYPES = "type.googleapis.com/"
HTTP = f"{TYPES}envoy.extensions.filters.http."
NETWORK = f"{TYPES}envoy.extensions.filters.network."
LISTENER = f"{TYPES}envoy.extensions.filters.listener."
UDP_PROXY = f"{TYPES}envoy.extensions.filters.udp.udp_proxy."
GATE = "envoy.filters.http.ext_authz"
COUNTED = "admissibility.bodies"
SEAL = "admissibility.seal"
PER_ROUTE = f"{HTTP}ext_authz.v3.ExtAuthzPerRoute"
FILTER_CONFIG = f"{TYPES}envoy.config.route.v3.FilterConfig"
TLS = "envoy.extensions.transport_sockets.tls.v3."
QUIC = f"{TYPES}envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport"


class Edit:
    """One reference configuration as plain values, and its places by name.

    The count of large bodies is left out: it can only refuse, and with it every place below would
    be further down. That the references themselves are found good, whole, is a test of its own.
    """

    def __init__(self, name: str = "jwt", text: str | None = None) -> None:
        source = _reference(name) if text is None else _parsed(text)
        # Aliases are written out, so that a change of one route is a change of one route.
        self.top: dict[str, Any] = _copied(source)
        _without(self.top, COUNTED)

    @property
    def listener(self) -> dict[str, Any]:
        found: dict[str, Any] = self.top["static_resources"]["listeners"][0]
        return found

    @property
    def chain(self) -> dict[str, Any]:
        found: dict[str, Any] = self.listener["filter_chains"][0]
        return found

    @property
    def manager(self) -> dict[str, Any]:
        found: dict[str, Any] = self.chain["filters"][0]["typed_config"]
        return found

    @property
    def filters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.manager["http_filters"]
        return found

    @property
    def at(self) -> int:
        """Where the gate stands in the chain."""
        return [one["name"] for one in self.filters].index(GATE)

    @property
    def gate(self) -> dict[str, Any]:
        found: dict[str, Any] = self.filters[self.at]["typed_config"]
        return found

    @property
    def injector(self) -> dict[str, Any]:
        """What comes behind gate and seal."""
        behind = (one for one in self.filters[self.at + 1 :] if one["name"] != SEAL)
        found: dict[str, Any] = next(behind)["typed_config"]
        return found

    @property
    def seal(self) -> dict[str, Any]:
        """The filter that passes only what the gate admitted."""
        (found,) = [one["typed_config"] for one in self.filters if one["name"] == SEAL]
        assert isinstance(found, dict)
        return found

    def copy_of_the_gate(self, cluster: str) -> dict[str, Any]:
        """Another ext_authz filter, which asks another service."""
        entry: dict[str, Any] = _copied(self.filters[self.at])
        entry["name"] = "second"
        entry["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"] = cluster
        return entry

    def unseal(self) -> None:
        """Take the seal away."""
        _without(self.top, SEAL)

    @property
    def table(self) -> dict[str, Any]:
        found: dict[str, Any] = self.manager["route_config"]
        return found

    @property
    def host(self) -> dict[str, Any]:
        found: dict[str, Any] = self.table["virtual_hosts"][0]
        return found

    @property
    def route(self) -> dict[str, Any]:
        """The route of calls."""
        found: dict[str, Any] = self.host["routes"][-1]
        return found

    @property
    def upload(self) -> dict[str, Any]:
        found: dict[str, Any] = self.host["routes"][0]
        return found

    @property
    def action(self) -> dict[str, Any]:
        found: dict[str, Any] = self.route["route"]
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """What the route of calls says to the gate."""
        found: dict[str, Any] = self.route["typed_per_filter_config"][GATE]["check_settings"]
        return found

    @property
    def clusters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.top["static_resources"]["clusters"]
        return found

    @property
    def early(self) -> list[dict[str, Any]]:
        (extension,) = self.manager["early_header_mutation_extensions"]
        found: list[dict[str, Any]] = extension["typed_config"]["mutations"]
        return found

    def insert(self, place: int, kind: str, **config: object) -> None:
        """Put another HTTP filter before the gate (0) or behind the seal; named like its type."""
        name = kind.partition(".")[0]
        entry = {"name": name, "typed_config": {"@type": HTTP + kind, **config}}
        names = [one["name"] for one in self.filters]
        behind = names.index(SEAL) if SEAL in names else self.at
        self.filters.insert(self.at + place if place <= 0 else behind + place, entry)

    def before(self, kind: str, **config: object) -> None:
        """Put a filter before the listener's chains; named like Envoy's own."""
        name = f"envoy.filters.listener.{kind.partition('.')[0]}"
        entry = {"name": name, "typed_config": {"@type": LISTENER + kind, **config}}
        self.listener.setdefault("listener_filters", []).append(entry)

    def datagrams(self, **proxy: object) -> dict[str, Any]:
        """One more listener, of UDP: a proxy; its settings are given back."""
        address = {"protocol": "UDP", "address": "127.0.0.1", "port_value": 8443}
        typed = {"@type": f"{UDP_PROXY}v3.UdpProxyConfig", "stat_prefix": "u", **proxy}
        entry = {"name": "envoy.filters.udp_listener.udp_proxy", "typed_config": typed}
        listener = {
            "name": "datagrams",
            "address": {"socket_address": address},
            "udp_listener_config": {"downstream_socket_config": {"max_rx_datagram_size": 9000}},
            "listener_filters": [entry],
        }
        self.top["static_resources"]["listeners"].append(listener)
        return typed

    def quic(self, **tls: object) -> dict[str, Any]:
        """One more listener, of HTTP/3, with the same routes and the gate; it is given back."""
        listener: dict[str, Any] = _copied(self.listener)
        listener["name"] = "quic"
        listener["address"]["socket_address"]["protocol"] = "UDP"
        listener["udp_listener_config"] = {"quic_options": {"idle_timeout": "60s"}}
        (chain,) = listener["filter_chains"]
        chain["filters"][0]["typed_config"]["codec_type"] = "HTTP3"
        context = {"common_tls_context": {"tls_certificates": []}, **tls}
        socket = {"@type": QUIC, "downstream_tls_context": context}
        chain["transport_socket"] = {"name": "envoy.transport_sockets.quic", "typed_config": socket}
        self.top["static_resources"]["listeners"].append(listener)
        return listener

    def another(self, name: str, host: str, **more: object) -> None:
        """One more cluster."""
        address = {"socket_address": {"address": host, "port_value": 443}}
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
        assignment = {"cluster_name": name, "endpoints": endpoints}
        self.clusters.append({"name": name, "load_assignment": assignment, **more})

    def text(self) -> str:
        return yaml.dump(self.top, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)

    def found(self, options: LintOptions | None = None) -> list[str]:
        return finding_lines(self.text(), options)


def check(data: bytes, options: LintOptions | None = None) -> LintReport:
    """The report that ``admit envoy lint`` makes of a file."""
    return lint(data, options or lint_options())


def finding_lines(text: str, options: LintOptions | None = None) -> list[str]:
    """Every finding of a file in one line each."""
    return [
        f"{one.severity.value} {one.rule} [{one.where}] {one.message}"
        for one in check(text.encode(), options).findings
    ]


@cache
def _reference(name: str) -> Any:
    """A reference as values that several edits are copied from; read only."""
    return _parsed((ENVOY / f"{name}.yaml").read_text())


def _parsed(text: str) -> Any:
    return yaml.load(text, Loader=yaml.CSafeLoader)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_copied(child) for child in value]
    return value


def _without(value: object, name: str) -> None:
    """Remove a filter from every chain, and its settings from every route."""
    if isinstance(value, dict):
        value.get("typed_per_filter_config", {}).pop(name, None)
        for key in ("http_filters", "filters"):
            chain = value.get(key, [])
            chain[:] = [entry for entry in chain if entry.get("name") != name]
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            _without(child, name)
