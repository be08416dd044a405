"""Imports ``securesystemslib.signer`` without the libraries of HSMs and clouds that it may use.

Where boto3, azure-identity or python-pkcs11 is installed, securesystemslib imports it whether a key
needs it or not: 0.4 s of processor time and 40 MB for every gate and every command. Each of those
imports is one that may fail, so it fails here, until ``complete`` imports the module of one kind of
key again. What was imported before is left as it is.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_PACKAGE = "securesystemslib.signer"
LIBRARIES = frozenset({"azure", "boto3", "google.cloud", "hvac", "pkcs11"})
"""What the modules of ``_PACKAGE`` import in a ``try``, to sign with a key that is elsewhere."""


class _Absent:
    """A finder by which the libraries are not there for one thread."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        """Raise for a library; leave every other module to the finders that follow."""
        if name in LIBRARIES and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is imported when a key needs it", name=name)


@contextmanager
def _without_libraries() -> Iterator[None]:
    absent: Any = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)


class _Loader:
    """The loader of the package, which executes it without the libraries."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any loader
        self._inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the package's own loader makes."""
        made: ModuleType | None = self._inner.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Execute the package; only what it imports meanwhile is without the libraries."""
        with _without_libraries():
            self._inner.exec_module(module)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - resources, source, …
        return getattr(self._inner, name)


class _Finder:
    """Finds the package as Python does, and gives it the loader above."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the package's specification; ``None`` for every other module."""
        spec = PathFinder.find_spec(name, path, target) if name == _PACKAGE else None
        if spec is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


def install() -> None:
    """Put it before Python's own finders, once."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        finder: Any = _Finder()
        sys.meta_path.insert(0, finder)


def complete(scheme: str) -> None:
    """Import the signer of a URI scheme again, with its library if that is installed.

    Args:
        scheme: As in a key's URI, before the colon. One that securesystemslib does not define
            is left alone.
    """
    signers: dict[str, type] = importlib.import_module(_PACKAGE).SIGNER_FOR_URI_SCHEME
    known = signers.get(scheme)
    if known is None or not known.__module__.startswith(f"{_PACKAGE}._") or scheme in _completed:
        return
    module = importlib.reload(sys.modules[known.__module__])
    signers[scheme] = getattr(module, known.__name__)
    _completed.add(scheme)


_completed: set[str] = set()
