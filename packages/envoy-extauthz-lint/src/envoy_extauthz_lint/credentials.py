"""Find what adds a credential to requests: filters, and headers that are added at any level.

Envoy adds one with `credential_injector` and its relatives, in the listener's chain, in the
router's upstream filters or in a cluster's; with `header_mutation`, before routing or behind it;
and with `request_headers_to_add` of a route table, a virtual host, a route or a weighted cluster. A
value that is only copied from the client's own request is the client's credential, not one that
Envoy adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.cluster import protocol_options
from envoy_extauthz_lint.model import (
    HttpFilter,
    Manager,
    disabled_by,
    http_filters,
    route_settings,
    within,
)
from envoy_extauthz_lint.node import ConfigNode

CREDENTIAL_HEADERS = (
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
)
"""Headers in which providers accept keys."""

EARLY = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
APPEND_ACTIONS = (
    "APPEND_IF_EXISTS_OR_ADD",
    "ADD_IF_ABSENT",
    "OVERWRITE_IF_EXISTS_OR_ADD",
    "OVERWRITE_IF_EXISTS",
)

_CLIENTS_OWN = re.compile(
    r"%(?:REQ|REQUEST_HEADER|REQ_WITHOUT_QUERY|QUERY_PARAM|DOWNSTREAM_[A-Z_]+)"
    r"(?:\([^%]*\))?(?::\d+)?%"
)
"""Command operators that Envoy replaces with what the client sent."""
_SCHEMES = re.compile(r"\b(?:bearer|basic|token|key)\b", re.IGNORECASE)
_STORED = re.compile(r"%(?:ENVIRONMENT|FILE_CONTENT|(SECRET))\(([^%]*)\)(?::\d+)?%")
"""Command operators that Envoy replaces with what its own machine holds."""
_SECRET_NAME = re.compile(r"key|token|secret|auth|credential|passw", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Adder:
    """A setting that adds a credential to requests.

    Attributes:
        node: Where it is configured.
        what: The filter's type or the setting, in one word.
        header: The header that it writes, lower case.
        replaces: Whether the client's own value of that header is replaced.
    """

    node: ConfigNode
    what: str
    header: str
    replaces: bool


def secret_sources(text: str) -> list[str]:
    """Return the names of environment variables and files in a format that look like secrets."""
    found = _STORED.findall(text)
    return [name for secret, name in found if secret or _SECRET_NAME.search(name)]


def filter_adders(found: HttpFilter) -> Iterator[Adder]:
    """Yield what a filter adds, wherever in a chain it is."""
    if found.kind in filters.CREDENTIALS:
        replaces = found.kind != filters.INJECTOR or found.config.flag("overwrite")
        yield Adder(found.node, found.kind.split(".")[-3], injected_header(found), replaces)
    elif found.kind == filters.HEADER_MUTATION:
        yield from _mutations(found.config.get("mutations"))


def injected_header(found: HttpFilter) -> str:
    """Return the header that a filter for credentials writes."""
    if found.kind == filters.INJECTOR:
        typed = found.config.at("credential", "typed_config")
        if typed is not None and typed.typed()[0] == filters.GENERIC_CREDENTIAL:
            return typed.typed()[1].text("header").lower() or "authorization"
    return "authorization"


def cluster_adders(cluster: ConfigNode, dumped: Mapping[str, ConfigNode]) -> list[Adder]:
    """Return what a cluster's own upstream filters add, whichever route leads to it."""
    options = protocol_options(cluster)
    chain = () if options is None else http_filters(options, dumped=dumped)
    held = (one for found in chain if not found.disabled for one in within(found))
    return [adder for one in held for adder in filter_adders(one)]


def early_adders(manager: Manager) -> list[Adder]:
    """Return what a connection manager adds to every request, before any filter runs."""
    found = []
    for extension in manager.node.items("early_header_mutation_extensions"):
        typed = extension.get("typed_config")
        if typed is not None and typed.typed()[0] == EARLY:
            found += [one for each in typed.typed()[1].items("mutations") for one in _mutated(each)]
    return found


def route_adders(manager: Manager, levels: tuple[ConfigNode, ...]) -> list[Adder]:
    """Return what is added to requests on a route, the cluster's own filters excepted.

    Args:
        manager: The connection manager of the route.
        levels: Messages whose settings apply to the route, most specific first.
    """
    found = early_adders(manager)
    for one in _chain(manager):
        if disabled_by(one, levels) is None:
            found += filter_adders(one)
            for kind, entry in route_settings(levels, one.name):
                if kind == filters.HEADER_MUTATION_PER_ROUTE:
                    found += _mutations(entry.get("mutations"))
    for level in levels:
        for option in level.items("request_headers_to_add"):
            found += _added(option, "request_headers_to_add")
    return found


def _chain(manager: Manager) -> Iterator[HttpFilter]:
    """Yield the filters of a manager and those of its router."""
    for found in (*manager.filters, *manager.upstream):
        yield from within(found)


def _mutations(mutations: ConfigNode | None) -> Iterator[Adder]:
    for one in [] if mutations is None else mutations.items("request_mutations"):
        yield from _mutated(one)


def _mutated(mutation: ConfigNode) -> Iterator[Adder]:
    option = mutation.get("append")
    if option is not None:
        yield from _added(option, "header_mutation")


def _added(option: ConfigNode, what: str) -> Iterator[Adder]:
    """Read a ``HeaderValueOption``."""
    header = option.get("header")
    if header is None:
        return
    name, value = header.text("key").lower(), header.text("value") or header.text("raw_value")
    if not _is_credential(name, value):
        return
    action = option.choice("append_action", APPEND_ACTIONS)
    appends = option.flag("append", default=action == APPEND_ACTIONS[0])
    replaces = action.startswith("OVERWRITE") or not (appends or action == "ADD_IF_ABSENT")
    yield Adder(option, what, name, replaces)


def _is_credential(name: str, value: str) -> bool:
    """Return whether a header that is added has a credential that is not the client's."""
    if name not in CREDENTIAL_HEADERS:
        return bool(_STORED.search(value)) and bool(
            _SECRET_NAME.search(name) or secret_sources(value)
        )
    rest = _SCHEMES.sub("", _CLIENTS_OWN.sub("", value))
    return any(letter.isalnum() for letter in rest)
