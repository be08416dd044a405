"""An installation of which there are only files."""

from __future__ import annotations

import yaml

from sidecar.doctor.http_client import HttpAddress
from sidecar.doctor.installation import Installation
from sidecar.service.config import SidecarConfig
from tests.unit.trust.operator import Operator


def installation(operator: Operator) -> Installation:
    """Write the operator's ``trust.yaml``; nothing listens anywhere."""
    operator.path.write_text(yaml.safe_dump(operator.value))
    config = SidecarConfig.model_validate({"trust": operator.path, "policies": "policies"})
    nowhere = HttpAddress("127.0.0.1", 1)
    return Installation(operator.path, config, "", nowhere, nowhere, nowhere, nowhere)
