"""Kubernetes' own part of the objects for meshes has only fields that Kubernetes knows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.process.kubernetes.mesh_objects import MESHES, Mesh, Object, objects, pod
from tests.support.go_program import built

pytestmark = pytest.mark.kubernetes


def as_pod(mesh: Mesh) -> Object:
    """The pod of a gateway, as far as the objects state it."""
    found = pod(mesh)
    envoy = {"name": "envoy", **found.pop("envoy")}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"of-{mesh}"},
        "spec": {**found, "containers": [envoy]},
    }


@pytest.mark.parametrize("mesh", MESHES)
def test_every_field_is_known(mesh: Mesh) -> None:
    program = built(Path(__file__).parent / "objects", "kubernetes_objects", pytest.skip)
    known = [each for each in objects(mesh) if each["apiVersion"] in ("v1", "apps/v1")]
    known.append(as_pod(mesh))
    done = subprocess.run(
        [program],
        input=yaml.safe_dump_all(known),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        f"ok {each['kind']} {each['metadata']['name']}" for each in known
    ]
