"""What was measured on: without it a number means nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from sidecar.resources.versions import ENVOY, OPA


def facts() -> dict[str, str]:
    """Processor, cores, load and versions, in the order in which they are shown."""
    return {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load": f"{os.getloadavg()[0]:.2f} before the run",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "envoy": ENVOY,
        "opa": OPA,
        "grpcio": version("grpcio"),
        "wrk": _wrk(),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _wrk() -> str:
    """The first line of its help names the version; it ends with 1, which is no error here."""
    told = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    words = (told.stdout + told.stderr).split()
    return words[1] if len(words) > 1 else "unknown"
