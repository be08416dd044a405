"""Check which headers the gate receives, and which it may change (family ``gate``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint.credentials import CREDENTIAL_HEADERS
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.matching import any_matches, regex_matches
from envoy_extauthz_lint.model import HttpFilter
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.request_headers import BODY, DETERMINING, PSEUDO
from envoy_extauthz_lint.view import View

ERROR, WARNING = Severity.ERROR, Severity.WARNING

INSPECTED = (*DETERMINING, "upgrade", "x-forwarded-client-cert")
"""Headers on which any decision about a request depends."""

MOST_NAMES = 8
"""Maximum number of headers in one message."""

NOT_TO_CHANGE = (
    *CREDENTIAL_HEADERS,
    *PSEUDO,
    *BODY,
    "x-envoy-original-path",
    "x-forwarded-client-cert",
)
"""Headers whose change would make it a different request."""

HEADERS_JOINED = LintRule(
    "gate-headers-joined",
    ERROR,
    "`encode_raw_headers` is not true",
    "Repeated headers reach the gate joined into one line, and the upstream as several.",
    "`encode_raw_headers: true`.",
    refs=("CVE-2021-32777", "CVE-2026-26308"),
)

HEADERS_HIDDEN = LintRule(
    "gate-headers-hidden",
    ERROR,
    "headers that the gate must inspect are withheld from it",
    "The gate cannot refuse what it does not see: an encoded body, an upgrade, a second "
    "deployment, another account.",
    "No `allowed_headers`; only credentials and cookies in `disallowed_headers`.",
)

HEADERS_SHOWN = LintRule(
    "gate-headers-shown",
    WARNING,
    "the gate receives credentials that it does not need",
    "A provider's key in the gate's memory is one more place from which it can leak.",
    "`disallowed_headers` with authorization, proxy-authorization, api-key, x-api-key and "
    "x-goog-api-key (`ignore_case: true`).",
)

UNBOUNDED = LintRule(
    "gate-mutations-unbounded",
    WARNING,
    "`decoder_header_mutation_rules` do not limit what the gate may change",
    "A forged response of the gate could reroute a request or change what was checked.",
    "`disallow_all: true`, `disallow_is_error: true`, and an `allow_expression` for "
    "the gate's own headers and the credential's header only.",
    refs=("CVE-2020-25017",),
)

RULES = (HEADERS_JOINED, HEADERS_HIDDEN, HEADERS_SHOWN, UNBOUNDED)


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding about headers."""
    for manager in view.managers:
        for gate in view.gates(manager):
            yield from _received(view, gate)
            yield from _may_change(gate)


def _inspected(view: View) -> tuple[str, ...]:
    """Headers that must reach the gate: those that it reads, and those that it refuses."""
    options = view.options
    own = (options.credential_header,) if options.credential_header else ()
    return (*INSPECTED, *own, *options.inspected_headers)


def _received(view: View, gate: HttpFilter) -> Iterator[LintFinding]:
    config = gate.config
    if not config.flag("encode_raw_headers"):
        where = config.get("encode_raw_headers") or config
        yield HEADERS_JOINED.at(where, "the gate receives repeated headers joined into one line")
    judged = _inspected(view)
    allowed, hidden = config.get("allowed_headers"), config.get("disallowed_headers")
    if allowed is not None:
        patterns = allowed.items("patterns")
        lost = [name for name in judged if any_matches(patterns, name) is not True]
        if lost:
            yield HEADERS_HIDDEN.at(allowed, f"the gate does not receive {_listed(lost)}")
    patterns = [] if hidden is None else hidden.items("patterns")
    lost = [name for name in judged if any_matches(patterns, name) is not False]
    if lost:
        yield HEADERS_HIDDEN.at(hidden or config, f"the gate does not receive {_listed(lost)}")
    shown = [name for name in CREDENTIAL_HEADERS if any_matches(patterns, name) is not True]
    if allowed is not None:
        takes = allowed.items("patterns")
        shown = [name for name in shown if any_matches(takes, name) is not False]
    if shown:
        yield HEADERS_SHOWN.at(hidden or config, f"the gate receives {_listed(shown)}")


def _may_change(gate: HttpFilter) -> Iterator[LintFinding]:
    rules = gate.config.get("decoder_header_mutation_rules")
    if rules is None:
        yield UNBOUNDED.at(gate.config, "the gate's response may change any header")
        return
    if not rules.flag("disallow_all"):
        yield UNBOUNDED.at(
            rules, "disallow_all is not true: any header without a rule may be changed"
        )
    if not rules.flag("disallow_is_error"):
        yield UNBOUNDED.at(rules, "disallow_is_error is not true: forbidden changes are no error")
    expression = rules.at("allow_expression", "regex")
    if expression is not None:
        yield from _expression(expression)


def _expression(expression: ConfigNode) -> Iterator[LintFinding]:
    answers = {name: regex_matches(expression.string(), name) for name in NOT_TO_CHANGE}
    taken = [name for name, answer in answers.items() if answer is not False]
    if taken:
        yield UNBOUNDED.at(expression, f"the gate's response may change {_listed(taken)}")


def _listed(names: list[str]) -> str:
    text = ", ".join(names[:MOST_NAMES])
    return text if len(names) <= MOST_NAMES else f"{text} and {len(names) - MOST_NAMES} more"
