"""Puts policies, reference Envoy configurations, sample histories and guides into the wheel.

Everything else about the build is declared in `pyproject.toml`. There is one copy of these files in
the repository, outside the packages; `sidecar/resources` reads them from there in a checkout, and
from below itself in an installation.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
RESOURCES = {"policies": "policies", "envoy": "envoy", "laws": "docs/laws"}
PAGES = ("*.md", "policies/*.md", "reference/*.md")
"""Of `docs`: what a user reads. Decision records are for those who change the code."""
PACKAGE = Path("sidecar") / "resources"


class BuildWithResources(build_py):
    """Builds the packages, then copies the resources below `sidecar/resources`."""

    def run(self) -> None:
        """Build into an emptied folder, so that nothing of an earlier build is in the wheel."""
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        for name, source in RESOURCES.items():
            # A missing folder raises: a wheel without policies must not be built.
            shutil.copytree(
                ROOT / source,
                Path(self.build_lib) / PACKAGE / name,
                ignore=shutil.ignore_patterns(".*", "__pycache__", "*.py"),
            )
        for pattern in PAGES:
            self._copy_pages(pattern)

    def _copy_pages(self, pattern: str) -> None:
        pages = list((ROOT / "docs").glob(pattern))
        if not pages:
            raise FileNotFoundError(f"docs/{pattern}: a wheel without its guides must not be built")
        for page in pages:
            copy = Path(self.build_lib) / PACKAGE / page.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(page, copy)


setup(cmdclass={"build_py": BuildWithResources})
