"""The reference configurations as plain values, and the places in them by name."""

from __future__ import annotations

from typing import Any, get_args

import yaml

from admissibility_devtools.tools.envoy_config import Name, Sandbox, reference
from tests.process.envoy.sites import SITES

Config = dict[str, Any]
TYPES = "type.googleapis.com/envoy.extensions."
GATE = "envoy.filters.http.ext_authz"
SEAL = "admissibility.seal"
COUNTED = "admissibility.bodies"
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
SANDBOXES: tuple[Sandbox, ...] = get_args(Sandbox)
ALL: list[Name] = [*SITES, "registration", *SANDBOXES, "xfcc-edge"]


def loaded(name: Name) -> Config:
    """A reference as it stands."""
    found: Config = yaml.load(reference(name), Loader=yaml.CSafeLoader)
    return found


def chain(config: Config) -> Config:
    """The only filter chain of the only listener."""
    (listener,) = config["static_resources"]["listeners"]
    (only,) = listener["filter_chains"]
    assert isinstance(only, dict)
    return only


def manager(config: Config) -> Config:
    """The settings of the only network filter."""
    (only,) = chain(config)["filters"]
    typed: Config = only["typed_config"]
    return typed


def filters(config: Config) -> dict[str, Config]:
    """The HTTP filters' settings by name, in their order."""
    return {each["name"]: each["typed_config"] for each in manager(config)["http_filters"]}


def mutations(config: Config) -> list[Config]:
    """What is done to a request's headers before any filter."""
    (early,) = manager(config)["early_header_mutation_extensions"]
    found: list[Config] = early["typed_config"]["mutations"]
    return found


def host(config: Config) -> Config:
    """The only virtual host."""
    (only,) = manager(config)["route_config"]["virtual_hosts"]
    assert isinstance(only, dict)
    return only


def extensions(config: Config) -> list[Config]:
    """What the gate is told on each route."""
    return [
        route["typed_per_filter_config"][GATE]["check_settings"]["context_extensions"]
        for route in host(config)["routes"]
    ]


def provider(config: Config) -> Config:
    """The cluster where requests go on."""
    found = config["static_resources"]["clusters"][-1]
    assert found["name"] in ("provider", "second-hop")
    assert isinstance(found, dict)
    return found


def named(kind: str, name: str) -> list[Config]:
    """The one name that a certificate must have."""
    return [{"san_type": kind, "matcher": {"exact": name}}]


def address(cluster: Config) -> Config:
    """The address of a cluster's only endpoint."""
    (locality,) = cluster["load_assignment"]["endpoints"]
    (endpoint,) = locality["lb_endpoints"]
    found = endpoint["endpoint"]["address"]["socket_address"]
    assert isinstance(found, dict)
    return found
