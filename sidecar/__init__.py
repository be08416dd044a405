"""An Envoy ext_authz sidecar that verifies signed adaptations."""

from sidecar.signing_libraries import install

install()
del install
