"""Publishes to an S3-compatible object store, with conditional writes where it honours them.

Credentials are found by ``boto3`` itself (environment, shared credentials file, role of the
machine); none is taken from a URL.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from sidecar.destinations.destination import (
    EVIDENCE,
    MAX_BYTES,
    TIMESTAMP,
    ChangedError,
    PlaceError,
)
from sidecar.formats.evidence_index import INDEX_FILE

_CHANGING = frozenset({TIMESTAMP, f"{EVIDENCE}/{INDEX_FILE}"})
_CONFLICTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_UNKNOWN = frozenset({"NotImplemented", "501"})
_FOR_EVER = "public, max-age=31536000, immutable"
_Result = TypeVar("_Result")


class _UnknownConditionError(PlaceError):
    """The store does not know the request, or the condition of a write."""


class _Client(Protocol):
    """What is used of boto3's client, whose methods are made at run time."""

    def get_object(self, **given: object) -> dict[str, Any]: ...

    def head_object(self, **given: object) -> dict[str, Any]: ...

    def put_object(self, **given: object) -> dict[str, Any]: ...

    def delete_object(self, **given: object) -> dict[str, Any]: ...

    def get_paginator(self, name: str) -> _Paginator: ...

    def close(self) -> None: ...


class _Paginator(Protocol):
    def paginate(self, **given: object) -> Iterable[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class S3Config:
    """Where files go.

    Attributes:
        bucket: Name of the bucket.
        prefix: Of every key, without slashes at its ends; empty for none.
        endpoint: URL of a store that is not AWS's.
        ca: PEM certificates that replace the system's CAs.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    ca: Path | None = None

    @property
    def url(self) -> str:
        """The place, for messages."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


class S3Destination:
    """A prefix of a bucket; see ``destination.Destination``."""

    def __init__(self, config: S3Config) -> None:
        self._config = config
        self._s3: _Client | None = None
        self._etags: dict[str, str | None] = {}

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes; None where there is none."""
        self._etags[name] = None

        def work(s3: _Client) -> bytes:
            answer = s3.get_object(Bucket=self._config.bucket, Key=self._key(name))
            data: bytes = answer["Body"].read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise PlaceError(self._config.url, f"{name} is larger than {MAX_BYTES} bytes")
            self._etags[name] = answer.get("ETag")
            return data

        try:
            return self._done(name, work)
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write an object."""
        self._put(name, data, {})

    def replace(self, name: str, data: bytes) -> None:
        """Write an object with ``If-Match`` of what was read, or ``If-None-Match``."""
        if name not in self._etags:
            self._put(name, data, {})
            return
        etag = self._etags.pop(name)
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            self._put(name, data, condition)
        except _UnknownConditionError:
            self._put(name, data, {})

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return the names and sizes of the objects that are directly in a folder."""
        prefix = self._key(f"{folder}/")

        def work(s3: _Client) -> dict[str, int]:
            pages = s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._config.bucket, Prefix=prefix, Delimiter="/"
            )
            return {
                each["Key"].removeprefix(prefix): each["Size"]
                for page in pages
                for each in page.get("Contents", ())
            }

        return self._done(folder, work)

    def names(self, folder: str) -> frozenset[str]:
        """Return the names of the objects that are directly in a folder."""
        return frozenset(self.sizes(folder))

    def written(self, name: str) -> float:
        """Return when an object was written, by the clock of the store."""

        def work(s3: _Client) -> float:
            answer = s3.head_object(Bucket=self._config.bucket, Key=self._key(name))
            found: datetime = answer["LastModified"]
            return found.timestamp()

        return self._done(name, work)

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._done(
            name, lambda s3: s3.delete_object(Bucket=self._config.bucket, Key=self._key(name))
        )

    def close(self) -> None:
        """Close the connections."""
        if self._s3 is not None:
            self._s3.close()
            self._s3 = None

    def _put(self, name: str, data: bytes, condition: Mapping[str, str]) -> None:
        self._done(
            name,
            lambda s3: s3.put_object(
                Bucket=self._config.bucket,
                Key=self._key(name),
                Body=data,
                ContentType="application/json",
                CacheControl="no-cache" if name in _CHANGING else _FOR_EVER,
                **condition,
            ),
        )

    def _key(self, name: str) -> str:
        return f"{self._config.prefix}/{name}" if self._config.prefix else name

    def _done(self, name: str, work: Callable[[_Client], _Result]) -> _Result:
        """Do something with the store.

        Raises:
            FileNotFoundError: There is no such object.
            _UnknownConditionError: The store does not know the request or its condition.
            PlaceError: Anything else.
        """
        exceptions = importlib.import_module("botocore.exceptions")
        try:
            if self._s3 is None:
                self._s3 = self._client()
            return work(self._s3)
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _MISSING:
                raise FileNotFoundError(name) from error
            if code in _UNKNOWN:
                reason = f"{name}: {_one_line(error)}"
                raise _UnknownConditionError(self._config.url, reason) from error
            if code in _CONFLICTS:
                reason = f"{name} was changed by someone else meanwhile"
                raise ChangedError(self._config.url, reason) from error
            raise PlaceError(self._config.url, f"{name}: {_one_line(error)}") from error
        except exceptions.BotoCoreError as error:
            raise PlaceError(self._config.url, f"{name}: {_one_line(error)}") from error

    def _client(self) -> _Client:
        boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
        made = boto3.client(
            "s3",
            endpoint_url=self._config.endpoint,
            verify=None if self._config.ca is None else str(self._config.ca),
            config=config.Config(
                connect_timeout=5,
                read_timeout=20,
                retries={"mode": "standard", "max_attempts": 3},
                # Stores that are not AWS's refuse checksums they do not know.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        return cast("_Client", made)


def _one_line(error: Exception) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(error))[:300]
