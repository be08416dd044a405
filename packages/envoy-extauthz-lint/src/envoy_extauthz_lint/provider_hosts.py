"""Find the known provider of a host; distinguish public from internal hosts."""

from __future__ import annotations

import ipaddress
from functools import cache

from envoy_extauthz_lint.known_providers import KNOWN_PROVIDERS
from envoy_extauthz_lint.matching import names_provider


@cache
def known_names(host: str) -> frozenset[str]:
    """Return the names of the known providers that a host belongs to."""
    return frozenset(one.name for one in KNOWN_PROVIDERS if names_provider(host, one.hosts))


_INTERNAL = (
    "arpa",
    "cluster.local",
    "consul",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "private",
    "svc",
    "test",
)
"""Last labels of names that public DNS does not have (RFC 6761, RFC 6762, ICANN, Kubernetes)."""


def is_public(host: str) -> bool:
    """Return whether a host, without its port, can be reached over the public internet."""
    name = host.rstrip(".").lower()
    try:
        return ipaddress.ip_address(name.strip("[]")).is_global
    except ValueError:
        return "." in name and not name.endswith(tuple(f".{last}" for last in _INTERNAL))
