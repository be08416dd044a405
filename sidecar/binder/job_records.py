"""Keeps on disk the record of each job, and the webhooks that were taken.

In the state folder ``jobs/PROVIDER/KEY.json`` is one job, ``webhooks/KEY`` one delivery, and
``work/PROVIDER/KEY/`` a job's files in transit; KEY is a digest, since ids come from outside.
A record states what to do next; what was signed is known from the home that signed it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from sidecar.binder.errors import BinderError
from sidecar.binder.locks import claimed
from sidecar.core import strict_json
from sidecar.durable.files import write_atomically, write_private
from sidecar.observe.json_lines import event

log = logging.getLogger("sidecar.binder")

MAX_RECORD_BYTES = 1 << 20
WEBHOOKS_KEPT_SECONDS = 7 * 86_400
"""How long a delivery is remembered; one older than its tolerance is refused anyway."""

AT_ONCE = "1970-01-01T00:00:00+00:00"
_FIRST_RETRY = timedelta(seconds=10)
_LAST_RETRY = timedelta(minutes=15)
_FIRST_REFUSED = timedelta(minutes=15)
_LAST_REFUSED = timedelta(hours=12)
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Progress(Enum):
    """How far a job is."""

    PENDING = "pending"
    """To be bound when it is due."""
    BOUND = "bound"
    REFUSED = "refused"
    """Cannot be bound as it is; retried at growing intervals, as what it lacks may be added."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """The record of one job.

    Attributes:
        provider: As the binder's settings name it.
        job: The provider's id.
        progress: How far it is.
        reason: Why it is not bound; empty otherwise.
        attempts: Attempts since the reason last changed.
        due: When it is tried next, RFC 3339.
        manifests: Model id → digest of its manifest.
    """

    provider: str
    job: str
    progress: Progress = Progress.PENDING
    reason: str = ""
    attempts: int = 0
    due: str = AT_ONCE
    manifests: dict[str, str] = field(default_factory=dict)

    def put_off(self, reason: str, now: datetime, *, refused: bool) -> JobRecord:
        """Return the record after an attempt that failed; each waits longer than the last."""
        attempts = self.attempts + 1 if reason == self.reason else 1
        return replace(
            self,
            progress=Progress.REFUSED if refused else Progress.PENDING,
            reason=reason,
            attempts=attempts,
            due=(now + _wait(attempts, refused=refused)).isoformat(),
        )

    def due_after_change(self) -> datetime:
        """Return when a refused job is due once something was added that it may lack."""
        waits = _wait(self.attempts, refused=True)
        return datetime.fromisoformat(self.due) - waits + _FIRST_REFUSED


def _wait(attempts: int, *, refused: bool) -> timedelta:
    first, last = (_FIRST_REFUSED, _LAST_REFUSED) if refused else (_FIRST_RETRY, _LAST_RETRY)
    doubled: int = 2 ** min(max(attempts - 1, 0), 20)
    return min(first * doubled, last)


class JobRecords:
    """The binder's state folder; a webhook and a worker may write one record at the same time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writing = threading.RLock()

    def claimed(self, provider: str, job: str) -> AbstractContextManager[None]:
        """Claim a job for this process; see ``locks.claimed``."""
        return claimed(self._path(provider, job, ".lock"))

    def work(self, provider: str, job: str) -> Path:
        """Return the folder of a job's files in transit."""
        return self.folder / "work" / _checked(provider) / _key(job)

    def read(self, provider: str, job: str) -> JobRecord | None:
        """Return a job's record, or ``None``.

        Raises:
            BinderError: It cannot be read.
        """
        path = self._path(provider, job, ".json")
        return _read(path) if path.exists() else None

    def write(self, record: JobRecord) -> None:
        """Write a record durably."""
        path = self._path(record.provider, record.job, ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        value = {**asdict(record), "progress": record.progress.value}
        with self._writing:
            write_atomically(path, json.dumps(value, indent=2).encode() + b"\n", mode=0o600)

    def enqueue(self, provider: str, job: str) -> bool:
        """Let a job be bound as soon as possible; return whether there was something to change."""
        with self._writing:
            known = self.read(provider, job)
            if known is None:
                self.write(JobRecord(provider, job))
                return True
            if known.progress is Progress.BOUND:
                return False
            self.write(replace(known, progress=Progress.PENDING, due=AT_ONCE))
            return True

    def all(self) -> Iterator[JobRecord]:
        """Yield every record; one that cannot be read is logged, and hinders no other."""
        for path in sorted((self.folder / "jobs").glob("*/*.json")):
            if path.name.startswith("."):
                continue
            try:
                yield _read(path)
            except BinderError as error:
                log.warning("%s", error, extra=event("record_unreadable", file=str(path)))

    def has_webhook(self, delivery: str) -> bool:
        """Return whether a delivery was taken before."""
        return self._webhook(delivery).exists()

    def take_webhook(self, delivery: str) -> None:
        """Remember a delivery, durably."""
        path = self._webhook(delivery)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_private(path, b"")
        except FileExistsError:
            return

    def forget_webhooks(self) -> None:
        """Remove deliveries that are too old to come again."""
        limit = time.time() - WEBHOOKS_KEPT_SECONDS
        for path in (self.folder / "webhooks").glob("*"):
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)

    def _path(self, provider: str, job: str, suffix: str) -> Path:
        return self.folder / "jobs" / _checked(provider) / f"{_key(job)}{suffix}"

    def _webhook(self, delivery: str) -> Path:
        return self.folder / "webhooks" / _key(delivery)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _checked(provider: str) -> str:
    if not _SAFE.fullmatch(provider) or provider.startswith("."):
        raise BinderError(f"provider {provider!r}: must be letters, digits, '-', '_' and '.'")
    return provider


def _read(path: Path) -> JobRecord:
    try:
        value = strict_json.loads_object(path.read_bytes(), max_bytes=MAX_RECORD_BYTES)
        record = JobRecord(**{**value, "progress": Progress(value["progress"])})
        datetime.fromisoformat(record.due)
    except OSError as error:
        raise BinderError(f"{path}: {error.strerror}") from error
    except (strict_json.StrictJsonError, TypeError, KeyError, ValueError) as error:
        raise BinderError(
            f"{path}: not a job's record: {error}; remove it to start over"
        ) from error
    return record
