"""Family *order*: what stands before and behind the gate, and changes what it was asked about."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.cluster import protocol_options
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.matching import string_matches
from envoy_extauthz_lint.model import HttpFilter, Manager, RoutePath, http_filters, setting
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.view import View, asks, service

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

CODE_BEFORE = LintRule(
    "order-code-before-gate",
    WARNING,
    "a program runs on requests before the gate",
    "Lua, Wasm, an external processor or a module sees the caller's credential, can answer by "
    "itself, and can send a request of its own.",
    "Put it on another listener in front, or behind the provider.",
)
BODY_BEFORE = LintRule(
    "order-body-before-gate",
    WARNING,
    "a filter makes another body or path before the gate",
    "The gate checks what goes upstream, but not what the caller sent: what it signs, logs and "
    "refuses by (encodings, lengths) is a second reader's work.",
    "Remove it: the gate refuses encodings (415), and providers take plain JSON.",
)
CACHE_BEFORE = LintRule(
    "order-cache-before-gate",
    ERROR,
    "a cache answers before the gate",
    "Who is not admitted gets what somebody else was answered.",
    "Remove the cache, or put it behind the gate.",
)
KEY_BEFORE = LintRule(
    "order-key-before-gate",
    WARNING,
    "the provider's credential is added before the gate",
    "Requests that are refused carry it too, and every filter up to the gate, and the gate, see "
    "it.",
    "`credential_injector` behind the gate.",
)
CHANGED_BEHIND = LintRule(
    "order-changed-behind-gate",
    ERROR,
    "a filter behind the gate can change what was checked",
    "A program, a transcoder or a decompressor makes another request of the admitted one.",
    "Put it before the gate's listener, or remove it. An external processor may stand here where "
    "it is the gate itself, or where `processing_mode` shows it no part of the request.",
)
ELSEWHERE = LintRule(
    "order-elsewhere",
    ERROR,
    "a filter sends requests to where their own content says",
    "A dynamic forward proxy takes the upstream from the Host header, a Lambda filter from its "
    "settings; the cluster that was admitted is not where it goes.",
    "A route to a cluster by name.",
)
READER_OPEN = LintRule(
    "order-reader-fail-open",
    ERROR,
    "the gate as an external processor is fail-open",
    "Objects that a call creates are not remembered, and batch files are not read, while it fails.",
    "`failure_mode_allow: false`, on routes too, and no `observability_mode`.",
)
SECOND = LintRule(
    "order-second-authoriser",
    WARNING,
    "another authoriser can change what the gate admitted",
    "A second ext_authz behind the gate answers with header changes of its own; two gates decide "
    "twice.",
    "One ext_authz filter for the gate; another authoriser before it, or on another listener.",
)

RULES = (
    CODE_BEFORE, BODY_BEFORE, CACHE_BEFORE, KEY_BEFORE, CHANGED_BEHIND, ELSEWHERE, READER_OPEN,
    SECOND,
)  # fmt: skip

SEEN_PARTS = {
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
REQUEST = (
    ":authority",
    ":method",
    ":path",
    ":scheme",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
)
"""Headers whose value says what a request is."""


def check(view: View) -> Iterator[LintFinding]:
    """Every finding of the family."""
    for manager in view.managers:
        yield from _chain(view, manager)
        for found in manager.filters:
            yield from _router(view, found)
    for route_path in view.route_paths:
        yield from _routes(view, route_path)
    for cluster in view.config.clusters.values():
        options = protocol_options(cluster)
        if options is not None and view.is_provider(cluster.text("name")):
            for found in http_filters(options):
                yield from _behind(view, found)


def _chain(view: View, manager: Manager) -> Iterator[LintFinding]:
    gates = view.gates(manager)
    if not gates:
        # Nothing is checked at all: a finding of every way. Order is no further matter.
        yield from (one for found in manager.filters for one in _elsewhere(found))
        return
    first = manager.filters.index(gates[0])
    for found in manager.filters[:first]:
        yield from _before(found)
        yield from _elsewhere(found)
    for found in manager.filters[first + 1 :]:
        yield from _behind(view, found)
        yield from _elsewhere(found)


def _named(found: HttpFilter) -> str:
    return found.kind.split(".")[-3] if found.kind.count(".") > 2 else found.name


def _before(found: HttpFilter) -> Iterator[LintFinding]:
    if found.kind in filters.CODE or found.kind == filters.EXT_PROC:
        yield CODE_BEFORE.at(found.node, f"{_named(found)} runs before the gate")
    if found.kind in filters.REWRITES:
        yield BODY_BEFORE.at(found.node, f"{_named(found)} changes requests before the gate")
    if found.kind in filters.CACHES:
        yield CACHE_BEFORE.at(found.node, "answers from the cache are not checked")
    if found.kind in filters.CREDENTIALS:
        yield KEY_BEFORE.at(found.node, f"{_named(found)} stands before the gate")


def _elsewhere(found: HttpFilter) -> Iterator[LintFinding]:
    if found.kind in filters.ELSEWHERE:
        yield ELSEWHERE.at(found.node, f"{_named(found)} chooses the upstream of a request")


def _behind(view: View, found: HttpFilter) -> Iterator[LintFinding]:
    if found.kind in filters.CODE | filters.REWRITES:
        yield CHANGED_BEHIND.at(found.node, f"{_named(found)} can change an admitted request")
    elif found.kind == filters.EXT_PROC:
        yield from _processor(view, found)
    elif found.kind == filters.HEADER_MUTATION:
        mutations = found.config.get("mutations")
        if mutations is not None:
            yield from _mutations(view, mutations)
    elif found.kind.endswith("ext_authz.v3.ExtAuthz"):
        which = "the gate again" if view.is_gate(found) else asks(found) or "something"
        yield SECOND.at(found.node, f"a second ext_authz asks {which}")


def _processor(view: View, found: HttpFilter) -> Iterator[LintFinding]:
    if service(found.config) != view.gate_cluster or not view.gate_cluster:
        if shown := _shown(found.config):
            parts = ", ".join(shown)
            yield CHANGED_BEHIND.at(found.node, f"an external processor may change {parts}")
        return
    for name in ("failure_mode_allow", "observability_mode"):
        if found.config.flag(name):
            where = found.config.get(name) or found.config
            yield READER_OPEN.at(where, f"{name}: what the gate should read passes without it")


def _shown(config: ConfigNode) -> list[str]:
    """Which parts of a request a processor is shown, and so may change."""
    mode = config.get("processing_mode")
    found = []
    for name, names in SEEN_PARTS.items():
        text = names[0] if mode is None else mode.choice(name, names)
        quiet = {"SKIP", "NONE"} | ({"DEFAULT"} if name == "request_trailer_mode" else set())
        if text not in quiet:
            found.append(name.removesuffix("_mode").replace("_", " "))
    if config.flag("allow_mode_override"):
        found.append("whatever it asks for (allow_mode_override)")
    return found


def _mutations(view: View, mutations: ConfigNode) -> Iterator[LintFinding]:
    """Header changes behind the gate that make another request."""
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


def _routes(view: View, route_path: RoutePath) -> Iterator[LintFinding]:
    """Per-route settings of the filters behind the gate; told where the route itself says them."""
    for found in route_path.manager.filters:
        for kind, entry in setting((route_path.route,), found.name):
            if kind == filters.HEADER_MUTATION_PER_ROUTE and view.gates(route_path.manager):
                mutations = entry.get("mutations")
                if mutations is not None:
                    yield from _mutations(view, mutations)
            overrides = entry.get("overrides") if kind == filters.EXT_PROC_PER_ROUTE else None
            if overrides is not None and overrides.flag("failure_mode_allow"):
                where = overrides.get("failure_mode_allow") or overrides
                yield READER_OPEN.at(where, "on this route what should be read passes without it")


def _router(view: View, found: HttpFilter) -> Iterator[LintFinding]:
    if found.kind == filters.ROUTER:
        for behind in http_filters(found.config, "upstream_http_filters"):
            yield from _behind(view, behind)
