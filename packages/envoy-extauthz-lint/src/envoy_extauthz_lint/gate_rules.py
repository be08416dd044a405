"""Check the settings of the gate's ext_authz filter (family ``gate``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity, behind_seal
from envoy_extauthz_lint.model import HttpFilter, Manager
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.view import View, client_certificates

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
LONGEST_TIMEOUT = 10.0
LARGEST_BODY = 64 << 20
DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
VERSIONS = ("AUTO", "V2", "V3")

FAIL_OPEN = LintRule(
    "gate-fail-open",
    ERROR,
    "`failure_mode_allow` is true",
    "While the gate does not answer, or answers with an error, every request passes.",
    "`failure_mode_allow: false`.",
    refs=("CVE-2023-27488", "CVE-2024-23324"),
    sealable=True,
)
FAIL_OPEN_HEADER = LintRule(
    "gate-fail-open-header",
    NOTE,
    "`failure_mode_allow_header_add` is true",
    "It has an effect only where requests pass without the gate, so it suggests that they may.",
    "Remove it.",
)
SHADOW = LintRule(
    "gate-shadow",
    ERROR,
    "`shadow_mode` is true",
    "The gate is asked and its denial is only recorded in metadata; the request passes anyway.",
    "Remove `shadow_mode`.",
    sealable=True,
)
OVER_HTTP = LintRule(
    "gate-over-http",
    ERROR,
    "the gate is asked over `http_service`",
    "The HTTP service receives a rewritten request, and any 200 from it is an allow.",
    "`grpc_service` with the gate's cluster.",
)
TRANSPORT = LintRule(
    "gate-transport-version",
    WARNING,
    "`transport_api_version` is not V3",
    "The version of the CheckRequest is left to a default that has changed before.",
    "`transport_api_version: V3`.",
)
TIMEOUT = LintRule(
    "gate-timeout",
    WARNING,
    "the gate's timeout is missing, zero or long",
    "The default is 200 ms, shorter than the gate's own deadline: denials without a reason. Zero "
    "or a long timeout lets a stalled gate hold every request.",
    "`grpc_service.timeout: 2s`, longer than the gate's own deadline.",
)
NOT_ALWAYS = LintRule(
    "gate-not-always",
    ERROR,
    "the gate is asked about some requests only",
    "`filter_enabled` below 100 %, its runtime key, or `filter_enabled_metadata` exempt requests; "
    "without `deny_at_disable` those pass.",
    "`filter_enabled: {default_value: {numerator: 100, denominator: HUNDRED}}`, no runtime key "
    "and no `filter_enabled_metadata`.",
    softer="warning where `deny_at_disable` refuses exempted requests, and for a runtime key",
    sealable=True,
)
DENY_AT_DISABLE = LintRule(
    "gate-deny-at-disable",
    ERROR,
    "`deny_at_disable` is missing or false",
    "Whenever the filter is off (a runtime key, metadata, a later edit), requests pass.",
    "`deny_at_disable: {default_value: true, runtime_key: ext_authz.deny_at_disable}`.",
    softer="warning where nothing in the file can switch the filter off",
    sealable=True,
)
NO_BODY = LintRule(
    "gate-body-missing",
    ERROR,
    "the gate is not sent the body (`with_request_body`)",
    "The body names what is called; the gate would decide without knowing it.",
    "`with_request_body` with `max_request_bytes`, `allow_partial_message: false` and "
    "`pack_as_bytes: true`.",
)
PARTIAL = LintRule(
    "gate-body-partial",
    ERROR,
    "`allow_partial_message` is true",
    "The gate sees only the beginning of a body; a second `model` after it goes upstream.",
    "`allow_partial_message: false`; a larger body is then refused with 413.",
)
AS_TEXT = LintRule(
    "gate-body-text",
    ERROR,
    "`pack_as_bytes` is not true",
    "Bytes that are not UTF-8 are rewritten for the gate and sent upstream unchanged.",
    "`pack_as_bytes: true`.",
)
SIZE = LintRule(
    "gate-body-size",
    WARNING,
    "`max_request_bytes` is missing, zero or very large",
    "Envoy buffers that much of every request; a few clients can exhaust its memory.",
    "`max_request_bytes` for the largest legitimate call, at most 64 MiB.",
)
UNVALIDATED = LintRule(
    "gate-mutations-unvalidated",
    WARNING,
    "`validate_mutations` is not true",
    "An invalid header in the gate's response would be sent upstream.",
    "`validate_mutations: true`.",
)
ROUTE_CACHE = LintRule(
    "gate-route-cache",
    ERROR,
    "`clear_route_cache` is true, of the gate or of a filter behind it",
    "After an allow, another route can be chosen from headers, metadata or filter state that "
    "changed: the request goes to a cluster for which it was not checked.",
    "`clear_route_cache: false` and no `clear_route_cache_headers`; for an external processor "
    "`route_cache_action: RETAIN`.",
)
ERROR_STATUS = LintRule(
    "gate-error-status",
    WARNING,
    "`status_on_error` is not 503",
    "An outage reported as success hides that calls are lost; one reported as 403 looks like a "
    "denial.",
    "`status_on_error: {code: ServiceUnavailable}`.",
    softer="note where the status is another error",
)
NO_CERTIFICATE = LintRule(
    "gate-certificate-hidden",
    WARNING,
    "clients have certificates and the gate does not receive them",
    "Only a header can then identify the caller.",
    "`include_peer_certificate: true`.",
)
STAT_PREFIX = LintRule(
    "gate-stat-prefix",
    NOTE,
    "the gate's filter has no `stat_prefix`",
    "In Envoy's statistics its denials and errors are mixed with those of other ext_authz filters.",
    "A `stat_prefix` of its own.",
)
OPTIONAL = LintRule(
    "gate-optional",
    ERROR,
    "the gate's filter is optional (`is_optional`)",
    "An Envoy built without the filter starts and checks nothing, without an error.",
    "Remove `is_optional`.",
    sealable=True,
)

RULES = (
    FAIL_OPEN, FAIL_OPEN_HEADER, SHADOW, OVER_HTTP, TRANSPORT, TIMEOUT, NOT_ALWAYS,
    DENY_AT_DISABLE, NO_BODY, PARTIAL, AS_TEXT, SIZE, UNVALIDATED, ROUTE_CACHE, ERROR_STATUS,
    NO_CERTIFICATE, STAT_PREFIX, OPTIONAL,
)  # fmt: skip


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    for manager in view.managers:
        for gate in view.gates(manager):
            sealed = view.sealed_everywhere(manager)
            yield from _skipped(gate, sealed=sealed)
            yield from _answers(gate)
            yield from _when(gate, sealed=sealed)
            yield from _service(gate)
            if gate.config.has("with_request_body"):
                yield from body(gate.config.get("with_request_body"))
            else:
                yield NO_BODY.at(gate.config, "the gate decides without the body")
            yield from _identity(manager, gate)


def _skipped(gate: HttpFilter, *, sealed: bool) -> Iterator[LintFinding]:
    """Check what lets requests pass without an allow of the gate."""
    config = gate.config
    for name, rule, message in (
        ("failure_mode_allow", FAIL_OPEN, "requests pass while the gate is unreachable"),
        ("shadow_mode", SHADOW, "requests pass whatever the gate answers"),
    ):
        if config.flag(name):
            yield rule.at(config.get(name) or config, *behind_seal(message, sealed=sealed))
    if gate.node.flag("is_optional"):
        message = "an Envoy without this filter starts and checks nothing"
        yield OPTIONAL.at(gate.node, *behind_seal(message, sealed=sealed))


def _answers(gate: HttpFilter) -> Iterator[LintFinding]:
    """Check what happens with the gate's response, or without one."""
    config = gate.config
    flags = (
        (
            "failure_mode_allow_header_add",
            FAIL_OPEN_HEADER,
            "a header marks requests that passed without a check",
        ),
        ("clear_route_cache", ROUTE_CACHE, "the route is selected again after the gate's response"),
    )
    for name, rule, message in flags:
        if config.flag(name):
            yield rule.at(config.get(name) or config, message)
    for one in config.items("clear_route_cache_headers")[:1]:
        yield ROUTE_CACHE.at(one, "the route is selected again after the gate changes a header")
    if not config.flag("validate_mutations"):
        yield UNVALIDATED.at(config, "the gate's header changes are not validated")
    status = config.at("status_on_error", "code")
    code = "Forbidden (the default)" if status is None else status.string()
    if code.casefold() not in {"serviceunavailable", "503"}:
        opens = code.casefold().startswith(("ok", "created", "accepted", "nocontent", *"123"))
        message = f"an unreachable gate is reported to clients as {code}"
        yield ERROR_STATUS.at(status or config, message, WARNING if opens else NOTE)
    if not config.text("stat_prefix"):
        yield STAT_PREFIX.at(config, "the gate's statistics have no prefix of their own")


def _when(gate: HttpFilter, *, sealed: bool) -> Iterator[LintFinding]:
    """Check that every request is checked."""
    config = gate.config
    off = behind_seal("requests pass whenever the filter is off", sealed=sealed)
    if not _can_be_off(config):
        off = ("requests would pass if a later edit switched the filter off", WARNING)
    denies = config.get("deny_at_disable")
    sure = False
    if denies is None:
        yield DENY_AT_DISABLE.at(config, *off)
    else:
        sure = (default := denies.get("default_value")) is not None and denies.flag("default_value")
        if not sure:
            yield DENY_AT_DISABLE.at(default or denies, *off)
    weight = WARNING if sure else ERROR
    enabled = config.get("filter_enabled")
    if enabled is not None and (share := _share(enabled)) < 1:
        message = f"the gate is asked about {share:.4%} of requests"
        yield NOT_ALWAYS.at(enabled, *behind_seal(message, weight, sealed=sealed))
    if enabled is not None and enabled.text("runtime_key"):
        key = enabled.text("runtime_key")
        yield NOT_ALWAYS.at(
            enabled.get("runtime_key") or enabled,
            f"the runtime key {key} sets the share of requests that are checked",
            WARNING,
        )
    metadata = config.get("filter_enabled_metadata")
    if metadata is not None:
        message = "dynamic metadata decides whether the gate is asked"
        yield NOT_ALWAYS.at(metadata, *behind_seal(message, weight, sealed=sealed))


def _can_be_off(config: ConfigNode) -> bool:
    """Return whether the settings of the filter can exempt a request."""
    enabled = config.get("filter_enabled")
    partly = enabled is not None and (_share(enabled) < 1 or bool(enabled.text("runtime_key")))
    return partly or config.has("filter_enabled_metadata")


def _share(enabled: ConfigNode) -> float:
    value = enabled.get("default_value")
    if value is None:
        return 0.0
    names = tuple(DENOMINATORS)
    return value.number("numerator") / DENOMINATORS[value.choice("denominator", names)]


def _service(gate: HttpFilter) -> Iterator[LintFinding]:
    """Check the service that the filter calls."""
    config = gate.config
    if config.choice("transport_api_version", VERSIONS) != "V3":
        where = config.get("transport_api_version") or config
        yield TRANSPORT.at(where, "the API version is not fixed to V3")
    if (http := config.get("http_service")) is not None:
        yield OVER_HTTP.at(http, "the filter asks an HTTP service; the gate is a gRPC service")
    service = config.get("grpc_service")
    if service is None:
        return
    seconds = service.seconds("timeout")
    if seconds is None:
        yield TIMEOUT.at(
            service,
            "the default timeout is 200 ms, shorter than the gate's own deadline",
        )
    elif seconds <= 0 or seconds > LONGEST_TIMEOUT:
        where = service.get("timeout") or service
        text = f"for {seconds:g} s" if seconds > 0 else "without limit"
        yield TIMEOUT.at(where, f"a stalled gate holds requests {text}")


def body(settings: ConfigNode | None) -> Iterator[LintFinding]:
    """Check ``with_request_body`` of the filter or of a route."""
    if settings is None:
        return
    if settings.flag("allow_partial_message"):
        where = settings.get("allow_partial_message") or settings
        yield PARTIAL.at(where, "the gate sees only the beginning of a large body")
    if not settings.flag("pack_as_bytes"):
        where = settings.get("pack_as_bytes") or settings
        yield AS_TEXT.at(where, "the gate receives other bytes than the upstream")
    size = settings.number("max_request_bytes")
    if not 0 < size <= LARGEST_BODY:
        where = settings.get("max_request_bytes") or settings
        yield SIZE.at(where, f"max_request_bytes is {size}: that much of each body is buffered")


def _identity(manager: Manager, gate: HttpFilter) -> Iterator[LintFinding]:
    if manager.chain is None or gate.config.flag("include_peer_certificate"):
        return
    if client_certificates(manager.chain):
        where = gate.config.get("include_peer_certificate") or gate.config
        yield NO_CERTIFICATE.at(where, "the gate does not receive the client's certificate")
