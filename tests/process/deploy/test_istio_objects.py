"""The objects for Istio, where they differ from those for Envoy Gateway."""

from __future__ import annotations

from tests.process.envoy.config import loaded, manager
from tests.process.kubernetes.mesh_objects import named, objects, patched


def test_the_listener_of_istio_is_the_one_of_the_reference_with_routes_of_istiod() -> None:
    reference = manager(loaded("mtls"))
    del reference["http_filters"], reference["route_config"]
    ours = patched("istio")["manager"]
    assert ours.pop("rds") == {
        "config_source": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
        "route_config_name": "https.443.https.provider-egress.admissibility",
    }
    assert ours == reference


def test_istio_denies_by_itself_from_before_there_is_a_pod() -> None:
    found = objects("istio")
    kinds = [each["kind"] for each in found]
    assert kinds.index("AuthorizationPolicy") < kinds.index("Deployment")
    assert named(found, "AuthorizationPolicy", "closed-without-the-gate")["spec"] == {
        "selector": {"matchLabels": {"istio": "provider-egress"}},
        "action": "DENY",
        "rules": [{}],
    }
