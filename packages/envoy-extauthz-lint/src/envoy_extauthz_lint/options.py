"""The options of a check: what a configuration does not state about its gate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LintOptions:
    """Facts about the gate and the providers that the configuration does not state.

    Attributes:
        gate_cluster: Name of the gate's cluster; empty to find it.
        provider_clusters: Clusters that are providers whatever their hosts.
        provider_hosts: Patterns of providers' hosts, with ``*`` as in file names.
        not_providers: Patterns of hosts that serve no model, whatever the list of known providers
            has.
        known_filters: Types of filters, such as ``acme.v1.Acme``, that this linter does not know
            and of which the operator states that they leave an admitted request as it is.
        next_hops: Clusters that are another Envoy with the gate, which is checked by itself.
        credential_header: Header with the caller's credential, lower case; empty where there is
            none.
        inspected_headers: Further headers that the gate reads or refuses, lower case.
        seal_keys: Booleans of which the gate sets one in the dynamic metadata of an allow, by the
            kind of route; empty where it sets none. A seal requires one of them throughout.
        seal_gate_key: String with the gate's name in that metadata; empty where there is none.
        gate_header_prefix: Prefix of the headers that the gate itself adds, lower case; empty where
            it adds none.
    """

    gate_cluster: str = ""
    provider_clusters: frozenset[str] = frozenset()
    provider_hosts: tuple[str, ...] = ()
    not_providers: tuple[str, ...] = ()
    known_filters: frozenset[str] = frozenset()
    next_hops: frozenset[str] = frozenset()
    credential_header: str = ""
    inspected_headers: tuple[str, ...] = ()
    gate_header_prefix: str = ""
    seal_keys: tuple[str, ...] = ()
    seal_gate_key: str = ""
