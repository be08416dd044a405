"""Locates package data: policies, reference Envoy configurations, sample histories, guides.

Theory of operation
-------------------
There is one copy of each in the repository (`policies/`, `envoy/`, `docs/`), where people look
for them. Building the wheel copies them below this package (see `setup.py`), so an installed
sidecar has them without a checkout. In a checkout, and with an editable install of one, they are
read from its own folders instead.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

_POLICIES = "policies"
_ENVOY = "envoy"
_LAWS = "laws"
_DOCS = "docs"
_PAGES = ("*.md", "policies/*.md", "reference/*.md")
_BELOW_DOCS = {_LAWS}
# Names that only this project has together; `policies` or `envoy` beside another package is not it.
_MARKS = ("policies/capabilities.json", "envoy/jwt.yaml", "proto/ext_authz.proto", "pyproject.toml")


class ResourceError(Exception):
    """Package data is missing; the message states where it was looked for and what to do."""


def policies() -> Path:
    """Return the folder of the policies that this version of the sidecar comes with.

    Raises:
        ResourceError: The installation is incomplete.
    """
    return _folder(_POLICIES)


def envoy_configurations() -> dict[str, Path]:
    """Return the reference Envoy configurations: path by name, sorted by name.

    Raises:
        ResourceError: The installation is incomplete.
    """
    return {path.stem: path for path in sorted(_folder(_ENVOY).glob("*.yaml"))}


def envoy_configuration(name: str) -> str:
    """Return the text of one reference Envoy configuration.

    Args:
        name: File name without its suffix, such as ``jwt``.

    Raises:
        ResourceError: There is none of that name, or the installation is incomplete.
    """
    found = envoy_configurations()
    if name not in found:
        raise ResourceError(
            f"no reference Envoy configuration is called {name!r}; there are {', '.join(found)}"
        )
    return found[name].read_text(encoding="utf-8")


def law_examples() -> dict[str, Path]:
    """Return the sample histories of the laws of the cascade: path by name, sorted by name.

    Raises:
        ResourceError: The installation is incomplete.
    """
    return {path.stem: path for path in sorted(_folder(_LAWS).glob("*.yaml"))}


def guides() -> dict[str, Path]:
    """Return the guides and reference pages: path by name, such as ``sre`` or ``reference/cli``.

    Raises:
        ResourceError: The installation is incomplete.
    """
    root = _folder(_DOCS)
    found = (page for pattern in _PAGES for page in sorted(root.glob(pattern)))
    return {page.relative_to(root).with_suffix("").as_posix(): page for page in found}


def source_tree() -> Path | None:
    """Return the root of the checkout this package is imported from; None for an installed one."""
    root = Path(__file__).resolve().parents[2]
    return root if all((root / mark).is_file() for mark in _MARKS) else None


def _folder(name: str) -> Path:
    packaged = Path(str(files(__name__))) / name
    if packaged.is_dir():
        return packaged
    root = source_tree()
    if root is None:
        raise ResourceError(
            f"{packaged} is missing, and the package is not imported from a checkout;"
            " install the sidecar again from its wheel"
        )
    return root / "docs" / name if name in _BELOW_DOCS else root / name
