"""List the fields of the checked messages in Envoy 1.40; any other field is a finding.

A field that is newer than this list could have any effect. Envoy rejects a misspelt one, but not
every file that is checked was ever loaded by an Envoy.
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint.finding import LintFinding, LintRule
from envoy_extauthz_lint.node import TYPE, ConfigNode, camel


def _fields(text: str) -> frozenset[str]:
    names = text.split()
    return frozenset(names) | {camel(name) for name in names} | {TYPE}


LISTENER = _fields(
    """
    access_log additional_addresses address api_listener bind_to_port
    bypass_overload_manager connection_balance_config continue_on_listener_filters_timeout
    default_filter_chain deprecated_v1 drain_type enable_mptcp enable_reuse_port fcds_config
    filter_chain_matcher filter_chains freebind ignore_global_conn_limit internal_listener
    listener_filters listener_filters_timeout max_connections_to_accept_per_socket_event
    metadata name per_connection_buffer_high_watermark_timeout
    per_connection_buffer_limit_bytes reuse_port socket_options stat_prefix stats_matcher
    tcp_backlog_size tcp_fast_open_queue_length tcp_keepalive traffic_direction transparent
    udp_listener_config use_original_dst
    """
)
CHAIN = _fields(
    """
    filter_chain_match filters metadata name transport_socket
    transport_socket_connect_timeout use_proxy_proto
    """
)
LISTENER_FILTER = _fields(
    """
    config_discovery filter_disabled name typed_config
    """
)
UDP = _fields(
    """
    downstream_socket_config quic_options udp_packet_packet_writer_config
    """
)
QUIC = _fields(
    """
    connection_debug_visitor_config connection_id_generator_config crypto_handshake_timeout
    crypto_stream_config enabled idle_timeout max_sessions_per_event_loop
    packets_to_read_to_connection_count_ratio proof_source_config quic_protocol_options
    reject_new_connections save_cmsg_config send_disable_active_migration
    server_preferred_address_config
    """
)
UDP_PROXY = _fields(
    """
    access_log access_log_options cluster hash_policies idle_timeout matcher
    proxy_access_log session_filters stat_prefix tunneling_config upstream_socket_config
    use_original_src_ip use_per_packet_load_balancing
    """
)
TCP_PROXY = _fields(
    """
    access_log access_log_flush_interval access_log_options backoff_options check_drain_close
    cluster
    deprecated_v1 downstream_idle_timeout flush_access_log_on_connected hash_policy
    idle_timeout max_connect_attempts max_downstream_connection_duration
    max_downstream_connection_duration_jitter_percentage max_early_data_bytes metadata_match
    on_demand proxy_protocol_tlv_merge_policy proxy_protocol_tlvs stat_prefix
    tunneling_config upstream_connect_mode upstream_idle_timeout weighted_clusters
    """
)
TUNNEL = _fields(
    """
    buffer_options default_target_port formatters headers_to_add post_path
    propagate_response_headers propagate_response_trailers proxy_host proxy_port
    retry_options target_host use_post
    """
)
MANAGER = _fields(
    """
    access_log access_log_flush_interval access_log_options
    add_proxy_protocol_connection_state add_user_agent always_set_request_id_in_response
    append_local_overload append_x_forwarded_port codec_type common_http_protocol_options
    delayed_close_timeout drain_timeout drain_timeout_jitter
    early_header_mutation_extensions flush_access_log_on_new_request
    forward_client_cert_details forward_client_cert_matcher forward_proto_config
    generate_request_id http1_safe_max_connection_duration http2_protocol_options
    http3_protocol_options http_filters http_protocol_options internal_address_config
    local_reply_config max_request_headers_kb merge_slashes normalize_path
    original_ip_detection_extensions path_normalization_options
    path_with_escaped_slashes_action preserve_external_request_id proxy_100_continue
    proxy_status_config rds record_route_resolution_stats
    represent_ipv4_remote_address_as_ipv4_mapped_ipv6 request_headers_timeout
    request_id_extension request_timeout route_config scheme_header_transformation
    scoped_routes server_header_transformation server_name set_current_client_cert_details
    skip_xff_append stat_prefix stream_error_on_invalid_http_message stream_flush_timeout
    stream_idle_timeout strip_any_host_port strip_matching_host_port strip_trailing_host_dot
    tracing typed_header_validation_config upgrade_configs use_remote_address via
    xff_num_trusted_hops
    """
)
HTTP_FILTER = _fields(
    """
    config_discovery disabled is_optional name typed_config
    """
)
TABLE = _fields(
    """
    cluster_specifier_plugins ignore_path_parameters_in_path_matching
    ignore_port_in_host_matching internal_only_headers max_direct_response_body_size_bytes
    metadata most_specific_header_mutations_wins name request_headers_to_add
    request_headers_to_remove request_mirror_policies response_headers_to_add
    response_headers_to_remove route_specifiers typed_per_filter_config validate_clusters
    vhds vhost_header virtual_hosts
    """
)
HOST = _fields(
    """
    cors domains hedge_policy include_attempt_count_in_response
    include_is_timeout_retry_header include_request_attempt_count matcher metadata name
    per_request_buffer_limit_bytes rate_limits request_body_buffer_limit
    request_headers_to_add request_headers_to_remove request_mirror_policies require_tls
    response_headers_to_add response_headers_to_remove retry_policy
    retry_policy_typed_config route_specifiers routes typed_per_filter_config
    virtual_clusters
    """
)
ROUTE = _fields(
    """
    decorator direct_response filter_action match metadata name non_forwarding_action
    per_request_buffer_limit_bytes redirect request_body_buffer_limit request_headers_to_add
    request_headers_to_remove response_headers_to_add response_headers_to_remove route
    route_specifiers stat_prefix tracing typed_per_filter_config
    """
)
ACTION = _fields(
    """
    append_x_forwarded_host auto_host_rewrite cluster cluster_header
    cluster_not_found_response_code cluster_specifier_plugin cors early_data_policy
    flush_timeout grpc_timeout_offset hash_policy hedge_policy host_rewrite
    host_rewrite_header host_rewrite_literal host_rewrite_path_regex idle_timeout
    include_vh_rate_limits inline_cluster_specifier_plugin internal_redirect_action
    internal_redirect_policy max_grpc_timeout max_internal_redirects max_stream_duration
    metadata_match path_rewrite path_rewrite_policy prefix_rewrite priority rate_limits
    regex_rewrite request_mirror_policies retry_policy retry_policy_typed_config timeout
    upgrade_configs weighted_clusters
    """
)
GATE = _fields(
    """
    allowed_headers bootstrap_metadata_labels_key charge_cluster_response_stats
    clear_route_cache clear_route_cache_headers decoder_header_mutation_rules
    deny_at_disable disallowed_headers emit_client_span emit_filter_state_stats
    enable_dynamic_metadata_ingestion encode_raw_headers enforce_response_header_limits
    failure_mode_allow failure_mode_allow_header_add filter_enabled filter_enabled_metadata
    filter_metadata grpc_service http_service include_peer_certificate include_tls_session
    max_denied_response_body_bytes metadata_context_namespaces
    route_metadata_context_namespaces route_typed_metadata_context_namespaces shadow_mode
    stat_prefix status_on_error transport_api_version typed_metadata_context_namespaces
    validate_mutations with_request_body
    """
)
PER_ROUTE = _fields(
    """
    check_settings disabled
    """
)
CHECK = _fields(
    """
    context_extensions disable_request_body_buffering emit_client_span grpc_service
    http_service with_request_body
    """
)
BODY = _fields(
    """
    allow_partial_message max_request_bytes pack_as_bytes
    """
)


def unknown(
    rule: LintRule, node: ConfigNode | None, known: frozenset[str]
) -> Iterator[LintFinding]:
    """Yield a finding for each field of a message that is not listed."""
    if node is None:
        return
    for name in node.mapping():
        if name not in known and (held := node.get(name)) is not None:
            yield rule.at(held, f"the setting {name} is not known to this linter")
