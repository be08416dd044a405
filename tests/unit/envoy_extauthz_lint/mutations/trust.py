"""Something of the client's, or of somebody's on the way, is believed."""

from __future__ import annotations

from tests.unit.envoy_extauthz_lint.edit import HTTP, TYPES, Edit
from tests.unit.envoy_extauthz_lint.mutations.case import breaks, socket


@breaks("trust-certificate-header")
def certificate_header_of_anybody(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY"


@breaks("trust-certificate-header")
def certificate_header_of_nobody(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "APPEND_FORWARD"


@breaks("trust-certificate-header", "trust-client-unverified", base="mtls")
def certificate_header_of_any_certificate(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "FORWARD_ONLY"
    certificate_not_verified(edit)


@breaks("trust-certificate-header", base="mtls")
def certificate_header_of_a_proxy(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "FORWARD_ONLY"


@breaks("trust-certificate-header", base="mtls")
def certificate_header_always(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY"


@breaks("trust-client-address")
def address_of_the_client(edit: Edit) -> None:
    edit.manager["use_remote_address"] = False


@breaks("trust-client-address")
def address_of_a_hop(edit: Edit) -> None:
    edit.manager["xff_num_trusted_hops"] = 1


@breaks("trust-peer-address")
def peer_told_by_the_connection(edit: Edit) -> None:
    edit.before("proxy_protocol.v3.ProxyProtocol", allow_requests_without_proxy_protocol=True)


@breaks("trust-peer-address")
def peer_told_by_the_connection_of_a_chain(edit: Edit) -> None:
    edit.chain["use_proxy_proto"] = True


@breaks("trust-peer-address")
def destination_before_a_redirection(edit: Edit) -> None:
    edit.before("original_dst.v3.OriginalDst")


@breaks("trust-peer-address")
def destination_before_a_redirection_by_the_listener(edit: Edit) -> None:
    edit.listener["use_original_dst"] = True


@breaks("trust-envoy-headers")
def steered(edit: Edit) -> None:
    del edit.early[-1]


@breaks("trust-own-headers")
def own_headers_of_the_client(edit: Edit) -> None:
    (door,) = [one for one in edit.early if "x-admissibility-" in str(one)]
    edit.early.remove(door)


@breaks("trust-credential-leaves")
def credential_leaves(edit: Edit) -> None:
    edit.host["request_headers_to_remove"].remove("x-environment-credential")


@breaks("trust-underscores")
def underscores(edit: Edit) -> None:
    del edit.manager["common_http_protocol_options"]["headers_with_underscores_action"]


@breaks("trust-request-id")
def request_id_of_the_client(edit: Edit) -> None:
    edit.manager["preserve_external_request_id"] = True


@breaks("trust-lenient-http")
def two_lengths(edit: Edit) -> None:
    edit.manager["http_protocol_options"] = {"allow_chunked_length": True, "accept_http_10": True}


@breaks("trust-plaintext-listener")
def plain_listener(edit: Edit) -> None:
    edit.listener["address"]["socket_address"]["address"] = "0.0.0.0"


@breaks("trust-plaintext-listener")
def plain_listener_at_a_second_address(edit: Edit) -> None:
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 8080}}
    edit.listener["additional_addresses"] = [{"address": address}]


@breaks("trust-plaintext-listener")
def plain_listener_in_so_many_words(edit: Edit) -> None:
    plain_listener(edit)
    edit.chain["transport_socket"] = socket("raw_buffer.v3.RawBuffer")


@breaks("trust-plaintext-listener")
def listener_of_an_unknown_kind(edit: Edit) -> None:
    plain_listener(edit)
    edit.chain["transport_socket"] = socket("alts.v3.Alts")


@breaks("trust-client-unverified", base="mtls")
def certificate_of_anybody_accepted(edit: Edit) -> None:
    common = edit.chain["transport_socket"]["typed_config"]["common_tls_context"]
    common["validation_context"]["trust_chain_verification"] = "ACCEPT_UNTRUSTED"


@breaks("trust-client-unverified")
def certificate_unverified_over_quic(edit: Edit) -> None:
    edit.quic(require_client_certificate=True)


@breaks("trust-client-unverified", base="mtls")
def certificate_not_required(edit: Edit) -> None:
    edit.chain["transport_socket"]["typed_config"]["require_client_certificate"] = False


@breaks("trust-client-unverified", base="mtls")
def certificate_not_verified(edit: Edit) -> None:
    del edit.chain["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]


@breaks("trust-reply-rewritten")
def refusals_are_ok(edit: Edit) -> None:
    edit.manager["local_reply_config"] = {"mappers": [{"status_code": 200}]}


def _custom_response(policy: str, **settings: object) -> dict[str, object]:
    kind = f"{TYPES}envoy.extensions.http.custom_response.{policy}"
    action = {"name": "a", "typed_config": {"@type": kind, **settings}}
    return {"on_no_match": {"action": action}}


@breaks("trust-reply-rewritten")
def refusals_are_ok_by_a_filter(edit: Edit) -> None:
    policy = _custom_response("local_response_policy.v3.LocalResponsePolicy", status_code=200)
    edit.insert(0, "custom_response.v3.CustomResponse", custom_response_matcher=policy)


@breaks("trust-reply-rewritten")
def refusals_are_fetched_from_elsewhere(edit: Edit) -> None:
    policy = _custom_response("redirect_policy.v3.RedirectPolicy", uri="http://x/")
    kind = f"{HTTP}custom_response.v3.CustomResponse"
    edit.insert(0, "custom_response.v3.CustomResponse")
    settings = edit.route["typed_per_filter_config"]
    settings["custom_response"] = {"@type": kind, "custom_response_matcher": policy}
