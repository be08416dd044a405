"""Downloads a provider's file of any size, and goes on where an earlier attempt stopped.

Theory of operation. The bytes go to ``NAME.part`` beside a note of the file as the provider
described it. An attempt that breaks off is resumed with ``Range`` and ``If-Range`` (RFC 9110 §14);
a server that honours neither answers 200, and the file starts over. When it is complete its length
is compared with the description, and the description is fetched once more: a file that was replaced
meanwhile is no corpus.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from sidecar.binding.errors import BindingError
from sidecar.binding.model_files import Progress
from sidecar.binding.source import SourceError
from sidecar.durable.files import write_atomically

ATTEMPTS = 5
_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file as the provider describes it."""

    id: str
    name: str
    bytes: int
    created_at: int


@dataclass(frozen=True, slots=True)
class _Note:
    """What an unfinished download belongs to; ``etag`` is empty where the server sent none."""

    file: FileInfo
    etag: str


class FileApi(Protocol):
    """The calls that a download needs."""

    def file_info(self, file: str) -> FileInfo:
        """Return how the provider describes a file."""
        ...

    def open_file(self, file: str, headers: dict[str, str]) -> Any:  # noqa: ANN401 - the SDK's
        """Return a context manager of a streamed response with these request headers."""
        ...


def download(api: FileApi, file: str, folder: Path, progress: Progress | None) -> tuple[Path, str]:
    """Download a file, unless it is complete already.

    Args:
        api: The provider's calls.
        file: The provider's id.
        folder: Where it is written; created if needed.
        progress: Called with numbers of bytes as they arrive.

    Returns:
        The path, and the file's own name.

    Raises:
        SourceError: It cannot be had now; what arrived is kept.
        BindingError: It is not what the provider describes, or changed meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    info = api.file_info(file)
    path = folder / re.sub(r"[^A-Za-z0-9._-]", "_", file)
    part, noted = path.with_name(path.name + ".part"), path.with_name(path.name + ".note")
    note = _read_note(noted)
    if note is None or note.file != info:
        for stale in (path, part, noted):
            stale.unlink(missing_ok=True)
    if path.exists() and path.stat().st_size == info.bytes:
        return path, info.name
    _attempts(api, info, part, noted, progress)
    size = part.stat().st_size
    if size != info.bytes:
        part.unlink()
        raise BindingError(
            f"file {file}: {size} bytes arrived, but the provider states {info.bytes}; it is "
            "truncated or was replaced"
        )
    if api.file_info(file) != info:
        part.unlink()
        raise BindingError(f"file {file}: the provider describes it otherwise than before its read")
    part.replace(path)
    return path, info.name


def _attempts(
    api: FileApi, info: FileInfo, part: Path, noted: Path, progress: Progress | None
) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _attempt(api, info, part, noted, progress)
        except SourceError:
            arrived = part.stat().st_size if part.exists() else 0
            failures = 0 if arrived > before else failures + 1
            if failures >= ATTEMPTS:
                raise
        else:
            return


def _attempt(
    api: FileApi, info: FileInfo, part: Path, noted: Path, progress: Progress | None
) -> None:
    """Fetch the rest of the file, or all of it where the server does not resume."""
    have = part.stat().st_size if part.exists() else 0
    note = _read_note(noted)
    headers = {"Accept-Encoding": "identity"}
    if 0 < have < info.bytes:
        headers["Range"] = f"bytes={have}-"
        if note is not None and note.etag and not note.etag.startswith("W/"):
            headers["If-Range"] = note.etag
    with api.open_file(info.id, headers) as response:
        resumed = response.status_code == 206 and _resumes(response.headers, have, info)
        if not resumed and response.status_code != 200:
            part.unlink(missing_ok=True)
            raise SourceError(
                f"file {info.id}: HTTP {response.status_code} to a range; started over"
            )
        etag = response.headers.get("etag", "")
        if resumed and note is not None and note.etag and etag and etag != note.etag:
            part.unlink(missing_ok=True)
            raise SourceError(f"file {info.id}: is another one than the part that arrived before")
        write_atomically(noted, json.dumps(asdict(_Note(info, etag))).encode(), mode=0o600)
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                if file.tell() > info.bytes:
                    break
                if progress is not None:
                    progress(len(chunk))


def _resumes(headers: Any, have: int, info: FileInfo) -> bool:  # noqa: ANN401 - the SDK's headers
    """Return whether a 206 continues exactly where the part ends."""
    found = _RANGE.fullmatch(headers.get("content-range", ""))
    if found is None or int(found[1]) != have:
        return False
    return found[3] == "*" or int(found[3]) == info.bytes


def _read_note(path: Path) -> _Note | None:
    try:
        value = json.loads(path.read_bytes())
        return _Note(FileInfo(**value["file"]), str(value["etag"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
