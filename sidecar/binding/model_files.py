"""Digests the files of an open-weight model's folder, as the ``model-signing`` package does.

The artifact is the predicate that ``model-signing`` 1.x signs (``https://model_signing/
signature/v1.0``, method ``files``): the SHA-256 of every file with its name, sorted by name, as
RFC 8785 canonical JSON. What it ignores is ignored here: Git's own files and the signature
``model.sig``. Every file is read once: the bytes that are inspected are the bytes that are hashed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sidecar.binding import safetensors
from sidecar.binding.errors import BindingError
from sidecar.binding.safetensors import Tensor
from sidecar.core import strict_json, wire

SIGNATURE = "model.sig"
IGNORED = (".git", ".gitattributes", ".github", ".gitignore", SIGNATURE)
"""Names directly in the folder that are no part of the model."""

PICKLES = frozenset(
    {".bin", ".ckpt", ".dill", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"}
)
"""Suffixes of formats whose loaders can run code that the file holds."""

MAX_FILES = 10_000
MAX_DEPTH = 16
MAX_KEPT_BYTES = 4 << 20
MAX_ARTIFACT_BYTES = 16 << 20
_CHUNK = 1 << 20
_PICKLE_PROTOCOLS = range(2, 6)

Progress = Callable[[int], None]
"""Called with the number of bytes that were read since the last call."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model, as read in one pass.

    Attributes:
        digests: Name relative to the folder, with ``/`` → SHA-256 in hex; sorted by name.
        kept: Contents of the files that were asked for and exist.
        tensors: Name of each safetensors file → its tensors.
    """

    digests: Mapping[str, str]
    kept: Mapping[str, bytes]
    tensors: Mapping[str, tuple[Tensor, ...]]

    @property
    def artifact(self) -> bytes:
        """Return the bytes whose SHA-256 is the artifact's digest."""
        return wire.canonical(
            {
                "resources": [
                    {"algorithm": "sha256", "digest": digest, "name": name}
                    for name, digest in self.digests.items()
                ],
                "serialization": {
                    "allow_symlinks": False,
                    "hash_type": "sha256",
                    "ignore_paths": list(IGNORED),
                    "method": "files",
                },
            }
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """A regular file below the folder; the rest is as ``stat`` returned it."""

    path: Path
    inode: int
    size: int
    changed: int


def read_folder(
    folder: Path, keep: frozenset[str] = frozenset(), progress: Progress | None = None
) -> ModelFiles:
    """Hash every file of a model's folder, of any size, in one pass.

    Args:
        folder: The folder that is, or will be, served.
        keep: Names of small files (``MAX_KEPT_BYTES``) whose contents are returned.
        progress: Called while files are read.

    Raises:
        BindingError: It cannot be read or has no files; a file is a link, a pickle, no valid
            safetensors file, or changed while it was read; names the file.
    """
    before = _listing(folder)
    _check_names(folder, before)
    digests, kept, tensors = {}, {}, {}
    for name, found in before.items():
        digest = hashlib.sha256()
        try:
            with _opened(found) as file:
                reader = _Reader(file, digest.update, progress or _silent)
                if name.endswith(".safetensors"):
                    tensors[name] = _tensors(reader, found)
                elif name in keep:
                    kept[name] = _content(reader, found)
                else:
                    _check_no_pickle(reader.read(_CHUNK), found.path)
                reader.drain()
        except OSError as error:
            raise BindingError(f"{found.path}: {error.strerror}") from error
        digests[name] = digest.hexdigest()
    after = _listing(folder)
    changed = sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )
    if changed:
        raise BindingError(
            f"{folder}: {', '.join(changed)}: changed while the folder was read; "
            "run this again when nothing writes to it"
        )
    return ModelFiles(digests, kept, tensors)


def total_bytes(folder: Path) -> int:
    """Return how many bytes ``read_folder`` will read.

    Raises:
        BindingError: The folder cannot be read.
    """
    return sum(found.size for found in _listing(folder).values())


def read_artifact(data: bytes, what: str) -> dict[str, str]:
    """Return the digests in an artifact, name → SHA-256 in hex.

    Raises:
        BindingError: Not an artifact of a model's folder, such as that of a provider's job.
    """
    try:
        value = strict_json.loads_object(data, max_bytes=MAX_ARTIFACT_BYTES)
        return {str(entry["name"]): str(entry["digest"]) for entry in value["resources"]}
    except (strict_json.StrictJsonError, KeyError, TypeError) as error:
        raise BindingError(f"{what}: is not the list of a model's files") from error


class _Reader:
    """Reads a file forward and passes every byte on to its digest."""

    def __init__(self, file: BinaryIO, update: Callable[[bytes], None], progress: Progress) -> None:
        self._file = file
        self._update = update
        self._progress = progress

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._update(data)
        self._progress(len(data))
        return data

    def drain(self) -> None:
        while self.read(_CHUNK):
            pass


def _silent(_: int) -> None:
    pass


def _listing(folder: Path) -> dict[str, _Found]:
    """Return every file of the model, sorted by name as ``model-signing`` sorts."""
    found: dict[str, _Found] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name not in IGNORED:
                    _add(found, entry, PurePosixPath(entry.name))
    except OSError as error:
        raise BindingError(f"{error.filename or folder}: {error.strerror}") from error
    if not found:
        raise BindingError(f"{folder}: has no files")
    return dict(sorted(found.items(), key=lambda item: PurePosixPath(item[0])))


def _add(found: dict[str, _Found], entry: os.DirEntry[str], name: PurePosixPath) -> None:
    try:
        str(name).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BindingError(f"{entry.path!r}: its name is not UTF-8; rename it") from error
    known = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(known.st_mode):
        if len(name.parts) >= MAX_DEPTH:
            raise BindingError(f"{entry.path}: is nested deeper than {MAX_DEPTH} folders")
        with os.scandir(entry.path) as entries:
            for below in entries:
                _add(found, below, name / below.name)
    elif stat.S_ISREG(known.st_mode):
        found[str(name)] = _Found(Path(entry.path), known.st_ino, known.st_size, known.st_ctime_ns)
        if len(found) > MAX_FILES:
            raise BindingError(f"{entry.path}: the folder has more than {MAX_FILES} files")
    elif stat.S_ISLNK(known.st_mode):
        raise BindingError(
            f"{entry.path}: is a symbolic link, which can be pointed elsewhere; "
            "copy the folder with `cp -rL`, and serve the copy"
        )
    else:
        raise BindingError(f"{entry.path}: is neither a file nor a folder")


def _check_names(folder: Path, found: Mapping[str, _Found]) -> None:
    pickles = [name for name in found if PurePosixPath(name).suffix.lower() in PICKLES]
    if pickles:
        raise BindingError(
            f"{folder}: {', '.join(pickles)}: loading such a file can run code; save the weights "
            "as safetensors, and leave out what only the trainer needs"
        )


def _opened(found: _Found) -> BinaryIO:
    descriptor = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    return os.fdopen(descriptor, "rb", buffering=0)


def _tensors(reader: _Reader, found: _Found) -> tuple[Tensor, ...]:
    what = str(found.path)
    length = safetensors.header_length(reader.read(safetensors.LENGTH_BYTES), found.size, what)
    return safetensors.tensors(_exactly(reader, length), found.size, what)


def _exactly(reader: _Reader, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count and (data := reader.read(count - len(parts))):
        parts += data
    return bytes(parts)


def _content(reader: _Reader, found: _Found) -> bytes:
    if found.size > MAX_KEPT_BYTES:
        raise BindingError(
            f"{found.path}: has {found.size} bytes, at most {MAX_KEPT_BYTES} are read"
        )
    return _exactly(reader, found.size)


def _check_no_pickle(data: bytes, path: Path) -> None:
    """Refuse a pickle, or an archive as PyTorch writes it, under another suffix."""
    pickled = data[:1] == b"\x80" and len(data) > 1 and data[1] in _PICKLE_PROTOCOLS
    if pickled or data.startswith(b"PK\x03\x04"):
        raise BindingError(
            f"{path}: is a pickle or a zip archive, whatever its name; loading it can run code"
        )
