"""Family *path*: that gate, route and upstream read one and the same request line."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.model import Manager, RoutePath
from envoy_extauthz_lint.node import ConfigNode
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
    "The gate admitted one path, the provider is sent another: another operation, or another "
    "deployment.",
    "No rewrite; let applications use the provider's own paths.",
    refs=("CVE-2021-29492",),
)
FILTER_VIEW = LintRule(
    "path-filter-view",
    WARNING,
    "filters may be shown another path than the upstream (`path_normalization_options`)",
    "It is there to give filters and upstream two different paths. Envoy 1.40 reads it and does "
    "nothing; one that does would let the gate check another path than the provider interprets.",
    "Remove `path_normalization_options`.",
    refs=("GHSA-9f29-v6mm-pw6w",),
)
NORMALIZED = LintRule(
    "path-normalized",
    WARNING,
    "paths are tidied (`normalize_path`, `merge_slashes`)",
    "`/v1/files/../chat/completions` becomes a call before the gate looks: a path that the gate "
    "would refuse is made one that it admits. Left out, `normalize_path` is a runtime key's to "
    "say.",
    "`normalize_path: false`, `merge_slashes: false`; the gate refuses untidy paths.",
    refs=("CVE-2021-29492",),
)
UNESCAPED = LintRule(
    "path-escaped-slashes",
    WARNING,
    "`path_with_escaped_slashes_action` is not KEEP_UNCHANGED",
    "`%2F` inside of a model's ARN becomes a separator, and the path another operation. Left out, "
    "a runtime key says what happens.",
    "`path_with_escaped_slashes_action: KEEP_UNCHANGED`.",
    softer=(
        "note for REJECT_REQUEST and UNESCAPE_AND_REDIRECT, which break Bedrock's ARNs and let "
        "nothing by"
    ),
    refs=("GHSA-9f29-v6mm-pw6w",),
)
PARAMETERS = LintRule(
    "path-parameters-ignored",
    WARNING,
    "routes are matched without path parameters",
    "`/v1/files;x` takes the route of `/v1/files`: what is checked by route is not what is sent.",
    "Remove `ignore_path_parameters_in_path_matching`.",
)
HEADERS_CHANGED = LintRule(
    "path-header-changed",
    ERROR,
    "a route sets or removes a header that says what a request is",
    "Behind the gate a content type, an encoding, a host or a deployment is written over.",
    "Take it out of `request_headers_to_add` and `request_headers_to_remove`.",
)

RULES = (REWRITTEN, FILTER_VIEW, NORMALIZED, UNESCAPED, PARAMETERS, HEADERS_CHANGED)

TELLING = frozenset(
    {
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
    }
)


def check(view: View) -> Iterator[LintFinding]:
    """Every finding of the family."""
    for manager in view.managers:
        if manager in view.concerned:
            yield from _manager(manager.node)
            yield from _tables(view, manager)
    for route_path in view.route_paths:
        if route_path.destinations and route_path.manager in view.concerned:
            yield from _route(view, route_path)


def _manager(node: ConfigNode) -> Iterator[LintFinding]:
    normalize = node.get("normalize_path")
    if normalize is None:
        yield NORMALIZED.at(node, "normalize_path is left to a runtime key")
    elif node.flag("normalize_path"):
        yield NORMALIZED.at(normalize, "normalize_path: the gate is shown a tidied path")
    merge = node.get("merge_slashes")
    if merge is not None and node.flag("merge_slashes"):
        yield NORMALIZED.at(merge, "merge_slashes: the gate is shown a tidied path")
    name = "path_with_escaped_slashes_action"
    action = node.choice(name, SLASHES)
    if action != "KEEP_UNCHANGED":
        strict = action in {"REJECT_REQUEST", "UNESCAPE_AND_REDIRECT"}
        weight = NOTE if strict else WARNING
        yield UNESCAPED.at(node.get(name) or node, f"escaped slashes: {action}", weight)
    options = node.get("path_normalization_options")
    if options is not None:
        yield FILTER_VIEW.at(options, "the gate and the upstream can be given two paths")


def _tables(view: View, manager: Manager) -> Iterator[LintFinding]:
    for table in manager.tables:
        name = "ignore_path_parameters_in_path_matching"
        if table.flag(name):
            yield PARAMETERS.at(table.get(name) or table, "parameters do not count for the route")
        yield from _added(view, table)
        for host in table.items("virtual_hosts"):
            yield from _added(view, host)


def _route(view: View, route_path: RoutePath) -> Iterator[LintFinding]:
    for name in REWRITES:
        found = None if route_path.action is None else route_path.action.get(name)
        if found is not None:
            yield REWRITTEN.at(found, f"{name}: the upstream is sent another path than was checked")
    yield from _added(view, route_path.route)
    for one in route_path.destinations:
        if one.levels[0] is not route_path.route:
            yield from _added(view, one.levels[0])


def _added(view: View, holder: ConfigNode) -> Iterator[LintFinding]:
    for one in holder.items("request_headers_to_add"):
        header = one.get("header")
        name = "" if header is None else header.text("key").lower()
        if name in TELLING or name in view.options.inspected_headers or name.startswith(":"):
            yield HEADERS_CHANGED.at(one, f"{name} is set behind the gate")
    for one in holder.items("request_headers_to_remove"):
        if (name := one.string().lower()) in TELLING:
            yield HEADERS_CHANGED.at(one, f"{name} is removed behind the gate")
