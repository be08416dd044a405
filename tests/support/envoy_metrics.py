"""Metrics of Envoy that an alert rule asks for, with their labels in Prometheus."""

from __future__ import annotations

ENVOYS = {
    "envoy_listener_ssl_certificate_expiration_unix_time_seconds": frozenset(
        {"envoy_tls_certificate", "envoy_listener_address", "instance", "job"}
    ),
}
