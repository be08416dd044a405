"""Find credentials that are copied into responses, logs or traces (family ``key``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.credentials import CREDENTIAL_HEADERS, secret_sources
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.node import ConfigNode, snake
from envoy_extauthz_lint.view import View

ERROR, WARNING = Severity.ERROR, Severity.WARNING

EXPOSED = LintRule(
    "key-exposed",
    ERROR,
    "a credential is copied into a response, a log, a trace or another header",
    "Behind `credential_injector` a request has the provider's key: `%REQ(authorization)%` in a "
    "response gives it to the application, in a log to its readers; so do an environment variable "
    "or file with a key, and dynamic metadata that holds the header.",
    "Remove credentials from formats, tags and added headers; remove the tap.",
    softer="warning where it is not returned to clients",
)

RULES = (EXPOSED,)

GRPC_LOGS = frozenset(
    {
        "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
    }
)
"""Access logs that send all dynamic metadata of a request (``common_properties.metadata``)."""

Held = Mapping[tuple[str, str], str]
"""Headers with a credential by namespace and key of the dynamic metadata that holds them."""

_NAMESPACE = "envoy.filters.http.header_to_metadata"
_FORMATTED = re.compile(
    r"%(?:REQ|REQUEST_HEADER|REQ_WITHOUT_QUERY|CEL|COALESCE)\(([^%]*)\)(?::\d+)?%"
)
"""Command operators that Envoy replaces with a request header."""
_METADATA = re.compile(r"%DYNAMIC_METADATA\(([^%)]*)\)(?::\d+)?%")
_CEL_METADATA = re.compile(r"%CEL\(([^%]*metadata[^%]*)\)(?::\d+)?%")
_RETURNED = frozenset(
    {
        "custom_response_matcher",
        "direct_response",
        "local_reply_config",
        "response_headers_to_add",
        "response_mutations",
    }
)
_RECORDED = frozenset({"access_log", "tracing", "proxy_access_log"})


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the rule."""
    for manager in view.managers:
        for found in manager.filters:
            if found.kind == filters.TAP:
                yield EXPOSED.at(found.node, "a tap records whole requests", WARNING)
    names = frozenset({*CREDENTIAL_HEADERS, view.options.credential_header}) - {""}
    roots = (*view.config.listeners, *view.config.tables.values())
    held = {place: header for root in roots for place, header in _held(root, names)}
    for root in roots:
        yield from _exposed(root, names, held)


def _held(root: ConfigNode, names: frozenset[str]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield places of dynamic metadata to which a filter copies a credential's header."""
    for node in root.descendants():
        if not isinstance(node.raw.value, dict) or not node.has("@type"):
            continue
        kind, config = node.typed()
        for rule in config.items("request_rules") if kind == filters.HEADER_TO_METADATA else ():
            header, target = rule.text("header").lower(), rule.get("on_header_present")
            if header in names and target is not None:
                space = target.text("metadata_namespace") or _NAMESPACE
                yield (space, target.text("key")), header


def _exposed(root: ConfigNode, names: frozenset[str], held: Held) -> Iterator[LintFinding]:
    """Report formats, tags and log settings that copy a credential."""
    for node in root.descendants():
        steps = {snake(str(step)) for step in node.path}
        back = bool(steps & _RETURNED)
        where = "returned to clients" if back else "logged or copied"
        found = sorted(_headers(node) & names)
        if back or steps & _RECORDED:
            found += _stored(node) + _from_metadata(node, held)
        for name in found:
            yield EXPOSED.at(node, f"{name} is {where}", ERROR if back else WARNING)


def _headers(node: ConfigNode) -> set[str]:
    """Return the request headers, lower case, whose value this setting copies."""
    value = node.raw.value
    if isinstance(value, str) and "%" in value:
        text = (name for group in _FORMATTED.findall(value) for name in re.split(r"[?'\"]", group))
        return {name.lower() for name in text}
    if not isinstance(value, dict):
        return set()
    logged, tagged = node.get("additional_request_headers_to_log"), node.get("request_header")
    found = [] if logged is None or not isinstance(logged.raw.value, tuple) else logged.elements()
    if tagged is not None and isinstance(tagged.raw.value, dict) and node.has("tag"):
        found += [one for one in [tagged.get("name")] if one is not None]
    return {str(one.raw.value).lower() for one in found}


def _stored(node: ConfigNode) -> list[str]:
    """Return environment variables and files with a secret that this setting copies."""
    value = node.raw.value
    if isinstance(value, str):
        return secret_sources(value)
    tagged = node.get("environment") if isinstance(value, dict) and node.has("tag") else None
    if tagged is None or not isinstance(tagged.raw.value, dict):
        return []
    return secret_sources(f"%ENVIRONMENT({tagged.text('name')})%")


def _from_metadata(node: ConfigNode, held: Held) -> list[str]:
    """Return the headers whose copy in dynamic metadata this setting copies."""
    value = node.raw.value
    if isinstance(value, dict) and node.has("@type") and node.typed()[0] in GRPC_LOGS:
        return [_described(place, header) for place, header in held.items()]
    if not isinstance(value, str) or "%" not in value:
        return []
    found = []
    for (space, key), header in held.items():
        formats = (text.split(":") for text in _METADATA.findall(value))
        read = any(one[0] == space and (len(one) == 1 or one[1] == key) for one in formats)
        spoken = any(space in text and key in text for text in _CEL_METADATA.findall(value))
        found += [_described((space, key), header)] if read or spoken else []
    return found


def _described(place: tuple[str, str], header: str) -> str:
    return f"{header} (dynamic metadata {':'.join(place)})"
