"""Recognise the seal: an RBAC filter behind ext_authz that passes only what the gate admitted.

The gate sets a boolean in the dynamic metadata of an allow, and the RBAC filter requires it. Envoy
1.40 emits that metadata in the namespace of the extension whatever the filter's name is, so a gate
that must be told apart from another ext_authz service also sets its name. A seal is only relied on
where all of this holds: the policy requires the boolean in every branch; nothing before the seal
can write the namespace, answer from a cache or forward a request; no route disables or replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.model import (
    EXT_AUTHZ,
    FILTER_CONFIG,
    HttpFilter,
    Manager,
    disabled_by,
    route_settings,
)
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.options import LintOptions

NAMESPACE = "envoy.filters.http.ext_authz"
RBAC = "envoy.extensions.filters.http.rbac.v3.RBAC"
RBAC_PER_ROUTE = "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
ACTIONS = ("ALLOW", "DENY", "LOG")
SOURCES = ("DYNAMIC", "ROUTE")
BEFORE = filters.HARMLESS | {filters.HEADER_MUTATION, EXT_AUTHZ}
"""Filters that may precede the seal: they neither forward nor run code, nor have a cache."""

_SETTINGS = frozenset(
    {
        "@type",
        "rules",
        "rules_stat_prefix",
        "shadow_matcher",
        "shadow_rules",
        "shadow_rules_stat_prefix",
        "track_per_rule_stats",
    }
)
_CONJUNCTIONS = (("and_rules", "rules"), ("and_ids", "ids"))
_DISJUNCTIONS = (("or_rules", "rules"), ("or_ids", "ids"))
Matches = Callable[[ConfigNode], bool]


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason why a seal cannot be relied on.

    Attributes:
        node: Where it is configured.
        message: The reason, in one sentence.
    """

    node: ConfigNode
    message: str


def find(chain: tuple[HttpFilter, ...], options: LintOptions) -> HttpFilter | None:
    """Return the first RBAC filter that refers to the gate's metadata; None where there is none."""
    if not options.seal_keys:
        return None
    for found in chain:
        if found.kind == RBAC and any(
            _is_about(node, key) for node in found.config.descendants() for key in options.seal_keys
        ):
            return found
    return None


def policy(config: ConfigNode, options: LintOptions) -> Problem | None:
    """Return why an RBAC configuration passes more than what the gate admitted; None if not."""
    unknown = [name for name in config.mapping() if _snake(name) not in _SETTINGS]
    if unknown:
        return Problem(config, f"{unknown[0]} is set, which may replace the rules")
    rules = config.get("rules")
    if rules is None or rules.choice("action", ACTIONS) != "ALLOW":
        return Problem(rules or config, "the rules do not have action ALLOW")
    policies = rules.entries("policies")
    if not policies:
        return Problem(rules, "the rules have no policy")
    found = [_unrequired(policies, key) for key in options.seal_keys]
    return None if None in found else found[0]


def _unrequired(policies: Mapping[str, ConfigNode], key: str) -> Problem | None:
    """Return the first policy that passes something without one key; None if all require it."""
    for name, one in policies.items():
        if not _requires(one, lambda node: _boolean(node, key)):
            return Problem(one, f"policy {name} passes requests without {key}: true")
    return None


def names_gate(found: HttpFilter, options: LintOptions) -> bool:
    """Return whether every policy of a seal also requires the gate's name."""
    if not options.seal_gate_key:
        return True
    rules = found.config.get("rules")
    policies = {} if rules is None else rules.entries("policies")
    return all(
        _requires(one, lambda node: _name(node, options.seal_gate_key)) for one in policies.values()
    )


def placement(
    chain: tuple[HttpFilter, ...], seal: HttpFilter, gates: list[HttpFilter]
) -> Problem | None:
    """Return what is wrong with the place of a seal in its chain; None where it is right."""
    at = chain.index(seal)
    first = min((chain.index(gate) for gate in gates), default=0)
    if first > at:
        return Problem(seal.node, "the seal is before the gate, so it denies every request")
    for found in chain[first:at]:
        if found.kind not in BEFORE:
            name = found.name or found.kind
            return Problem(seal.node, f"{name} runs before the seal and may act on the request")
    return None


def preceded(chain: tuple[HttpFilter, ...], seal: HttpFilter) -> bool:
    """Return whether a filter before the seal could write metadata or act on the request."""
    return any(found.kind not in BEFORE for found in chain[: chain.index(seal)])


def forgery(
    manager: Manager,
    chain: tuple[HttpFilter, ...],
    seal: HttpFilter,
    gates: list[HttpFilter],
    options: LintOptions,
) -> Iterator[Problem]:
    """Yield what else can write the gate's metadata before the seal."""
    # In a chain without the gate the other service may be a gate of the same name.
    named = bool(gates) and bool(options.seal_gate_key) and names_gate(seal, options)
    for found in chain[: chain.index(seal)]:
        if found.kind == EXT_AUTHZ and found not in gates and not named:
            yield Problem(found.node, f"ext_authz filter {found.name} writes the same namespace")
    for root in (manager.node, *manager.tables):
        for node in root.descendants():
            if isinstance(node.raw.value, dict) and _writes(node):
                yield Problem(node, f"a filter writes metadata in {NAMESPACE}")


def disabled(seal: HttpFilter, levels: tuple[ConfigNode, ...], options: LintOptions) -> str:
    """Return how the levels of a route disable or replace a seal; empty where they do not."""
    if disabled_by(seal, levels) is not None:
        return "disabled"
    for kind, entry in route_settings(levels, seal.name):
        if kind == FILTER_CONFIG:
            break
        own = entry.get("rbac") if kind == RBAC_PER_ROUTE else None
        if own is None:
            return "disabled" if kind == RBAC_PER_ROUTE else f"replaced by settings of type {kind}"
        found = policy(own, options)
        return "" if found is None else f"replaced: {found.message}"
    return ""


def _writes(node: ConfigNode) -> bool:
    """Return whether a setting names the gate's namespace as the one to write."""
    held = node.get("metadata_namespace")
    return held is not None and held.raw.value == NAMESPACE


def _requires(one: ConfigNode, matches: Matches) -> bool:
    """Return whether a policy passes nothing without what ``matches`` recognises."""
    return any(
        bool(branches) and all(_implies(branch, matches) for branch in branches)
        for branches in (one.items("permissions"), one.items("principals"))
    )


def _implies(node: ConfigNode, matches: Matches) -> bool:
    """Return whether a permission or principal implies what ``matches`` recognises."""
    for name, inner in _CONJUNCTIONS:
        if (held := node.get(name)) is not None:
            return any(_implies(one, matches) for one in held.items(inner))
    for name, inner in _DISJUNCTIONS:
        if (held := node.get(name)) is not None:
            branches = held.items(inner)
            return bool(branches) and all(_implies(one, matches) for one in branches)
    sourced = node.get("sourced_metadata")
    if sourced is not None:
        matcher = sourced.get("metadata_matcher")
        dynamic = sourced.choice("metadata_source", SOURCES) == "DYNAMIC"
        return dynamic and matcher is not None and matches(matcher)
    matcher = node.get("metadata")
    return matcher is not None and matches(matcher)


def _is_about(node: ConfigNode, key: str) -> bool:
    """Return whether a value is a metadata matcher of one key of the gate's namespace."""
    if not isinstance(node.raw.value, dict) or "filter" not in node.raw.value:
        return False
    held, path = node.get("filter"), node.get("path")
    if held is None or path is None or not isinstance(path.raw.value, tuple):
        return False
    steps = path.elements()
    if held.raw.value != NAMESPACE or len(steps) != 1:
        return False
    return isinstance(steps[0].raw.value, dict) and steps[0].text("key") == key


def _boolean(matcher: ConfigNode, key: str) -> bool:
    value = matcher.get("value")
    return (
        _is_about(matcher, key)
        and value is not None
        and value.flag("bool_match")
        and not matcher.flag("invert")
    )


def _name(matcher: ConfigNode, key: str) -> bool:
    exact = matcher.at("value", "string_match", "exact")
    return (
        _is_about(matcher, key)
        and exact is not None
        and exact.string() != ""
        and not matcher.flag("invert")
    )


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
