"""The reference Envoy configurations, each one run."""
