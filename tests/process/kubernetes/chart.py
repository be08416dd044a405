"""The Helm chart as Helm renders it, and a pod's volumes as the kubelet keeps them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from admissibility_devtools.tools.find import HELM
from admissibility_devtools.tools.places import repository_root
from tests.process.kubernetes.programs import program

CHART = repository_root() / "deploy" / "chart"
RELEASE, NAMESPACE = "models", "gateways"
KUBERNETES = "1.34.0"

Config = dict[str, Any]

REQUIRED = (
    "credential.secretName=provider-key",
    "listener.tls.secretName=listener",
    "trust.configMapName=whom-to-trust",
)
"""What every release must state, in the words of ``--set``."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A release as it would be applied: the text of its objects, and each of them."""

    text: str
    objects: tuple[Config, ...]

    def named(self, kind: str, suffix: str = "") -> Config:
        """The object of this kind whose name is the release's, with a suffix."""
        name = f"{RELEASE}-admissibility-gateway{suffix}"
        (found,) = (
            each
            for each in self.objects
            if (each["kind"], each["metadata"]["name"]) == (kind, name)
        )
        return found

    @property
    def files(self) -> dict[str, str]:
        """The files of the release's own ConfigMap."""
        found: dict[str, str] = self.named("ConfigMap")["data"]
        return found


def refusal(*settings: str) -> str:
    """Why Helm renders nothing with these settings; empty if it does."""
    return _template(settings).stderr.partition("Error: ")[2].strip()


def rendered(*settings: str) -> Rendered:
    """A release with what is required and these settings, in the words of ``--set-json``."""
    done = _template((*REQUIRED, *settings))
    assert done.returncode == 0, done.stderr
    objects = tuple(each for each in yaml.safe_load_all(done.stdout) if each)
    return Rendered(done.stdout, objects)


def _template(settings: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [str(program(HELM)), "template", RELEASE, str(CHART), "--namespace", NAMESPACE]
    flags = [word for each in settings for word in ("--set", each)]
    return subprocess.run(
        [*command, "--kube-version", KUBERNETES, *flags],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@dataclass(frozen=True, slots=True)
class Volume:
    """A ConfigMap or Secret in a pod: links through ``..data``, which an update replaces.

    Source: the atomic writer of the kubelet (``pkg/volume/util/atomic_writer.go``).
    """

    folder: Path

    def write(self, files: Mapping[str, str]) -> None:
        """Put these files in the place of those that are there, at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = len(list(self.folder.glob("..v*")))
        version = self.folder / f"..v{number}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text, encoding="utf-8")
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(Path("..data", name))
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.replace(self.folder / "..data")
