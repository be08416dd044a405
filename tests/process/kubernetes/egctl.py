"""Envoy Gateway's own translation of objects into what Envoy gets, by `egctl`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from admissibility_devtools.tools.find import EGCTL
from tests.process.kubernetes.mesh_objects import Object
from tests.process.kubernetes.programs import program

GATEWAY = "admissibility/applications"
LISTENER = f"{GATEWAY}/https"

SECRET: Object = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "applications-tls", "namespace": "admissibility"},
    "type": "kubernetes.io/tls",
}


def translate(objects: list[Object], folder: Path, *to: str) -> dict[str, Any]:
    """Give objects to `egctl` and return what it prints."""
    egctl = program(EGCTL)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    ran = subprocess.run(
        [
            *(str(egctl), "experimental", "translate", "--from", "gateway-api"),
            *("--to", ",".join(to or ("xds",)), "--type", "all", "--output", "json"),
            *("--file", str(file)),
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found
