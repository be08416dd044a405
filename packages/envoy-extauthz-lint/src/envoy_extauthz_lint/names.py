"""Find names in the options that no checked file has: a mistyped one would change nothing.

A mistyped ``--provider-cluster`` leaves a provider unknown, and its routes without the gate are
then warnings instead of errors; so a name that is nowhere is an error of the command.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from envoy_extauthz_lint.matching import names_provider
from envoy_extauthz_lint.options import LintOptions

MOST_NAMES = 10
"""Maximum number of clusters that a message lists."""


def unknown_names(
    options: LintOptions,
    clusters: Iterable[str],
    files: Iterable[str],
    hosts: Iterable[str] = (),
    types: Iterable[str] = (),
) -> list[str]:
    """Return one line for each cluster, host that is no provider, or filter that no file has.

    Args:
        options: The options of the check.
        clusters: Names of every cluster that one of the files defines or leads to.
        files: Names of the files, for the message.
        hosts: Every host that one of the files leads to.
        types: Every type that one of the files names.
    """
    known = sorted(set(clusters) - {""})
    asked = [("--gate-cluster", name) for name in [options.gate_cluster] if name]
    asked += [("--provider-cluster", name) for name in sorted(options.provider_clusters)]
    asked += [("--next-hop", name) for name in sorted(options.next_hops)]
    where = ", ".join(files)
    found = [
        f"{option} {name}: no cluster of that name in {where}; {_nearest(name, known, 'cluster')}"
        for option, name in asked
        if name not in known
    ]
    led_to = sorted(set(hosts) - {""})
    found += [
        f"--not-a-provider {pattern}: no such host in {where}; {_nearest(pattern, led_to, 'host')}"
        for pattern in options.not_providers
        if not any(names_provider(host, (pattern,)) for host in led_to)
    ]
    named = sorted(set(types) - {""})
    found += [
        f"--known-filter {kind}: nothing of that type in {where}; {_nearest(kind, named, 'type')}"
        for kind in sorted(options.known_filters - set(named))
    ]
    return found


def _nearest(name: str, known: list[str], noun: str) -> str:
    """Suggest the nearest name, or list what there is."""
    folded = {one.casefold(): one for one in known}
    near = get_close_matches(name.casefold(), folded, 1)
    if near:
        return f"did you mean {folded[near[0]]}?"
    if not known:
        return f"it has no {noun}; check a /config_dump of the running Envoy"
    more = f" and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
    return f"its {noun}s are {', '.join(known[:MOST_NAMES])}{more}"
