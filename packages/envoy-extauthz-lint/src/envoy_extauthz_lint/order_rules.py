"""Check filters before and behind the gate that change or answer requests (family ``order``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.cluster import protocol_options
from envoy_extauthz_lint.credentials import early_adders, filter_adders
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.gate_rules import ROUTE_CACHE
from envoy_extauthz_lint.matching import string_matches
from envoy_extauthz_lint.model import (
    EXT_AUTHZ,
    PER_FILTER,
    HttpFilter,
    Manager,
    held_filters,
    http_filters,
    route_settings,
    within,
)
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.request_headers import DETERMINING, PSEUDO
from envoy_extauthz_lint.view import View, authz_service, service_target

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

CODE_BEFORE = LintRule(
    "order-code-before-gate",
    WARNING,
    "custom code runs before the gate",
    "Lua, Wasm, an external processor or a module sees the caller's credential, can answer "
    "directly, and can send requests of its own.",
    "Move it to another listener in front of this one, or to the provider's side.",
)
BODY_BEFORE = LintRule(
    "order-body-before-gate",
    WARNING,
    "a filter replaces the body or the path before the gate",
    "The gate checks what goes upstream, but not what the caller sent: encodings and lengths that "
    "it would refuse are already gone.",
    "Remove the filter: the gate refuses encodings (415), and providers accept plain JSON.",
)
CACHE_BEFORE = LintRule(
    "order-cache-before-gate",
    ERROR,
    "a cache answers before the gate",
    "A caller that is not admitted receives the stored response to another caller.",
    "Remove the cache, or put it behind the gate.",
)
KEY_BEFORE = LintRule(
    "order-key-before-gate",
    WARNING,
    "the provider's credential is added before the gate",
    "Requests that are denied carry it too, and the gate and every filter before it can read it.",
    "Move `credential_injector` behind the gate; instead of a header that is added on arrival use "
    "one in the chain or `request_headers_to_add`, which the router adds.",
)
CHANGED_BEHIND = LintRule(
    "order-changed-behind-gate",
    ERROR,
    "a filter behind the gate can change what was checked",
    "Custom code, a transcoder, a compressor of requests or a decompressor turns the admitted "
    "request into another one.",
    "Move it to a listener in front, or remove it. An external processor is allowed here where it "
    "is the gate itself, or where `processing_mode` sends it no part of the request.",
)
ELSEWHERE = LintRule(
    "order-elsewhere",
    ERROR,
    "a filter chooses the upstream by the content of a request",
    "A dynamic forward proxy takes the upstream from the Host header, a Lambda filter from its "
    "settings; the request does not go to the cluster it was admitted for.",
    "Use a route to a cluster by name.",
)
PROCESSOR_OPEN = LintRule(
    "order-processor-fail-open",
    ERROR,
    "the gate as an external processor is fail-open",
    "While it fails, objects that calls create are not registered and batch files are not read.",
    "`failure_mode_allow: false`, on routes too, and no `observability_mode`.",
)
SECOND_AUTHZ = LintRule(
    "order-second-authz",
    WARNING,
    "another ext_authz filter can change what the gate admitted",
    "A second ext_authz filter behind the gate can change headers of an admitted request; two "
    "gates decide twice.",
    "Keep one ext_authz filter for the gate; put another service before it, or on another "
    "listener.",
)

RULES = (
    CODE_BEFORE, BODY_BEFORE, CACHE_BEFORE, KEY_BEFORE, CHANGED_BEHIND, ELSEWHERE, PROCESSOR_OPEN,
    SECOND_AUTHZ,
)  # fmt: skip

PROCESSED_PARTS = {
    "request_header_mode": ("DEFAULT", "SEND", "SKIP"),
    "request_body_mode": (
        "NONE",
        "STREAMED",
        "BUFFERED",
        "BUFFERED_PARTIAL",
        "FULL_DUPLEX_STREAMED",
        "GRPC",
    ),
    "request_trailer_mode": ("DEFAULT", "SEND", "SKIP"),
}
CACHE_ACTIONS = ("DEFAULT", "CLEAR", "RETAIN")
REQUEST = (*PSEUDO, *DETERMINING)
"""Headers that determine what a request is."""


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    for manager in view.managers:
        yield from _chain(view, manager)
        for found in manager.upstream:
            yield from _behind(view, found)
        yield from _levels(view, manager)
    for cluster in view.config.clusters.values():
        options = protocol_options(cluster)
        if options is not None and view.is_provider(cluster.text("name")):
            for found in http_filters(options, dumped=view.config.filters):
                yield from _behind(view, found)


def _chain(view: View, manager: Manager) -> Iterator[LintFinding]:
    gates = view.gates(manager)
    if not gates:
        # Nothing is checked at all, which each route reports; the order does not matter then.
        yield from (one for found in manager.filters for one in _elsewhere(found))
        return
    first = manager.filters.index(gates[0])
    for found in manager.filters[:first]:
        yield from _before(view, found)
        yield from _elsewhere(found)
    for found in manager.filters[first + 1 :]:
        if found.kind == EXT_AUTHZ:
            if view.runs(manager, gates[0], found):
                yield _second(view, found)
        else:
            yield from _behind(view, found)
        yield from _elsewhere(found)
    for adder in early_adders(manager):
        yield KEY_BEFORE.at(
            adder.node, f"{adder.header} is added to every request, before the gate"
        )


def _named(found: HttpFilter) -> str:
    return found.kind.split(".")[-3] if found.kind.count(".") > 2 else found.name


def _before(view: View, outer: HttpFilter) -> Iterator[LintFinding]:
    for found in within(outer):
        yield from _acts_before(view, found)


def _acts_before(view: View, found: HttpFilter) -> Iterator[LintFinding]:
    other = not view.gate_cluster or service_target(found.config) != view.gate_cluster
    if found.kind in filters.CODE or (found.kind == filters.EXT_PROC and other):
        yield CODE_BEFORE.at(found.node, f"{_named(found)} runs before the gate")
    if rewrites(found):
        yield BODY_BEFORE.at(found.node, f"{_named(found)} changes requests before the gate")
    if found.kind in filters.CACHES:
        yield CACHE_BEFORE.at(found.node, "responses from the cache are not checked")
    for adder in filter_adders(found):
        yield KEY_BEFORE.at(adder.node, f"{adder.what} adds {adder.header} before the gate")


def _elsewhere(outer: HttpFilter) -> Iterator[LintFinding]:
    for found in within(outer):
        if found.kind in filters.ELSEWHERE:
            yield ELSEWHERE.at(found.node, f"{_named(found)} chooses the upstream of a request")


def _behind(view: View, outer: HttpFilter) -> Iterator[LintFinding]:
    for found in within(outer):
        yield from _acts_behind(view, found)
    yield from _rerouted(outer.config)


def _rerouted(config: ConfigNode) -> Iterator[LintFinding]:
    """Report settings behind the gate that have the route selected again."""
    for node in config.descendants():
        if not isinstance(node.raw.value, dict):
            continue
        if node.flag("clear_route_cache"):
            where = node.get("clear_route_cache") or node
            yield ROUTE_CACHE.at(where, "the route is selected again behind the gate")
        if (action := node.get("route_cache_action")) is not None and node.choice(
            "route_cache_action", CACHE_ACTIONS
        ) == "CLEAR":
            yield ROUTE_CACHE.at(action, "the route is selected again behind the gate")


def _acts_behind(view: View, found: HttpFilter) -> Iterator[LintFinding]:
    if found.kind in filters.CODE or rewrites(found):
        yield CHANGED_BEHIND.at(found.node, f"{_named(found)} can change an admitted request")
    elif found.kind == filters.EXT_PROC:
        yield from _processor(view, found)
    elif found.kind == filters.HEADER_MUTATION:
        mutations = found.config.get("mutations")
        if mutations is not None:
            yield from _mutations(view, mutations)
    elif found.kind == EXT_AUTHZ:
        yield _second(view, found)
    elif found.kind in filters.REROUTING and _reads_requests(found):
        message = f"{_named(found)} has the route selected again behind the gate"
        yield ROUTE_CACHE.at(found.node, message)


def _reads_requests(found: HttpFilter) -> bool:
    return found.kind != filters.JSON_TO_METADATA or found.config.has("request_rules")


def _second(view: View, found: HttpFilter) -> LintFinding:
    which = "the gate again" if view.is_gate(found) else authz_service(found) or "another"
    return SECOND_AUTHZ.at(found.node, f"a second ext_authz asks {which}")


def rewrites(found: HttpFilter) -> bool:
    """Return whether a filter replaces the body or the path of requests.

    A compressor compresses responses only, unless it has a direction for requests; a decompressor
    does both, unless that of requests is off.
    """
    if found.kind not in {filters.COMPRESSOR, filters.DECOMPRESSOR}:
        return found.kind in filters.REWRITES
    direction = found.config.get("request_direction_config")
    if direction is None:
        return found.kind == filters.DECOMPRESSOR
    enabled = direction.at("common_config", "enabled")
    return enabled is None or enabled.flag("default_value") or bool(enabled.text("runtime_key"))


def _processor(view: View, found: HttpFilter) -> Iterator[LintFinding]:
    if service_target(found.config) != view.gate_cluster or not view.gate_cluster:
        if shown := _processed(found.config):
            parts = ", ".join(shown)
            yield CHANGED_BEHIND.at(found.node, f"an external processor may change {parts}")
        return
    for name in ("failure_mode_allow", "observability_mode"):
        if found.config.flag(name):
            where = found.config.get(name) or found.config
            yield PROCESSOR_OPEN.at(where, f"{name}: content passes without the gate")


def _processed(config: ConfigNode) -> list[str]:
    """Return the parts of a request that a processor receives and so may change."""
    mode = config.get("processing_mode")
    found = []
    for name, names in PROCESSED_PARTS.items():
        text = names[0] if mode is None else mode.choice(name, names)
        quiet = {"SKIP", "NONE"} | ({"DEFAULT"} if name == "request_trailer_mode" else set())
        if text not in quiet:
            found.append(name.removesuffix("_mode").replace("_", " "))
    if config.flag("allow_mode_override"):
        found.append("any part it requests (allow_mode_override)")
    return found


def _mutations(view: View, mutations: ConfigNode) -> Iterator[LintFinding]:
    """Report header changes behind the gate that make it another request."""
    for one in mutations.items("request_mutations"):
        name = _mutated(view, one)
        if name:
            yield CHANGED_BEHIND.at(one, f"changes {name} of an admitted request")
    for one in mutations.items("query_parameter_mutations"):
        yield CHANGED_BEHIND.at(one, "changes the query of an admitted request")


def _mutated(view: View, one: ConfigNode) -> str:
    removed = one.text("remove").lower()
    if removed in REQUEST:
        return removed
    matcher = one.at("remove_on_match", "key_matcher")
    if matcher is not None:
        return next((name for name in REQUEST if string_matches(matcher, name) is not False), "")
    header = one.at("append", "header")
    key = "" if header is None else header.text("key").lower()
    return key if key in REQUEST or key in view.options.inspected_headers else ""


def _levels(view: View, manager: Manager) -> Iterator[LintFinding]:
    """Check the settings of filters behind the gate that a level of a route replaces or adds.

    Filters of a router or a cluster have settings on routes too, so that a name that the chain does
    not have is one of theirs.
    """
    gates = view.gates(manager)
    if not gates:
        return
    first = manager.filters.index(gates[0])
    chain = {found.name: found for found in manager.filters[first + 1 :]}
    passed = {found.name for found in manager.filters[: first + 1]}
    levels = {
        level.path: level
        for route_path in view.route_paths_of.get(manager, [])
        for one in route_path.destinations
        for level in one.levels
    }
    for level in levels.values():
        for name in level.entries(PER_FILTER).keys() - passed:
            for kind, entry in route_settings((level,), name):
                yield from _settings(view, chain.get(name), kind, entry)


def _settings(
    view: View, found: HttpFilter | None, kind: str, entry: ConfigNode
) -> Iterator[LintFinding]:
    """Check the settings of one filter behind the gate, on one level of a route."""
    mutations = entry.get("mutations") if kind == filters.HEADER_MUTATION_PER_ROUTE else None
    if mutations is not None:
        yield from _mutations(view, mutations)
    overrides = entry.get("overrides") if kind == filters.EXT_PROC_PER_ROUTE else None
    if overrides is not None:
        yield from _overridden(view, found, overrides)
    for held in held_filters(entry, "" if found is None else found.name):
        yield from _acts_behind(view, held)
    yield from _rerouted(entry)


def _overridden(
    view: View, found: HttpFilter | None, overrides: ConfigNode
) -> Iterator[LintFinding]:
    """Check the settings of an external processor on a route."""
    if overrides.flag("failure_mode_allow"):
        where = overrides.get("failure_mode_allow") or overrides
        yield PROCESSOR_OPEN.at(where, "on this route content passes without being processed")
    if not overrides.has("grpc_service", "processing_mode"):
        return
    chained = overrides if found is None else found.config
    service = service_target(overrides) or service_target(chained)
    config = overrides if overrides.has("processing_mode") else chained
    if (not view.gate_cluster or service != view.gate_cluster) and (shown := _processed(config)):
        parts = ", ".join(shown)
        text = f"on this route an external processor may change {parts}"
        yield CHANGED_BEHIND.at(overrides, text)
