"""The gate's own values for the configuration linter: its headers and the providers' hosts."""

from __future__ import annotations

from collections.abc import Iterable

from envoy_extauthz_lint import LintOptions
from sidecar.gate.check_response import ADMITTED, GATE, SANDBOX
from sidecar.providers import PROVIDERS
from sidecar.providers.overrides import OVERRIDING_HEADERS
from sidecar.providers.provider import SELF_HOSTED

CREDENTIAL_HEADER = "x-environment-credential"
GATE_HEADER_PREFIX = "x-admissibility-"
NAMING_HEADERS = ("x-ms-oai-image-generation-deployment",)
"""Headers with which some operation names a deployment, so that the gate must read them."""

PROVIDER_HOSTS = tuple(
    host
    for provider in PROVIDERS.values()
    if provider.hosts != SELF_HOSTED
    for host in provider.hosts
)
"""Hosts under which the supported providers serve hosted models, from their descriptors."""


def lint_options(
    *,
    gate_cluster: str = "",
    provider_clusters: Iterable[str] = (),
    provider_hosts: Iterable[str] = (),
    not_providers: Iterable[str] = (),
    known_filters: Iterable[str] = (),
    next_hops: Iterable[str] = (),
    credential_header: str = CREDENTIAL_HEADER,
) -> LintOptions:
    """Build the linter's options for this gate.

    Args:
        gate_cluster: Name of the gate's cluster; empty to find it.
        provider_clusters: Clusters that are providers whatever their hosts.
        provider_hosts: Patterns of hosts beside `PROVIDER_HOSTS`.
        not_providers: Patterns of hosts that serve no model.
        known_filters: Types of filters that leave an admitted request as it is.
        next_hops: Clusters that are another Envoy with the gate.
        credential_header: Header with the environment's credential.
    """
    return LintOptions(
        gate_cluster=gate_cluster,
        provider_clusters=frozenset(provider_clusters),
        provider_hosts=(*PROVIDER_HOSTS, *provider_hosts),
        not_providers=tuple(not_providers),
        known_filters=frozenset(known_filters),
        next_hops=frozenset(next_hops),
        credential_header=credential_header.lower(),
        inspected_headers=(*NAMING_HEADERS, *sorted(OVERRIDING_HEADERS)),
        gate_header_prefix=GATE_HEADER_PREFIX,
        seal_keys=(ADMITTED, SANDBOX),
        seal_gate_key=GATE,
    )
