"""Check what a client can claim, and what leaves with a request (family ``trust``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.cluster import VALIDATION, accepts_untrusted, socket, validations
from envoy_extauthz_lint.credentials import EARLY
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.matching import LOOPBACK, string_matches
from envoy_extauthz_lint.model import Manager, RoutePath
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.view import View

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
CERTIFICATES = ("SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY")
UNDERSCORES = ("ALLOW", "REJECT_REQUEST", "DROP_HEADER")

CERTIFICATE_HEADER = LintRule(
    "trust-certificate-header",
    ERROR,
    "a client's `x-forwarded-client-cert` is trusted",
    "A header that a client can write identifies the caller.",
    "`forward_client_cert_details: SANITIZE` (or SANITIZE_SET).",
    softer="note where only clients with a verified certificate are trusted, or none has one",
    refs=("envoy#32945",),
)
ADDRESS = LintRule(
    "trust-client-address",
    WARNING,
    "the client's address is taken from a header",
    "`x-forwarded-for` can mark a request as internal; Envoy then obeys its `x-envoy-…` headers.",
    "`use_remote_address: true`, `xff_num_trusted_hops: 0`, no `original_ip_detection_extensions`.",
)
PEER = LintRule(
    "trust-peer-address",
    WARNING,
    "a connection's address is not its peer's",
    "With the PROXY protocol a client states its own address: an internal one, whose `x-envoy-…` "
    "headers Envoy obeys, or another client's in logs and rules.",
    "Remove the `proxy_protocol` filter and `use_proxy_proto`; where a load balancer needs them, "
    "let only it connect.",
    softer="note for `original_dst`, which changes only the destination address",
)
STEERING = LintRule(
    "trust-envoy-headers",
    WARNING,
    "clients' `x-envoy-…` headers are not removed on arrival",
    "They control retries and timeouts, and can imitate what Envoy sends to the gate.",
    "`early_header_mutation_extensions` with `remove_on_match: {key_matcher: {prefix: x-envoy-}}`.",
)
OWN_PREFIX = LintRule(
    "trust-own-headers",
    WARNING,
    "clients' headers with the gate's own prefix are not removed on arrival",
    "A forged decision id or reason reaches logs and upstreams as if the gate had set it.",
    "`early_header_mutation_extensions` with `remove_on_match` and the gate's prefix.",
)
CREDENTIAL_LEAVES = LintRule(
    "trust-credential-leaves",
    WARNING,
    "the caller's credential may reach the provider",
    "If the gate's own removal fails, the operator of the upstream can call in the caller's name.",
    "`request_headers_to_remove` with the credential's header on the virtual host.",
)
UNDERSCORED = LintRule(
    "trust-underscores",
    WARNING,
    "header names with underscores are accepted",
    "Some upstreams read `x_api_key` as `x-api-key`, a header that Envoy did not remove.",
    "`common_http_protocol_options.headers_with_underscores_action: REJECT_REQUEST`.",
)
REQUEST_ID = LintRule(
    "trust-request-id",
    NOTE,
    "a client's `x-request-id` is kept, or none is made",
    "Entries of the decision log cannot be matched to requests.",
    "`generate_request_id: true`, `preserve_external_request_id: false`.",
)
LENIENT = LintRule(
    "trust-lenient-http",
    WARNING,
    "malformed or obsolete HTTP/1 is accepted",
    "Two parsers interpret a double length, a missing host or a broken message differently.",
    "Remove `accept_http_10`, `allow_chunked_length`, `allow_custom_methods` and the "
    "`…_invalid_http_message` settings.",
)
PLAINTEXT = LintRule(
    "trust-plaintext-listener",
    WARNING,
    "applications connect over the network without TLS",
    "An attacker on the network reads credentials and prompts, and changes requests before the "
    "gate.",
    "Listen on loopback, or use a `transport_socket` with TLS.",
)
CLIENT_UNVERIFIED = LintRule(
    "trust-client-unverified",
    WARNING,
    "client certificates are required but not verified, or verified but not required",
    "A certificate that any client can create, or omit, identifies no caller.",
    "`require_client_certificate: true` and a `validation_context` with the trust domain's bundle.",
)
REPLY = LintRule(
    "trust-reply-rewritten",
    WARNING,
    "denials are rewritten to success (`local_reply_config`, `custom_response`)",
    "Clients and monitoring take a denial for a successful response.",
    "Remove mappers and policies with a `status_code` below 400, and any `RedirectPolicy`.",
)

RULES = (
    CERTIFICATE_HEADER, ADDRESS, PEER, STEERING, OWN_PREFIX, CREDENTIAL_LEAVES,
    UNDERSCORED, REQUEST_ID, LENIENT, PLAINTEXT, CLIENT_UNVERIFIED, REPLY,
)  # fmt: skip


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    for manager in view.managers:
        if manager not in view.relevant_managers:
            continue
        yield from _certificates(manager)
        yield from _addresses(manager.node)
        yield from _peers(view, manager)
        for rule, prefix, sample in _samples(view):
            if not dropped(manager, prefix + sample):
                yield rule.at(manager.node, f"clients' {prefix}… headers are kept")
        yield from _http(manager.node)
        yield from _custom(manager)
        yield from _downstream(manager)
    for route_path in view.route_paths:
        yield from _leaves(view, route_path)


def _samples(view: View) -> Iterator[tuple[LintRule, str, str]]:
    """Prefixes that no client may use, each with the rest of one such name."""
    yield STEERING, "x-envoy-", "upstream-rq-timeout-ms"
    if view.options.gate_header_prefix:
        yield OWN_PREFIX, view.options.gate_header_prefix, "decision-id"


def _certificates(manager: Manager) -> Iterator[LintFinding]:
    node = manager.node
    details = node.choice("forward_client_cert_details", CERTIFICATES)
    matcher = node.get("forward_client_cert_matcher")
    if details in {"SANITIZE", "SANITIZE_SET"} and matcher is None:
        return
    context = None if manager.chain is None else socket(manager.chain).tls
    verified = context is not None and _verified(context)
    # Without a certificate in the handshake Envoy drops the header for the other two.
    open_to_all = details == "ALWAYS_FORWARD_ONLY" or matcher is not None
    text = details if matcher is None else "a matcher"
    where = matcher or node.get("forward_client_cert_details") or node
    if open_to_all:
        whose, weight = "any client", ERROR
    elif context is None:
        whose, weight = "no client: none has a certificate here", NOTE
    else:
        whose = f"every client with {'a verified' if verified else 'any'} certificate"
        weight = NOTE if verified else ERROR
    message = f"{text}: x-forwarded-client-cert is trusted from {whose}"
    yield CERTIFICATE_HEADER.at(where, message, weight)


def _addresses(node: ConfigNode) -> Iterator[LintFinding]:
    if not node.flag("use_remote_address"):
        yield ADDRESS.at(node.get("use_remote_address") or node, "x-forwarded-for is trusted")
    if node.number("xff_num_trusted_hops"):
        where = node.get("xff_num_trusted_hops") or node
        yield ADDRESS.at(where, "the address is taken from x-forwarded-for")
    for one in node.items("original_ip_detection_extensions")[:1]:
        yield ADDRESS.at(one, "an extension takes the address from the request")


def _peers(view: View, manager: Manager) -> Iterator[LintFinding]:
    """Check what changes the addresses of a connection before a request is read."""
    # Compared by identity, because two listeners may be equal.
    own = [one for one in view.listener_filters if one.listener is manager.listener]
    proxied = [one.node for one in own if one.kind == filters.PROXY_PROTOCOL]
    if manager.chain is not None and manager.chain.flag("use_proxy_proto"):
        proxied.append(manager.chain.get("use_proxy_proto") or manager.chain)
    for node in proxied:
        yield PEER.at(node, "the peer's address is taken from the first bytes of a connection")
    redirected = [one.node for one in own if one.kind == filters.ORIGINAL_DST]
    if manager.listener.flag("use_original_dst"):
        redirected.append(manager.listener.get("use_original_dst") or manager.listener)
    for node in redirected:
        yield PEER.at(node, "the destination address is the one before a redirection", NOTE)


def removals(manager: Manager) -> list[ConfigNode]:
    """Return header mutations that run before the gate, or at the latest before the router."""
    found = []
    for one in manager.node.items("early_header_mutation_extensions"):
        typed = one.get("typed_config")
        if typed is not None and typed.typed()[0] == EARLY:
            found += typed.typed()[1].items("mutations")
    for entry in manager.filters:
        if entry.kind == filters.HEADER_MUTATION and not entry.disabled:
            mutations = entry.config.get("mutations")
            found += [] if mutations is None else mutations.items("request_mutations")
    return found


def dropped(manager: Manager, header: str) -> bool:
    """Return whether a client's header is removed before the router."""
    for one in removals(manager):
        matcher = one.at("remove_on_match", "key_matcher")
        if one.text("remove").lower() == header:
            return True
        if matcher is not None and string_matches(matcher, header):
            return True
    return False


def _http(node: ConfigNode) -> Iterator[LintFinding]:
    common = node.get("common_http_protocol_options")
    name = "headers_with_underscores_action"
    if common is None or common.choice(name, UNDERSCORES) == "ALLOW":
        where = node if common is None else common.get(name) or common
        yield UNDERSCORED.at(where, "header names with underscores are accepted")
    if node.flag("preserve_external_request_id") or not node.flag(
        "generate_request_id", default=True
    ):
        yield REQUEST_ID.at(node, "request ids are not generated by Envoy")
    first = node.get("http_protocol_options")
    for option in (
        "accept_http_10",
        "allow_chunked_length",
        "allow_custom_methods",
        "override_stream_error_on_invalid_http_message",
    ):
        if first is not None and first.flag(option):
            yield LENIENT.at(first.get(option) or first, f"{option} is set")
    option = "stream_error_on_invalid_http_message"
    if node.flag(option):
        yield LENIENT.at(node.get(option) or node, f"{option} is set")
    replies = node.get("local_reply_config")
    for mapper in [] if replies is None else replies.items("mappers"):
        status = mapper.get("status_code")
        if status is not None and mapper.number("status_code") < 400:
            yield REPLY.at(status, f"some local replies of Envoy become {status.string()}")


def _custom(manager: Manager) -> Iterator[LintFinding]:
    """Report responses, the gate's denials included, that a filter replaces."""
    if all(found.kind != filters.CUSTOM_RESPONSE for found in manager.filters):
        return
    for root in (manager.node, *manager.tables):
        for node in root.descendants():
            if not isinstance(node.raw.value, dict) or "@type" not in node.raw.value:
                continue
            kind, policy = node.typed()
            if kind == filters.REDIRECT_RESPONSE:
                yield REPLY.at(policy, "some responses are replaced by those of another route")
            elif kind == filters.LOCAL_RESPONSE and 0 < policy.number("status_code") < 400:
                yield REPLY.at(policy, f"some responses become {policy.number('status_code')}")


def _downstream(manager: Manager) -> Iterator[LintFinding]:
    if manager.chain is None:
        return
    downstream = socket(manager.chain)
    for address in _open_to_others(manager.listener):
        if downstream.plain:
            yield PLAINTEXT.at(manager.listener, f"plain HTTP on {address}")
        elif downstream.other:
            message = f"the transport socket of {address} is unknown: {downstream.other}"
            yield PLAINTEXT.at(downstream.node, message)
    if downstream.tls is not None:
        yield from _clients(downstream.tls)


def _open_to_others(listener: ConfigNode) -> list[str]:
    """Return the addresses of a listener that are not loopback."""
    holders = [listener, *listener.items("additional_addresses")]
    found = (holder.at("address", "socket_address", "address") for holder in holders)
    text = [one.string() for one in found if one is not None]
    return [address for address in text if not LOOPBACK.fullmatch(address)]


def _clients(context: ConfigNode) -> Iterator[LintFinding]:
    asked = context.flag("require_client_certificate")
    common = context.get("common_tls_context")
    given = common is not None and common.has(*VALIDATION)
    if (asked or given) and not _verified(context):
        yield CLIENT_UNVERIFIED.at(context, "any client certificate is accepted")
    if given and not asked:
        yield CLIENT_UNVERIFIED.at(context, "a client may omit its certificate")


def _verified(context: ConfigNode) -> bool:
    """Return whether client certificates are verified against trusted roots."""
    common = context.get("common_tls_context")
    if common is None or not common.has(*VALIDATION):
        return False
    return not any(accepts_untrusted(one) for one in validations(common))


def _leaves(view: View, route_path: RoutePath) -> Iterator[LintFinding]:
    header = view.options.credential_header
    if not header or dropped(route_path.manager, header):
        return
    for one in route_path.destinations:
        removed = {
            name.string().lower()
            for level in one.levels
            for name in level.items("request_headers_to_remove")
        }
        if header not in removed and view.is_provider(one.cluster):
            yield CREDENTIAL_LEAVES.at(route_path.route, f"{header} is not removed on this route")
