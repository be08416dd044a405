"""Reads a folder of policies into memory once, and hashes it into a revision.

Everything else works on that copy. So the revision that a verdict must contain is the hash of
exactly the bytes that OPA evaluates, and two gates with the same policies expect the same revision.
Tests of policies, and the lint over them, are neither hashed nor loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.durable.files import read_bounded
from sidecar.opa.errors import PolicyError

CAPABILITIES = "capabilities.json"
JURISDICTIONS = "jurisdiction"
MAX_FILES = 10_000
MAX_FILE_BYTES = 4 << 20
_RULES = ".rego"
_DATA = frozenset({"data.json", "data.yaml", "data.yml"})
_NOT_SERVED = frozenset({"lint", "schemas"})


@dataclass(frozen=True, slots=True)
class Tree:
    """The served files of a policy folder: contents by relative name, and their revision."""

    files: Mapping[str, bytes]
    revision: str

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Return the names of the folders below ``jurisdiction/``, sorted."""
        return jurisdictions_of(self.files)

    def write(self, folder: Path) -> None:
        """Write a copy of the files into ``folder``."""
        for name, data in self.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def read(policies: Path) -> Tree:
    """Read a policy folder.

    Raises:
        PolicyError: It has no policies, or they cannot be read.
    """
    return of(dict(_read(policies)), policies)


def require_policies(policies: Path) -> None:
    """Require that a folder has policies, before a program works on its files.

    Raises:
        PolicyError: It has none.
    """
    if not (policies / CAPABILITIES).is_file():
        raise PolicyError(
            f"{policies}: no policies with a {CAPABILITIES} in there; name their folder with"
            " --policies, or make one with `admit policy copy`"
        )


def of(files: Mapping[str, bytes], place: Path) -> Tree:
    """Return a tree of the served files that were read from ``place``.

    Raises:
        PolicyError: They are no policies.
    """
    if CAPABILITIES not in files or not any(name.endswith(_RULES) for name in files):
        raise PolicyError(f"{place}: no policies with a {CAPABILITIES} in there")
    for name in sorted(_DATA & files.keys()):
        # The revision is served as data at the root; a file there could claim another one.
        raise PolicyError(f"{place / name}: data belongs into a folder of its own")
    return Tree(files, revision_of(files))


def revision_of(files: Mapping[str, bytes]) -> str:
    """Return ``sha256:`` and the hash over names and contents, each preceded by its length."""
    whole = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            whole.update(len(part).to_bytes(8, "big"))
            whole.update(part)
    return "sha256:" + whole.hexdigest()


def jurisdictions_of(names: Mapping[str, object]) -> tuple[str, ...]:
    """Return the folders below ``jurisdiction/`` among some relative file names, sorted.

    In a bundle that was built from another folder, all names may begin with that folder's path.
    """
    return tuple(
        sorted(
            {
                parts[index + 1]
                for parts in (name.split("/") for name in names)
                for index in range(len(parts) - 2)
                if parts[index] == JURISDICTIONS
            }
        )
    )


def _read(policies: Path) -> Iterator[tuple[str, bytes]]:
    try:
        if not policies.is_dir():
            raise PolicyError(f"{policies}: there is no such folder")
        for number, path in enumerate(sorted(policies.rglob("*"))):
            if number >= MAX_FILES:
                raise PolicyError(f"{policies}: more than {MAX_FILES} files")
            name = path.relative_to(policies).as_posix()
            if path.is_symlink() or not path.is_file() or not is_served(name):
                continue
            yield name, read_bounded(path, MAX_FILE_BYTES)
    except OSError as error:
        raise PolicyError(f"{error.filename or policies}: {error.strerror}") from error


def is_served(name: str) -> bool:
    """Return whether a file, by its name relative to the folder, is part of the bundle."""
    path = Path(name)
    if any(part.startswith(".") for part in path.parts) or path.parts[0] in _NOT_SERVED:
        return False
    if path.suffix == _RULES:
        return not name.endswith("_test.rego")
    return path.name in _DATA or name == CAPABILITIES
