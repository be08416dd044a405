"""Family *trust*: which of a client's words are believed, and what leaves with a request."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.cluster import VALIDATION, accepts_untrusted, socket, validations
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.matching import LOOPBACK, string_matches
from envoy_extauthz_lint.model import Manager, RoutePath
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.view import View

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
EARLY = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
CERTIFICATES = ("SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY")
UNDERSCORES = ("ALLOW", "REJECT_REQUEST", "DROP_HEADER")

CERTIFICATE_HEADER = LintRule(
    "trust-certificate-header",
    ERROR,
    "a client's `x-forwarded-client-cert` is believed",
    "A header that a client can write says who the caller is.",
    "`forward_client_cert_details: SANITIZE` (or SANITIZE_SET).",
    softer="note where only clients with a verified certificate are believed, or nobody has one",
    refs=("envoy#32945",),
)
ADDRESS = LintRule(
    "trust-client-address",
    WARNING,
    "the client's address is taken from a header",
    "`x-forwarded-for` makes a request one of the inside, whose `x-envoy-…` headers Envoy obeys.",
    "`use_remote_address: true`, `xff_num_trusted_hops: 0`, no `original_ip_detection_extensions`.",
)
PEER = LintRule(
    "trust-peer-address",
    WARNING,
    "a connection's address is not the one it came from",
    "With the PROXY protocol whoever connects says which address is theirs: one of the inside, "
    "whose `x-envoy-…` headers Envoy obeys, or somebody else's in logs and rules.",
    "No `proxy_protocol` filter and no `use_proxy_proto`; where a load balancer needs them, see "
    "that nobody else can connect.",
    softer="note for `original_dst`, which changes only where a connection was going",
)
STEERING = LintRule(
    "trust-envoy-headers",
    WARNING,
    "clients' `x-envoy-…` headers are not dropped at the door",
    "They steer retries and timeouts, and imitate what Envoy tells the gate.",
    "`early_header_mutation_extensions` with `remove_on_match: {key_matcher: {prefix: x-envoy-}}`.",
)
OWN_PREFIX = LintRule(
    "trust-own-headers",
    WARNING,
    "clients' `x-admissibility-…` headers are not dropped at the door",
    "A forged decision id or reason reaches logs and upstreams as if the gate had said it.",
    "`early_header_mutation_extensions` with `remove_on_match: {key_matcher: {prefix: "
    "x-admissibility-}}`.",
)
CREDENTIAL_LEAVES = LintRule(
    "trust-credential-leaves",
    WARNING,
    "the environment's credential may go to the provider",
    "Should the gate's own removal not happen, whoever runs the upstream can call in the "
    "environment's name.",
    "`request_headers_to_remove: [x-environment-credential]` on the virtual host.",
)
UNDERSCORED = LintRule(
    "trust-underscores",
    WARNING,
    "header names with underscores are let through",
    "`x_environment_credential` passes for `x-environment-credential` in upstreams that fold both.",
    "`common_http_protocol_options.headers_with_underscores_action: REJECT_REQUEST`.",
)
REQUEST_ID = LintRule(
    "trust-request-id",
    NOTE,
    "a client's `x-request-id` is kept, or none is made",
    "Lines of the decision log can then not be told apart by request.",
    "`generate_request_id: true`, `preserve_external_request_id: false`.",
)
LENIENT = LintRule(
    "trust-lenient-http",
    WARNING,
    "malformed or ancient HTTP/1 is accepted",
    "Two lengths, a missing host or a broken message are where two parsers part ways.",
    "Leave `accept_http_10`, `allow_chunked_length`, `allow_custom_methods` and the "
    "`…_invalid_http_message` settings out.",
)
PLAINTEXT = LintRule(
    "trust-plaintext-listener",
    WARNING,
    "applications connect over the network without TLS",
    "Who is on the path reads credentials and prompts, and changes requests before the gate.",
    "Loopback, or a `transport_socket` with TLS.",
)
CLIENT_UNVERIFIED = LintRule(
    "trust-client-unverified",
    WARNING,
    "client certificates are asked for and not verified, or verified and not asked for",
    "A certificate that anybody can make, or leave out, says nothing at the door.",
    "`require_client_certificate: true` and a `validation_context` with the trust domain's bundle.",
)
REPLY = LintRule(
    "trust-reply-rewritten",
    WARNING,
    "refusals are rewritten to success (`local_reply_config`, `custom_response`)",
    "A client, and whoever watches status codes, takes a denial for an answer.",
    "No mapper and no policy with a `status_code` below 400, and no `RedirectPolicy`.",
)

RULES = (
    CERTIFICATE_HEADER, ADDRESS, PEER, STEERING, OWN_PREFIX, CREDENTIAL_LEAVES,
    UNDERSCORED, REQUEST_ID, LENIENT, PLAINTEXT, CLIENT_UNVERIFIED, REPLY,
)  # fmt: skip


def check(view: View) -> Iterator[LintFinding]:
    """Every finding of the family."""
    for manager in view.managers:
        if manager not in view.concerned:
            continue
        yield from _certificates(manager)
        yield from _addresses(manager.node)
        yield from _peers(view, manager)
        for rule, prefix, sample in _samples(view):
            if not dropped(manager, prefix + sample):
                yield rule.at(manager.node, f"clients' {prefix}… headers are kept")
        yield from _http(manager.node)
        yield from _custom(manager)
        yield from _door(manager)
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
        whose, weight = "nobody: clients have no certificates here", NOTE
    else:
        whose = f"every client with {'a verified' if verified else 'any'} certificate"
        weight = NOTE if verified else ERROR
    message = f"{text}: x-forwarded-client-cert is believed of {whose}"
    yield CERTIFICATE_HEADER.at(where, message, weight)


def _addresses(node: ConfigNode) -> Iterator[LintFinding]:
    if not node.flag("use_remote_address"):
        yield ADDRESS.at(node.get("use_remote_address") or node, "x-forwarded-for is believed")
    if node.number("xff_num_trusted_hops"):
        where = node.get("xff_num_trusted_hops") or node
        yield ADDRESS.at(where, "the address is one that x-forwarded-for tells")
    for one in node.items("original_ip_detection_extensions")[:1]:
        yield ADDRESS.at(one, "an extension takes the address from the request")


def _peers(view: View, manager: Manager) -> Iterator[LintFinding]:
    """What changes the addresses of a connection before a request is read."""
    # By its identity: two listeners may look alike.
    own = [one for one in view.listener_filters if one.listener is manager.listener]
    proxied = [one.node for one in own if one.kind == filters.PROXY_PROTOCOL]
    if manager.chain is not None and manager.chain.flag("use_proxy_proto"):
        proxied.append(manager.chain.get("use_proxy_proto") or manager.chain)
    for node in proxied:
        yield PEER.at(node, "the peer's address is what a connection's first bytes say")
    redirected = [one.node for one in own if one.kind == filters.ORIGINAL_DST]
    if manager.listener.flag("use_original_dst"):
        redirected.append(manager.listener.get("use_original_dst") or manager.listener)
    for node in redirected:
        yield PEER.at(node, "the address asked for is the one before a redirection", NOTE)


def removals(manager: Manager) -> list[ConfigNode]:
    """Header mutations that happen before the gate, or at the latest before the router."""
    found = []
    for one in manager.node.items("early_header_mutation_extensions"):
        typed = one.get("typed_config")
        if typed is not None and typed.typed()[0] == EARLY:
            found += typed.typed()[1].items("mutations")
    for entry in manager.filters:
        if entry.kind == filters.HEADER_MUTATION and not entry.off:
            mutations = entry.config.get("mutations")
            found += [] if mutations is None else mutations.items("request_mutations")
    return found


def dropped(manager: Manager, header: str) -> bool:
    """Whether a client's header is taken away before the request goes on."""
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
        yield UNDERSCORED.at(where, "header names with underscores are let through")
    if node.flag("preserve_external_request_id") or not node.flag(
        "generate_request_id", default=True
    ):
        yield REQUEST_ID.at(node, "request ids are not Envoy's own")
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
            yield REPLY.at(status, f"some of Envoy's own answers become {status.string()}")


def _custom(manager: Manager) -> Iterator[LintFinding]:
    """Answers, the gate's denials included, that a filter puts others in the place of."""
    if all(found.kind != filters.CUSTOM_RESPONSE for found in manager.filters):
        return
    for root in (manager.node, *manager.tables):
        for node in root.descendants():
            if not isinstance(node.raw.value, dict) or "@type" not in node.raw.value:
                continue
            kind, policy = node.typed()
            if kind == filters.REDIRECT_RESPONSE:
                yield REPLY.at(policy, "some answers are taken from another route")
            elif kind == filters.LOCAL_RESPONSE and 0 < policy.number("status_code") < 400:
                yield REPLY.at(policy, f"some answers become {policy.number('status_code')}")


def _door(manager: Manager) -> Iterator[LintFinding]:
    if manager.chain is None:
        return
    door = socket(manager.chain)
    for address in _open_to_others(manager.listener):
        if door.plain:
            yield PLAINTEXT.at(manager.listener, f"plain HTTP on {address}")
        elif door.other:
            message = f"how clients connect to {address} is not known: {door.other}"
            yield PLAINTEXT.at(door.node, message)
    if door.tls is not None:
        yield from _clients(door.tls)


def _open_to_others(listener: ConfigNode) -> list[str]:
    """Addresses of a listener that are not loopback."""
    holders = [listener, *listener.items("additional_addresses")]
    found = (holder.at("address", "socket_address", "address") for holder in holders)
    text = [one.string() for one in found if one is not None]
    return [address for address in text if not LOOPBACK.fullmatch(address)]


def _clients(context: ConfigNode) -> Iterator[LintFinding]:
    asked = context.flag("require_client_certificate")
    common = context.get("common_tls_context")
    given = common is not None and common.has(*VALIDATION)
    if (asked or given) and not _verified(context):
        yield CLIENT_UNVERIFIED.at(context, "any certificate is taken")
    if given and not asked:
        yield CLIENT_UNVERIFIED.at(context, "a client may leave its certificate out")


def _verified(context: ConfigNode) -> bool:
    """Whether a client's certificate is held against roots."""
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
