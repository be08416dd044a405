"""States the versions of OPA and Envoy that this version of the sidecar was tested with."""

from __future__ import annotations

OPA = "1.22.0"
ENVOY = "1.40.0"
