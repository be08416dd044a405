"""Submits a tuning job under a specification, so that a crash at any moment loses nothing.

Theory of operation. A submission is known by the digest of everything that decides its outcome:
provider, request, digests of the corpora, specification. Its record in the state folder is written
before and after each step that the provider remembers. A file that is known to be uploaded is not
uploaded again; a job that may have been created is looked for by its training file, whose id no
other submission has, before it is created. The same command again therefore goes on, and once the
job exists it returns that job.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from sidecar.binder.errors import BinderError
from sidecar.binder.locks import claimed
from sidecar.binding import corpora, record_formats, specified
from sidecar.binding.model_files import Progress
from sidecar.binding.specified import KnownSpecification
from sidecar.core import strict_json, wire
from sidecar.core.predicates import Corpus
from sidecar.durable.files import write_atomically

MAX_RECORD_BYTES = 4 << 20
VERSION = 1


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What is asked of the provider, without its files.

    Attributes:
        provider: The provider's name in manifests: that of the gate's routes.
        endpoint: Where it is created, for the record; never with a credential.
        model: Id of the base model.
        method: ``supervised``, ``dpo`` or ``reinforcement``, or as the provider names it.
        hyperparameters: By name; what is left out is the provider's choice.
        grader: Of a reinforcement job, as JSON.
        response_format: Of a reinforcement job, as JSON.
        seed: Of the run.
        suffix: Part of the model's name.
        metadata: Kept with the job.
        settings: Further fields of the request that only this provider has.
    """

    provider: str
    endpoint: str
    model: str
    method: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    grader: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    seed: int | None = None
    suffix: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    """A corpus of a submission: its path or URI, and the provider's id of it once it has one."""

    path: str
    corpus: Corpus
    file: str | None = None


@dataclass(frozen=True, slots=True)
class CreatedJob:
    """A job as the provider answered: its id, and the specification that its record names."""

    id: str
    specification: str | None


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission and how far it is.

    Attributes:
        key: SHA-256 of everything that decides its outcome.
        request: What is asked for.
        specification: Digest of the specification.
        uploads: Its corpora, the training file first.
        creating: Whether the job may have been created already.
        job: The job's id, once it is known.
        created: When that was, RFC 3339.
    """

    key: str
    request: JobRequest
    specification: str
    uploads: tuple[Upload, ...]
    creating: bool = False
    job: str | None = None
    created: str | None = None


class JobCreator(Protocol):
    """A provider's calls that create a job; each is made at most once where it is possible."""

    @property
    def forgotten(self) -> bool:
        """Return whether the job that was created does not repeat its specification."""
        ...

    def upload(self, path: str, corpus: Corpus, progress: Progress | None) -> str:
        """Upload a corpus, compare what was read with its digest, and return its id.

        Args:
            path: The file's path, or the URI of an object that is stored already.
            corpus: As it was checked.
            progress: Called with numbers of bytes.
        """
        ...

    def create(self, submission: Submission) -> CreatedJob:
        """Create the job, without trying twice."""
        ...

    def find(self, submission: Submission) -> CreatedJob | None:
        """Return the job that was created for a submission, if there is one."""
        ...


class NotCreatedError(BinderError):
    """The provider refused the job: it was certainly not created."""


def prepare(
    request: JobRequest,
    files: Mapping[str, Path],
    known: KnownSpecification,
    now: datetime,
    *,
    places: Mapping[str, str] = MappingProxyType({}),
    classes: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Submission:
    """Check everything that can be checked before anything leaves this machine.

    Args:
        request: What is asked for.
        files: ``training``, and ``validation`` if there is one.
        known: The specification that the job is submitted under.
        now: Aware.
        places: Role → URI of the stored object that the job will read, of which the file is a copy.
        classes: Data classes of the corpora.
        progress: Called with numbers of bytes as files are read.

    Raises:
        BindingError: A line of a corpus is irregular, or the specification does not cover the job.
    """
    specified.check_base(known, f"{request.provider}/{request.model}")
    specified.check_times(specified.chain(known), now, now)
    unanswered = known.specification.unanswered()
    if unanswered:
        raise BinderError(
            f"the specification {known.digest} declares no compliance suite for "
            f"{', '.join(unanswered)}: a model tuned under it would be admitted nowhere"
        )
    check = record_formats.check_for(request.method)
    uploads = []
    for role, path in files.items():
        place = places.get(role)
        name = path.name if place is None else place
        reading = corpora.read_corpus(
            path, role=role, name=name, classes=classes, progress=progress, check=check
        )
        corpus = corpora.require_regular(place or path, reading)
        uploads.append(Upload(place or str(path.resolve()), corpus))
    decided = {
        "request": {k: v for k, v in asdict(request).items() if k != "endpoint"},
        "endpoint": request.endpoint,
        "corpora": [[each.corpus.role, each.corpus.digest.sha256] for each in uploads],
        "specification": known.digest,
        "places": dict(places),
    }
    key = hashlib.sha256(wire.canonical(decided)).hexdigest()
    return Submission(key, request, known.digest, tuple(uploads))


class SubmissionFolder:
    """The state folder: one record for each submission. Holds no credential."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: str) -> Path:
        """Return the record's path."""
        return self._folder / f"{key[:32]}.json"

    def read(self, key: str) -> Submission | None:
        """Return a record, or ``None``.

        Raises:
            BinderError: It cannot be read.
        """
        path = self.path(key)
        return _read(path) if path.exists() else None

    def of_job(self, provider: str, job: str) -> Submission | None:
        """Return the record of a job, or ``None`` if it was not submitted from here."""
        for found in self.all():
            if (found.request.provider, found.job) == (provider, job):
                return found
        return None

    def all(self) -> Iterator[Submission]:
        """Yield every record.

        Raises:
            BinderError: One cannot be read.
        """
        for path in sorted(self._folder.glob("*.json")):
            if not path.name.startswith("."):
                yield _read(path)

    def write(self, submission: Submission) -> None:
        """Write a record durably."""
        value = {"version": VERSION, **asdict(submission)}
        data = json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
        write_atomically(self.path(submission.key), data, mode=0o600)

    def locked(self, key: str) -> AbstractContextManager[None]:
        """Hold a submission, so that the same command twice at once submits it once."""
        return claimed(self._folder / f".{key[:32]}.lock")


def submit(
    submission: Submission,
    folder: SubmissionFolder,
    creator: JobCreator,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> tuple[Submission, bool]:
    """Upload what is not uploaded and create the job, unless that happened already.

    Returns:
        The submission with its job, and whether the job was created by this call.

    Raises:
        SourceError: The provider cannot be asked; the same call again goes on.
        NotCreatedError: The provider refused the job.
    """
    with folder.locked(submission.key):
        done = folder.read(submission.key) or submission
        if done.job is not None:
            return done, False
        folder.write(done)
        for number, upload in enumerate(done.uploads):
            if upload.file is None:
                # Use its present path: the record may be from an earlier attempt.
                path = submission.uploads[number].path
                file = creator.upload(path, upload.corpus, progress)
                uploads = list(done.uploads)
                uploads[number] = replace(upload, file=file)
                done = replace(done, uploads=tuple(uploads))
                folder.write(done)
        found = creator.find(done) if done.creating else None
        created = found is None
        if found is None:
            done = replace(done, creating=True)
            folder.write(done)
            try:
                found = creator.create(done)
            except NotCreatedError:
                folder.write(replace(done, creating=False))
                raise
        done = replace(done, job=found.id, created=now().isoformat())
        folder.write(done)
        return done, created


def _read(path: Path) -> Submission:
    try:
        value = strict_json.loads_object(path.read_bytes(), max_bytes=MAX_RECORD_BYTES)
    except OSError as error:
        raise BinderError(f"{path}: {error.strerror}") from error
    except strict_json.StrictJsonError as error:
        raise BinderError(f"{path}: {error}; restore it, or remove it to start over") from error
    if value.get("version") != VERSION:
        raise BinderError(f"{path}: version is {value.get('version')!r}, expected {VERSION}")
    try:
        return wire.read_value(Submission, value, what=str(path))
    except Exception as error:
        raise BinderError(f"{path}: {error}") from error
