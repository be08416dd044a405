"""Check that gate, router and upstream interpret the same path (family ``path``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.model import Manager, RoutePath
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.request_headers import DETERMINING
from envoy_extauthz_lint.view import View

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
SLASHES = (
    "IMPLEMENTATION_SPECIFIC_DEFAULT",
    "KEEP_UNCHANGED",
    "REJECT_REQUEST",
    "UNESCAPE_AND_REDIRECT",
    "UNESCAPE_AND_FORWARD",
)
REWRITES = ("prefix_rewrite", "regex_rewrite", "path_rewrite_policy", "path_rewrite")

REWRITTEN = LintRule(
    "path-rewritten",
    ERROR,
    "the path is rewritten behind the gate",
    "The gate admitted one path and the provider receives another: another operation or "
    "deployment.",
    "Remove the rewrite; let applications use the provider's own paths.",
    refs=("CVE-2021-29492",),
)
FILTER_VIEW = LintRule(
    "path-filter-view",
    WARNING,
    "filters may see another path than the upstream (`path_normalization_options`)",
    "It exists to give filters and upstream two different paths. Envoy 1.40 accepts it without "
    "effect; a version that applies it lets the gate check another path than the provider gets.",
    "Remove `path_normalization_options`.",
    refs=("GHSA-9f29-v6mm-pw6w",),
)
NORMALIZED = LintRule(
    "path-normalized",
    WARNING,
    "paths are normalized (`normalize_path`, `merge_slashes`)",
    "`/v1/files/../chat/completions` becomes a call before the gate sees it: a path that the gate "
    "would refuse becomes one that it admits. Where `normalize_path` is absent, a runtime key "
    "decides.",
    "`normalize_path: false`, `merge_slashes: false`; the gate refuses such paths itself.",
    refs=("CVE-2021-29492",),
)
UNESCAPED = LintRule(
    "path-escaped-slashes",
    WARNING,
    "`path_with_escaped_slashes_action` is not KEEP_UNCHANGED",
    "`%2F` inside a model's ARN becomes a separator, and the path another operation. Where the "
    "setting is absent, a runtime key decides.",
    "`path_with_escaped_slashes_action: KEEP_UNCHANGED`.",
    softer=(
        "note for REJECT_REQUEST and UNESCAPE_AND_REDIRECT, which break Bedrock's ARNs but let "
        "nothing pass"
    ),
    refs=("GHSA-9f29-v6mm-pw6w",),
)
PARAMETERS = LintRule(
    "path-parameters-ignored",
    WARNING,
    "routes are matched without path parameters",
    "`/v1/files;x` matches the route of `/v1/files`, but is sent upstream as it came.",
    "Remove `ignore_path_parameters_in_path_matching`.",
)
HEADERS_CHANGED = LintRule(
    "path-header-changed",
    ERROR,
    "a route sets or removes a header that determines what a request is",
    "A content type, an encoding, a host or a deployment is changed after the check.",
    "Remove it from `request_headers_to_add` and `request_headers_to_remove`.",
)

RULES = (REWRITTEN, FILTER_VIEW, NORMALIZED, UNESCAPED, PARAMETERS, HEADERS_CHANGED)


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    for manager in view.managers:
        if manager in view.relevant_managers:
            yield from _manager(manager.node)
            yield from _tables(view, manager)
    for route_path in view.route_paths:
        if route_path.destinations and route_path.manager in view.relevant_managers:
            yield from _route(view, route_path)


def _manager(node: ConfigNode) -> Iterator[LintFinding]:
    normalize = node.get("normalize_path")
    if normalize is None:
        yield NORMALIZED.at(node, "normalize_path is absent: a runtime key decides")
    elif node.flag("normalize_path"):
        yield NORMALIZED.at(normalize, "normalize_path: the gate sees a normalized path")
    merge = node.get("merge_slashes")
    if merge is not None and node.flag("merge_slashes"):
        yield NORMALIZED.at(merge, "merge_slashes: the gate sees a normalized path")
    name = "path_with_escaped_slashes_action"
    action = node.choice(name, SLASHES)
    if action != "KEEP_UNCHANGED":
        strict = action in {"REJECT_REQUEST", "UNESCAPE_AND_REDIRECT"}
        weight = NOTE if strict else WARNING
        yield UNESCAPED.at(node.get(name) or node, f"escaped slashes: {action}", weight)
    options = node.get("path_normalization_options")
    if options is not None:
        yield FILTER_VIEW.at(options, "the gate and the upstream can receive different paths")


def _tables(view: View, manager: Manager) -> Iterator[LintFinding]:
    for table in manager.tables:
        name = "ignore_path_parameters_in_path_matching"
        if table.flag(name):
            yield PARAMETERS.at(
                table.get(name) or table, "path parameters are ignored in route matching"
            )
        yield from _added(view, table)
        for host in table.items("virtual_hosts"):
            yield from _added(view, host)


def _route(view: View, route_path: RoutePath) -> Iterator[LintFinding]:
    for name in REWRITES:
        found = None if route_path.action is None else route_path.action.get(name)
        if found is not None:
            yield REWRITTEN.at(found, f"{name}: the upstream receives a path that was not checked")
    yield from _added(view, route_path.route)
    for one in route_path.destinations:
        if one.levels[0] is not route_path.route:
            yield from _added(view, one.levels[0])


def _added(view: View, holder: ConfigNode) -> Iterator[LintFinding]:
    for one in holder.items("request_headers_to_add"):
        header = one.get("header")
        name = "" if header is None else header.text("key").lower()
        if name in DETERMINING or name in view.options.inspected_headers or name.startswith(":"):
            yield HEADERS_CHANGED.at(one, f"{name} is set behind the gate")
    for one in holder.items("request_headers_to_remove"):
        if (name := one.string().lower()) in DETERMINING:
            yield HEADERS_CHANGED.at(one, f"{name} is removed behind the gate")
