"""Finds the specifications and manifests that a binding needs, in folders of evidence.

Signatures are not checked here: a file that is put there can only make the binder sign a manifest
that the gate refuses, since the gate checks the specification's and the parent's signatures itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from sidecar.authority import records
from sidecar.authority.open_home import Home
from sidecar.binder.errors import BinderError
from sidecar.binding import model_files
from sidecar.binding.errors import BindingError
from sidecar.binding.job import KnownManifest
from sidecar.binding.specified import KnownSpecification
from sidecar.core import dsse
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.predicates import Manifest, Predicate, Specification
from sidecar.core.reasons import EvidenceError
from sidecar.durable.files import read_bounded

MAX_BYTES = 4 << 20


def specification(folders: tuple[Path, ...], digest: str) -> KnownSpecification:
    """Return a specification by its digest, with those that it extends.

    Raises:
        BinderError: One of them is not there.
    """
    known = {
        found: KnownSpecification(found, predicate)
        for found, predicate in _evidence(folders)
        if isinstance(predicate, Specification)
    }
    chain: list[KnownSpecification] = []
    wanted: str | None = digest
    while wanted is not None:
        found = known.pop(wanted, None)
        if found is None:
            places = ", ".join(map(str, folders))
            raise BinderError(
                f"the specification {wanted} is in none of the folders {places}: copy it there"
            )
        chain.append(found)
        extends = found.specification.extends
        wanted = None if extends is None else extends.sha256
    return replace(chain[0], others=tuple(chain[1:]))


def manifest_of(
    homes: tuple[Home, ...], folders: tuple[Path, ...], provider: str, model: str
) -> KnownManifest:
    """Return the newest manifest of a model, of these homes or in folders.

    Raises:
        BinderError: There is none.
    """
    own = (
        (found.digest, found.statement.predicate)
        for home in homes
        for found in records.of_kind(home.path, "manifest")
    )
    found = [
        KnownManifest(digest, predicate)
        for digest, predicate in (*own, *_evidence(folders))
        if isinstance(predicate, Manifest)
        and (predicate.model.provider, predicate.model.id) == (provider, model)
    ]
    if not found:
        raise BinderError(
            f"{provider}/{model} is itself adapted, and none of the folders has its manifest: "
            "bind it first, or copy its manifest there"
        )
    return max(found, key=lambda each: (each.manifest.window.not_before, each.digest))


@dataclass(frozen=True, slots=True)
class BoundAdapter:
    """A manifest of an adapter's folder, and the digests of its files."""

    known: KnownManifest
    files: Mapping[str, str]


def adapter_with(folders: tuple[Path, ...], provider: str, file: str) -> BoundAdapter:
    """Return the newest manifest of a provider's adapter whose folder has a file.

    Args:
        folders: Folders with manifests, each with its ``*.artifact.json`` beside it.
        provider: The provider's name in manifests.
        file: Hex SHA-256 of the file.

    Raises:
        BinderError: There is none.
    """
    found = [
        adapter
        for path, digest, statement in _statements(folders)
        if isinstance(statement.predicate, Manifest)
        and statement.predicate.model.provider == provider
        and (adapter := _adapter(path, digest, statement)) is not None
        and file in adapter.files.values()
    ]
    if not found:
        raise BinderError(
            f"the file with the SHA-256 {file} is in no adapter of {provider} whose manifest and "
            "*.artifact.json are in the folders: it is another one, or was converted by the server"
        )
    return max(found, key=lambda each: (each.known.manifest.window.not_before, each.known.digest))


def _adapter(path: Path, digest: str, statement: Statement[Predicate]) -> BoundAdapter | None:
    """Return the files of a manifest's folder; ``None`` where its list is not beside it."""
    manifest = statement.predicate
    assert isinstance(manifest, Manifest)
    listed = path.with_name(f"{path.name.removesuffix(records.SUFFIX)}.artifact.json")
    try:
        data = read_bounded(listed, model_files.MAX_ARTIFACT_BYTES)
        files = model_files.read_artifact(data, str(listed))
    except (OSError, BindingError):
        return None
    if hashlib.sha256(data).hexdigest() != statement.subject.digest.sha256:
        return None
    return BoundAdapter(KnownManifest(digest, manifest), files)


def handed_out(folder: Path) -> frozenset[bytes]:
    """Return the envelopes below a folder; other files are passed over.

    Raises:
        OSError: One is there and cannot be read.
    """
    found = set[bytes]()
    for path in folder.rglob(f"*{records.SUFFIX}"):
        try:
            data = read_bounded(path, MAX_BYTES)
            dsse.parse(data)
        except (FileNotFoundError, EvidenceError):  # a binding that ended was cleared away
            continue
        found.add(data)
    return frozenset(found)


def awaited(folders: tuple[Path, ...]) -> frozenset[str]:
    """Return the digests of what a job may wait for: specifications, and manifests of parents."""
    found = _evidence(folders)
    return frozenset(digest for digest, kind in found if isinstance(kind, Manifest | Specification))


def _evidence(folders: tuple[Path, ...]) -> Iterator[tuple[str, Predicate]]:
    for _, digest, statement in _statements(folders):
        yield digest, statement.predicate


def _statements(
    folders: tuple[Path, ...],
) -> Iterator[tuple[Path, str, Statement[Predicate]]]:
    for folder in folders:
        for path in sorted(folder.rglob(f"*{records.SUFFIX}")):
            try:
                status = path.stat()
                found = _parsed(path, (status.st_ino, status.st_size, status.st_mtime_ns))
            except OSError:
                continue
            if found is not None:
                yield path, *found


@lru_cache(maxsize=4096)
def _parsed(path: Path, _stamp: tuple[int, int, int]) -> tuple[str, Statement[Predicate]] | None:
    """Return digest and statement of a file; ``None`` where it is no evidence.

    Kept while the file does not change: deployments are compared with all evidence every minute.

    Raises:
        OSError: It cannot be read now.
    """
    data = read_bounded(path, MAX_BYTES)
    try:
        envelope = dsse.parse(data)
        return envelope.digest, parse_statement(envelope.payload)
    except EvidenceError:
        return None
