"""Creates jobs at OpenAI or Azure OpenAI: a ``JobCreator``."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import IO, Any, cast

from pydantic import BaseModel, ConfigDict

from sidecar.binder.endpoint import Endpoint
from sidecar.binder.errors import BinderError
from sidecar.binder.openai_client import StatusError, calling, make_client
from sidecar.binder.openai_source import OpenAiSource
from sidecar.binder.submission import CreatedJob, NotCreatedError, Submission
from sidecar.binding import openai, openai_listing
from sidecar.binding.model_files import Progress
from sidecar.binding.records import MAX_RECORD_BYTES
from sidecar.binding.source import SourceError
from sidecar.core import strict_json
from sidecar.core.predicates import Corpus
from sidecar.formats.json_model import JsonModelError, read_json

SUBMISSION_KEY = "admissibility_submission"
SINGLE_BYTES = 512 << 20
"""Largest file that ``POST /files`` takes; a larger one goes up in parts (Uploads API)."""

PART_BYTES = 64 << 20


class _Identified(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    id: str


class OpenAiCreator:
    """Creates jobs of one account.

    Args:
        provider: The provider's name in manifests.
        endpoint: How the API is reached.

    ``forgotten`` is set where the created job's record does not repeat its specification.
    """

    def __init__(self, provider: str, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = make_client(endpoint)
        self._source = OpenAiSource(provider, endpoint)
        self.forgotten = False

    def close(self) -> None:
        """Close its connections."""
        self._client.close()
        self._source.close()

    def upload(self, path: str, corpus: Corpus, progress: Progress | None) -> str:
        """Upload a corpus, and return the provider's id of it.

        Raises:
            SourceError: The provider cannot be asked.
            BinderError: The file is not the one that was checked.
        """
        try:
            with Path(path).open("rb", buffering=0) as raw:
                file, name = _Counted(raw, progress), Path(path).name
                if corpus.bytes <= SINGLE_BYTES:
                    found = self._whole(name, file)
                else:
                    found = self._in_parts(name, file, corpus.bytes)
        except OSError as error:
            raise BinderError(f"{path}: {error.strerror}") from error
        if file.digest() != corpus.digest.sha256:
            raise BinderError(
                f"{path}: changed between its check and its upload (file {found}); run this again"
            )
        return found

    def create(self, submission: Submission) -> CreatedJob:
        """Create the job; the SDK does not try again by itself.

        Raises:
            NotCreatedError: The provider refused it.
            SourceError: It cannot be known whether it was created.
        """
        body = request_body(submission)
        required = {name: body.pop(name) for name in ("model", "training_file")}
        try:
            with calling(self._endpoint, "create the job"):
                once = self._client.with_options(max_retries=0)
                found = once.fine_tuning.jobs.with_raw_response.create(**required, extra_body=body)
                data = bytes(found.http_response.content)
        except StatusError as error:
            if error.status < 500 and error.status not in {408, 409}:
                raise NotCreatedError(str(error)) from error
            raise
        created = _created(_parsed(data, "create the job"))
        self.forgotten = created.specification is None
        return created

    def find(self, submission: Submission) -> CreatedJob | None:
        """Return the job with this submission's training file, if there is one."""
        training = submission.uploads[0].file
        for value in self._source.entries():
            if training is not None and value.get("training_file") == training:
                return _created(value)
        return None

    def _whole(self, name: str, file: _Counted) -> str:
        with calling(self._endpoint, f"upload {name}"):
            # A second attempt would send the rest of a file that was half read.
            once = self._client.with_options(max_retries=0)
            found = once.files.with_raw_response.create(
                file=(name, cast("IO[bytes]", file)), purpose="fine-tune"
            )
            return _identified(bytes(found.http_response.content), f"upload {name}")

    def _in_parts(self, name: str, file: _Counted, size: int) -> str:
        uploads = self._client.uploads
        with calling(self._endpoint, f"upload {name}"):
            begun = uploads.with_raw_response.create(
                bytes=size, filename=name, mime_type="text/jsonl", purpose="fine-tune"
            )
            upload = _identified(bytes(begun.http_response.content), f"upload {name}")
            parts = []
            while data := file.read(PART_BYTES):
                part = uploads.parts.with_raw_response.create(upload, data=data)
                parts.append(_identified(bytes(part.http_response.content), f"upload {name}"))
            done = uploads.with_raw_response.complete(upload, part_ids=parts)
            data = bytes(done.http_response.content)
        value = _parsed(data, f"upload {name}")
        inner = value.get("file")
        if not isinstance(inner, dict) or not isinstance(inner.get("id"), str):
            raise SourceError(f"upload {name}: completed without a file")
        return str(inner["id"])


def request_body(submission: Submission) -> dict[str, Any]:
    """Return the body of ``POST /fine_tuning/jobs``."""
    request = submission.request
    detail: dict[str, Any] = {}
    if request.hyperparameters:
        detail["hyperparameters"] = request.hyperparameters
    if request.grader is not None:
        detail["grader"] = request.grader
    if request.response_format is not None:
        detail["response_format"] = request.response_format
    body: dict[str, Any] = {
        "model": request.model,
        "method": {"type": request.method, request.method: detail},
        "metadata": {
            **request.metadata,
            openai.SPECIFICATION_KEY: submission.specification,
            SUBMISSION_KEY: submission.key,
        },
    }
    for upload in submission.uploads:
        body[f"{upload.corpus.role}_file"] = upload.file or f"<{upload.path}>"
    if request.seed is not None:
        body["seed"] = request.seed
    if request.suffix is not None:
        body["suffix"] = request.suffix
    return body


class _Counted(io.RawIOBase):
    """A file that is hashed, and reported, as it is read for an upload."""

    def __init__(self, file: io.RawIOBase | Any, progress: Progress | None) -> None:  # noqa: ANN401
        self._file = file
        self._digest = hashlib.sha256()
        self._hashed = 0
        self._progress = progress

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def fileno(self) -> int:
        return int(self._file.fileno())

    def read(self, size: int = -1) -> bytes:
        before = self._file.tell()
        parts = bytearray()
        while size < 0 or len(parts) < size:
            data = self._file.read(1 << 20 if size < 0 else min(size - len(parts), 1 << 20))
            if not data:
                break
            parts += data
        found = bytes(parts)
        if before == self._hashed:
            self._digest.update(found)
            self._hashed += len(found)
            if self._progress is not None:
                self._progress(len(found))
        return found

    def digest(self) -> str:
        """Return the hex SHA-256 of everything that was read, in order, once."""
        return self._digest.hexdigest()


def _identified(data: bytes, what: str) -> str:
    try:
        return read_json(_Identified, data, max_bytes=MAX_RECORD_BYTES).id
    except JsonModelError as error:
        raise SourceError(f"{what}: {error}") from error


def _parsed(data: bytes, what: str) -> dict[str, Any]:
    try:
        return strict_json.loads_object(data, max_bytes=MAX_RECORD_BYTES)
    except strict_json.StrictJsonError as error:
        raise SourceError(f"{what}: {error}") from error


def _created(value: dict[str, Any]) -> CreatedJob:
    listed = openai_listing.listed_job(value)
    return CreatedJob(listed.id, listed.specification)
