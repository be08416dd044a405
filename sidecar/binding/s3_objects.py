"""Reads objects of Amazon S3 as one version: resumed after an interruption, never mixed.

Theory of operation. The first answer's ETag is sent as ``If-Match`` with every further request, so
an object that is replaced while it is read is an error and never a mixture (RFC 9110 §13.1.1). What
was received is kept in the folder of files in transit beside the ETag, and read on from there when
the command runs again. An object that was written after a job began is not what the job read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

from sidecar.binding.errors import BindingError
from sidecar.binding.model_files import Progress
from sidecar.binding.source import SourceError
from sidecar.core import wire

MAX_OBJECTS = 1000
"""Most objects below one prefix that are corpora: a manifest has at most 1,024."""

MAX_LISTED = 100_000
"""Most objects below one prefix that are listed in one document."""

_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][-.a-z0-9]{1,61}[a-z0-9])(?:/(?P<key>.*))?", re.DOTALL)
_CHUNK = 1 << 20
_TRIES = 5
_CHANGED = frozenset({"PreconditionFailed", "412"})
_INTERRUPTED = (HTTPClientError, IncompleteReadError)
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object as S3 described it: ``etag`` names its version, ``size`` is in bytes."""

    bucket: str
    key: str
    etag: str
    size: int
    modified: datetime

    @property
    def uri(self) -> str:
        """Return its URI."""
        return f"s3://{self.bucket}/{self.key}"


def find(
    client: Any,  # noqa: ANN401 - boto3 has no types
    uri: str,
    most: int = MAX_OBJECTS,
) -> tuple[S3Object, ...]:
    """Return the object of that name or, if there is none, all below that prefix, by key.

    Args:
        client: A boto3 client of S3.
        uri: ``s3://BUCKET/KEY`` or ``s3://BUCKET/PREFIX``.
        most: Objects that are taken.

    Raises:
        SourceError: S3 refused.
        BindingError: Not such a URI; there are none, or more than ``most``.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise BindingError(f"{uri!r} is not s3://BUCKET/KEY")
    bucket, key = match["bucket"], match["key"] or ""
    with _asking(uri):
        if key and not key.endswith("/"):
            single = _head(client, bucket, key)
            if single is not None:
                return (single,)
        prefix = key if not key or key.endswith("/") else f"{key}/"
        found = tuple(sorted(_listed(client, bucket, prefix, most), key=lambda each: each.key))
    if not found:
        raise BindingError(f"{uri}: there is no such object, and none below it")
    if len(found) > most:
        raise BindingError(f"{uri}: has more than {most} objects below it")
    return found


def require_older(found: S3Object, began: datetime) -> None:
    """Require that an object was last written before a job began to read it.

    Raises:
        BindingError: It was written later.
    """
    if found.modified > began:
        raise BindingError(
            f"{found.uri}: was written at {found.modified.isoformat()}, after the job began at "
            f"{began.isoformat()}, so it may not be what was trained on; restore that version, or "
            "give the file"
        )


def fetch(client: Any, found: S3Object, work: Path, progress: Progress | None = None) -> Path:  # noqa: ANN401
    """Write an object to a file in ``work``, resumed from what an earlier call left there.

    Args:
        client: A boto3 client of S3.
        found: The object, whose version is the only one that is read.
        work: The folder of files in transit; created if needed.
        progress: Called with numbers of bytes.

    Returns:
        The file.

    Raises:
        SourceError: S3 refused, or the connection breaks again and again; what arrived is kept.
        BindingError: It was replaced while it was read, or is not as long as was stated.
    """
    work.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(json.dumps([found.uri, found.etag]).encode()).hexdigest()
    whole, part = work / f"{name}.whole", work / f"{name}.part"
    if whole.exists() and whole.stat().st_size == found.size:
        return whole
    with part.open("ab") as file:
        _read_all(client, found, file.tell(), file.write, lambda: file.truncate(0), progress)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    if size != found.size:
        part.unlink()
        raise BindingError(f"{found.uri}: has {size} bytes, but S3 stated {found.size}")
    part.replace(whole)
    return whole


def digest(client: Any, found: S3Object, progress: Progress | None = None) -> str:  # noqa: ANN401
    """Return the hex SHA-256 of an object, of which nothing is kept.

    Raises:
        BindingError: As ``fetch``.
    """
    hashed = hashlib.sha256()
    size = 0

    def take(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)
        hashed.update(chunk)

    def restart() -> None:
        nonlocal size, hashed
        size, hashed = 0, hashlib.sha256()

    _read_all(client, found, 0, take, restart, progress)
    if size != found.size:
        raise BindingError(f"{found.uri}: has {size} bytes, but S3 stated {found.size}")
    return hashed.hexdigest()


def listing(
    client: Any,  # noqa: ANN401
    uri: str,
    began: datetime,
    progress: Progress | None = None,
) -> bytes:
    """Return RFC 8785 canonical JSON of all objects at or below a URI: name → hex SHA-256.

    Raises:
        BindingError: As ``find``, ``require_older`` and ``fetch``.
    """
    found = find(client, uri, MAX_LISTED)
    for each in found:
        require_older(each, began)
    return listed({each.uri: digest(client, each, progress) for each in found})


def listed(digests: Mapping[str, str]) -> bytes:
    """Return the listing of objects, URI → hex SHA-256, as RFC 8785 canonical JSON."""
    return wire.canonical(dict(digests))


def file_digest(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_all(
    client: Any,  # noqa: ANN401
    found: S3Object,
    have: int,
    take: Callable[[bytes], object],
    restart: Callable[[], object],
    progress: Progress | None,
) -> None:
    """Read an object from byte ``have`` to its end, however often the connection breaks.

    ``restart`` is called where S3 sends everything again.
    """
    tries = 0
    while True:
        before = have
        try:
            for chunk in _chunks(client, found, have):
                if chunk is None:
                    restart()
                    have = 0
                    continue
                take(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(len(chunk))
        except _INTERRUPTED as error:
            tries = tries + 1 if have == before else 0
            if tries == _TRIES:
                raise SourceError(f"{found.uri}: {error}") from error
        else:
            return


def _chunks(client: Any, found: S3Object, have: int) -> Iterator[bytes | None]:  # noqa: ANN401
    """Yield an object's bytes from ``have`` on; ``None`` first if they begin at the beginning."""
    if 0 < have >= found.size:
        return
    asked = {"Bucket": found.bucket, "Key": found.key, "IfMatch": found.etag}
    if have:
        asked["Range"] = f"bytes={have}-"
    with _asking(found.uri):
        answer = client.get_object(**asked)
        if answer["ETag"] != found.etag:
            raise _changed(found.uri)
        if have and not answer.get("ContentRange", "").startswith(f"bytes {have}-"):
            yield None
        yield from answer["Body"].iter_chunks(_CHUNK)


def _head(client: Any, bucket: str, key: str) -> S3Object | None:  # noqa: ANN401
    try:
        answer = client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return None
        raise
    return S3Object(bucket, key, answer["ETag"], answer["ContentLength"], answer["LastModified"])


def _listed(client: Any, bucket: str, prefix: str, most: int) -> Iterator[S3Object]:  # noqa: ANN401
    """Yield the objects below a prefix; consoles make empty ones in place of folders."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    count = 0
    for page in pages:
        for each in page.get("Contents", ()):
            if each["Size"] == 0 and each["Key"].endswith("/"):
                continue
            yield S3Object(bucket, each["Key"], each["ETag"], each["Size"], each["LastModified"])
            count += 1
            if count > most:
                return


@contextlib.contextmanager
def _asking(uri: str) -> Iterator[None]:
    """Turn what S3 refuses into one line; an interruption is for the caller to resume from."""
    try:
        yield
    except _INTERRUPTED:
        raise
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _CHANGED:
            raise _changed(uri) from error
        raise SourceError(f"{uri}: {error}") from error
    except BotoCoreError as error:
        raise SourceError(f"{uri}: {error}") from error


def _changed(uri: str) -> BindingError:
    return BindingError(f"{uri}: was replaced while it was read; bind again when nobody writes it")
