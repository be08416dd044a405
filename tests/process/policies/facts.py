"""Facts of an admissible call, with what a waiver adds."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from sidecar.core.facts import to_input
from tests.process.policies.opa import (
    POLICIES,
    REVISION,
)
from tests.process.policies.samples import (
    sample_deployment,
    sample_environment,
    sample_facts,
    sample_waiver,
)

LEASE = json.loads((POLICIES / "params/admission/data.json").read_text())["lease_seconds"]


SATISFIED = {"allow": True, "violations": []}


FINANCE = {
    path.parent.name: package
    for path in (POLICIES / "params").glob("*/data.json")
    if (package := json.loads(path.read_text()).get("sectors", {}).get("finance"))
}


def facts_in(*jurisdictions: str) -> dict[str, Any]:
    """The sample as OPA gets it, in an environment of these jurisdictions."""
    environment = sample_environment(jurisdictions=jurisdictions)
    facts: dict[str, Any] = json.loads(json.dumps(to_input(sample_facts(environment=environment))))
    return facts


def facts_with_waiver(*jurisdictions: str) -> dict[str, Any]:
    """The sample with a waiver and a deployment in it, so that every type of the facts occurs."""
    more = {
        "deployments": [dataclasses.asdict(sample_deployment())],
        "waivers": [dataclasses.asdict(sample_waiver())],
    }
    return {**facts_in(*jurisdictions), **json.loads(json.dumps(more))}


def packages(*jurisdictions: str) -> tuple[str, ...]:
    """The packages that a call in the financial sector is held to."""
    return (*jurisdictions, *(FINANCE[one] for one in jurisdictions if one in FINANCE))


def admitted(*jurisdictions: str) -> dict[str, Any]:
    """The whole answer that admits the sample."""
    return {
        "allow": True,
        "nonce": sample_facts().nonce,
        "revision": REVISION,
        "violations": [],
        "warnings": [],
        "jurisdictions": dict.fromkeys(packages(*jurisdictions), SATISFIED),
        "lease_seconds": LEASE,
    }
