"""An Envoy ext_authz sidecar that verifies signed adaptations."""
