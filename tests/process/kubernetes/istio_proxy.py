"""What istiod's own code makes of Istio's objects for one proxy: a small Go program runs it.

It is Istio's package that istiod makes configurations with, and its validation. istiod itself needs
a Kubernetes API server, also for objects from files (its release 1.31 panics without one).
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.process.kubernetes.mesh_objects import Object
from tests.support.go_program import built

Config = dict[str, Any]
MESH = {"trustDomain": "acme.example", "accessLogFile": "/dev/stdout"}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, as istiod knows it.

    Attributes:
        kind: ``router`` for a gateway, ``sidecar`` for a workload's.
        namespace: Of its pod.
        labels: Of its pod.
        address: Of its pod; that of an endpoint makes it a proxy of that service.
    """

    kind: str
    namespace: str
    labels: dict[str, str]
    address: str


def made_for(proxy: Proxy, objects: list[Object]) -> Config:
    """The configuration dump of a proxy, of the objects that Istio reads."""
    ran = ask(proxy, objects)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: Config = json.loads(ran.stdout)
    return found


def ask(proxy: Proxy, objects: list[Object]) -> subprocess.CompletedProcess[str]:
    """Run the program; it fails where Istio's validation does, and warns where that warns."""
    program = built(Path(__file__).parent / "istio", "istio_proxy", pytest.skip, "-trimpath")
    question = {
        "Objects": objects,
        "Mesh": yaml.safe_dump(MESH),
        "Proxy": {
            "Type": proxy.kind,
            "Name": "proxy-1",
            "Namespace": proxy.namespace,
            "Address": proxy.address,
            "Labels": proxy.labels,
        },
    }
    return subprocess.run(
        [program],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
