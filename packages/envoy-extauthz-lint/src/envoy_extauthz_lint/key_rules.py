"""Check whose credential the provider receives, and where it is stored (family ``key``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.credentials import CREDENTIAL_HEADERS, Adder, injected_header
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.model import (
    Destination,
    HttpFilter,
    Manager,
    RoutePath,
    context_extensions,
)
from envoy_extauthz_lint.node import REDACTED, ConfigNode, snake
from envoy_extauthz_lint.provider_hosts import known_names
from envoy_extauthz_lint.trust_rules import dropped
from envoy_extauthz_lint.view import View

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

IN_FILE = LintRule(
    "key-in-file",
    ERROR,
    "a provider's key is written in the configuration",
    "Anyone who can read the file, its backups or the admin interface can call the provider "
    "without the gate.",
    "`credential_injector` with `sds_config`: a secret file, or SDS.",
    softer="warning where it is sent to a collector of logs, traces or statistics",
)
CLIENTS = LintRule(
    "key-of-client",
    ERROR,
    "a key of the application reaches the provider",
    "An application with a key of its own can call the provider without the gate; here it can "
    "also use it through Envoy.",
    "Remove authorization, proxy-authorization, api-key, x-api-key and x-goog-api-key in "
    "`early_header_mutation_extensions`; let `credential_injector` add the key.",
    softer=(
        "warning where Envoy adds a credential of its own, or the cluster has no known provider's "
        "host"
    ),
)
NOT_OVERWRITTEN = LintRule(
    "key-not-overwritten",
    ERROR,
    "`credential_injector` keeps a client's credential (`overwrite`)",
    "A request that brings a key is sent with that key.",
    "`overwrite: true`.",
    softer="warning where the header is removed on arrival",
)
LEFT_OUT = LintRule(
    "key-left-out",
    WARNING,
    "requests continue without a credential (`allow_request_without_credential`)",
    "While the secret is missing, requests reach the provider without a key, or with the client's.",
    "`allow_request_without_credential: false`.",
)

SEVERAL = LintRule(
    "key-to-several",
    WARNING,
    "one credential is added to requests for several providers",
    "Each of them receives the key of another one, and can use it.",
    "Add each key where only one provider's requests pass: in its cluster's upstream filters, or "
    "by a filter that is `disabled` in the chain and enabled on its routes.",
)

RULES = (IN_FILE, CLIENTS, NOT_OVERWRITTEN, LEFT_OUT, SEVERAL)

_KEYS = re.compile(
    r"(?:\b(?:sk|sk-proj|sk-ant|sk-svcacct|sk-admin)-[A-Za-z0-9_-]{16,}"
    r"|\b(?:AKIA|ASIA|ABSK)[A-Za-z0-9+/=]{16,}"
    r"|\b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"
)
_TELEMETRY = frozenset({"access_log", "tracing", "stats_sinks"})
_SENT = frozenset({"initial_metadata", "request_headers_to_add"})
_SECRETS = frozenset({"secret_access_key", "session_token"})
_SUBSTITUTED = re.compile(r"%[A-Z_]+(\(.*\))?(:\d+)?%")


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    yield from _inline_keys(view.config.top)
    yield from _several(view)
    for route_path in view.route_paths:
        yield from _clients(view, route_path)
    for manager in view.managers:
        for found in manager.filters:
            if found.kind == filters.INJECTOR:
                yield from _injector(manager, found)


def _several(view: View) -> Iterator[LintFinding]:
    """Report credentials that are added for more than one provider."""
    led: dict[tuple[str | int, ...], tuple[Adder, list[_Destined]]] = {}
    for route_path in view.route_paths:
        for one in route_path.destinations:
            destined = _destined(view, route_path, one)
            for adder in view.adders(route_path.manager, one):
                led.setdefault(adder.node.path, (adder, []))[1].append(destined)
    for adder, all_destined in led.values():
        names = _providers_named(all_destined)
        if len(names) > 1:
            text = f"{adder.what} adds the same {adder.header} for {', '.join(sorted(names))}"
            yield SEVERAL.at(adder.node, text)


@dataclass(frozen=True, slots=True)
class _Destined:
    """Where requests go to which a credential is added.

    Attributes:
        cluster: Its name.
        known: The known providers whose hosts it has.
        stated: The values of ``context_extensions.provider`` on the route.
    """

    cluster: str
    known: frozenset[str]
    stated: frozenset[str]


def _destined(view: View, route_path: RoutePath, destination: Destination) -> _Destined:
    cluster = view.config.clusters.get(destination.cluster)
    hosts = [] if cluster is None else view.hosts(cluster)
    stated = {
        context_extensions(gate, destination.levels).get("provider", "")
        for gate in view.gates(route_path.manager)
    }
    return _Destined(
        destination.cluster,
        frozenset(name for host in hosts for name in known_names(host)),
        frozenset(stated - {"", REDACTED}),
    )


def _providers_named(all_destined: list[_Destined]) -> set[str]:
    """Return the providers by their hosts, or by what routes to several clusters state.

    A server in the operator's own network has no known host. Two names for one cluster are not two
    providers: it receives its own key only.
    """
    known = {name for one in all_destined for name in one.known}
    if len(known) > 1 or len({one.cluster for one in all_destined}) == 1:
        return known
    return {name for one in all_destined for name in one.stated}


def _inline_keys(top: ConfigNode) -> Iterator[LintFinding]:
    """Report keys in the file. A message never repeats the key."""
    text: set[tuple[str | int, ...]] = set()
    for node in top.descendants():
        value = node.raw.value
        if isinstance(value, str) and _KEYS.search(value):
            text.add(node.path)
            yield IN_FILE.at(node, "this string looks like a key or a token", _in_file(node))
        if not hasattr(value, "items"):
            continue
        for child, why in _secret(node):
            if child.path not in text and _is_inline(child):
                text.add(child.path)
                yield IN_FILE.at(child, why, _in_file(child))


def _in_file(node: ConfigNode) -> Severity:
    """Return WARNING for what Envoy sends to a collector of telemetry, else ERROR."""
    steps = {snake(str(step)) for step in node.path}
    return WARNING if steps & _TELEMETRY and steps & _SENT else ERROR


def _is_inline(node: ConfigNode) -> bool:
    """Return whether a value is the secret itself: not redacted, nor substituted by Envoy."""
    text = node.raw.value
    if not isinstance(text, str) or text in {"", REDACTED} or _KEYS.search(text):
        return False
    return _SUBSTITUTED.search(text) is None


def _secret(node: ConfigNode) -> Iterator[tuple[ConfigNode, str]]:
    """Yield values that are secrets by their field."""
    for name in ("generic_secret",):
        source = node.at(name, "secret") if _is_message(node, name) else None
        for kind in ("inline_string", "inline_bytes"):
            if source is not None and (found := source.get(kind)) is not None:
                yield found, f"a secret is inline ({kind})"
    for name in _SECRETS & set(node.mapping()):
        if (found := node.get(name)) is not None:
            yield found, f"{name} is inline"
    if "key" in node.mapping() and "value" in node.mapping():
        key, value = node.get("key"), node.get("value")
        if (
            key is not None
            and value is not None
            and str(key.raw.value).lower() in CREDENTIAL_HEADERS
        ):
            yield value, f"{key.raw.value} has an inline value"


def _is_message(node: ConfigNode, name: str) -> bool:
    found = node.get(name)
    return found is not None and hasattr(found.raw.value, "items")


def _clients(view: View, route_path: RoutePath) -> Iterator[LintFinding]:
    for one in route_path.destinations:
        if not view.is_provider(one.cluster):
            continue
        adders = view.adders(route_path.manager, one)
        replaced = {adder.header for adder in adders if adder.replaces}
        removed = {
            name.string().lower()
            for level in one.levels
            for name in level.items("request_headers_to_remove")
        }
        kept = [
            name
            for name in CREDENTIAL_HEADERS
            if name not in replaced | removed and not dropped(route_path.manager, name)
        ]
        if kept:
            hosted_providers = one.cluster in view.hosted_providers and not adders
            message = f"a client's {', '.join(kept)} reaches {one.cluster}"
            yield CLIENTS.at(route_path.route, message, ERROR if hosted_providers else WARNING)


def _injector(manager: Manager, found: HttpFilter) -> Iterator[LintFinding]:
    config, header = found.config, injected_header(found)
    if not config.flag("overwrite"):
        gone = dropped(manager, header)
        message = (
            f"a client's {header} is kept" if not gone else f"{header} is removed only on arrival"
        )
        where = config.get("overwrite") or config
        yield NOT_OVERWRITTEN.at(where, message, WARNING if gone else ERROR)
    if config.flag("allow_request_without_credential"):
        where = config.get("allow_request_without_credential") or config
        yield LEFT_OUT.at(where, "requests continue while there is no credential")
