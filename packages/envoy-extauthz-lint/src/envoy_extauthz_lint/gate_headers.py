"""Family *gate*, continued: which headers the gate is told, and which it may change."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.matching import any_matches, regex_matches
from envoy_extauthz_lint.model import HttpFilter
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.view import View

ERROR, WARNING = Severity.ERROR, Severity.WARNING

CREDENTIALS = ("authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key")
"""Headers in which providers take keys."""

JUDGED = (
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-client-cert",
)
"""Headers on which any decision about a request depends."""

MOST_NAMES = 8
"""Most headers that one finding names."""

NOT_TO_CHANGE = (
    *CREDENTIALS,
    ":authority",
    ":method",
    ":path",
    ":scheme",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "x-envoy-original-path",
    "x-forwarded-client-cert",
)
"""Headers whose change makes another request."""

HEADERS_JOINED = LintRule(
    "gate-headers-joined",
    ERROR,
    "`encode_raw_headers` is not true",
    "Several lines of one header reach the gate as one, and upstream as several.",
    "`encode_raw_headers: true`.",
    refs=("CVE-2021-32777", "CVE-2026-26308"),
)

HEADERS_HIDDEN = LintRule(
    "gate-headers-hidden",
    ERROR,
    "headers that the gate must judge are kept from it",
    "What the gate is not told it cannot refuse: an encoded body, an upgrade, a second deployment, "
    "another account.",
    "No `allowed_headers`; in `disallowed_headers` only credentials and cookies.",
)

HEADERS_SHOWN = LintRule(
    "gate-headers-shown",
    WARNING,
    "the gate is told credentials it does not need",
    "A provider's key in the gate's memory is one more place it can leak from.",
    "`disallowed_headers` with authorization, proxy-authorization, api-key, x-api-key and "
    "x-goog-api-key (`ignore_case: true`).",
)

UNBOUNDED = LintRule(
    "gate-mutations-unbounded",
    WARNING,
    "`decoder_header_mutation_rules` do not bound what the gate may change",
    "Whoever can answer in the gate's name can reroute a request or change what was checked.",
    "`disallow_all: true`, `disallow_is_error: true`, and an `allow_expression` for "
    "`x-admissibility-…` and the credential's header only.",
    refs=("CVE-2020-25017",),
)

RULES = (HEADERS_JOINED, HEADERS_HIDDEN, HEADERS_SHOWN, UNBOUNDED)


def check(view: View) -> Iterator[LintFinding]:
    """Every finding of this part of the family."""
    for manager in view.managers:
        for gate in view.gates(manager):
            yield from _told(view, gate)
            yield from _may_change(gate)


def _inspected(view: View) -> tuple[str, ...]:
    """Headers that must reach the gate: those that it reads, and those that it refuses."""
    options = view.options
    own = (options.credential_header,) if options.credential_header else ()
    return (*JUDGED, *own, *options.inspected_headers)


def _told(view: View, gate: HttpFilter) -> Iterator[LintFinding]:
    config = gate.config
    if not config.flag("encode_raw_headers"):
        where = config.get("encode_raw_headers") or config
        yield HEADERS_JOINED.at(where, "lines of one header are joined for the gate")
    judged = _inspected(view)
    allowed, hidden = config.get("allowed_headers"), config.get("disallowed_headers")
    if allowed is not None:
        patterns = allowed.items("patterns")
        lost = [name for name in judged if any_matches(patterns, name) is not True]
        if lost:
            yield HEADERS_HIDDEN.at(allowed, f"the gate is not told {_listed(lost)}")
    patterns = [] if hidden is None else hidden.items("patterns")
    lost = [name for name in judged if any_matches(patterns, name) is not False]
    if lost:
        yield HEADERS_HIDDEN.at(hidden or config, f"the gate is not told {_listed(lost)}")
    shown = [name for name in CREDENTIALS if any_matches(patterns, name) is not True]
    if allowed is not None:
        takes = allowed.items("patterns")
        shown = [name for name in shown if any_matches(takes, name) is not False]
    if shown:
        yield HEADERS_SHOWN.at(hidden or config, f"the gate is told {_listed(shown)}")


def _may_change(gate: HttpFilter) -> Iterator[LintFinding]:
    rules = gate.config.get("decoder_header_mutation_rules")
    if rules is None:
        yield UNBOUNDED.at(gate.config, "the gate's answer may change any header of a request")
        return
    if not rules.flag("disallow_all"):
        yield UNBOUNDED.at(rules, "not disallow_all: what is not forbidden may be changed")
    if not rules.flag("disallow_is_error"):
        yield UNBOUNDED.at(rules, "not disallow_is_error: a forbidden change is dropped in silence")
    expression = rules.at("allow_expression", "regex")
    if expression is not None:
        yield from _expression(expression)


def _expression(expression: ConfigNode) -> Iterator[LintFinding]:
    answers = {name: regex_matches(expression.string(), name) for name in NOT_TO_CHANGE}
    taken = [name for name, answer in answers.items() if answer is not False]
    if taken:
        yield UNBOUNDED.at(expression, f"the gate's answer may change {_listed(taken)}")


def _listed(names: list[str]) -> str:
    text = ", ".join(names[:MOST_NAMES])
    return text if len(names) <= MOST_NAMES else f"{text} and {len(names) - MOST_NAMES} more"
