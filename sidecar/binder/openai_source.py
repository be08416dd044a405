"""Fetches finished jobs of OpenAI or Azure OpenAI with their checkpoints and files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sidecar.binder.download import FileInfo, download
from sidecar.binder.endpoint import Endpoint
from sidecar.binder.openai_client import calling, make_client
from sidecar.binding import corpora, files, openai, openai_listing
from sidecar.binding.errors import BindingError
from sidecar.binding.model_files import Progress
from sidecar.binding.openai import Job
from sidecar.binding.openai_listing import Page
from sidecar.binding.records import MAX_RECORD_BYTES
from sidecar.binding.source import FinishedJob, JobPage, JobView, SourceError
from sidecar.core.predicates import EvaluationOutput, Manifest
from sidecar.core.wire import DigestSet
from sidecar.formats.json_model import JsonModelError, read_json

PAGE = 100
MAX_PAGES = 10_000


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    id: str
    filename: str | None = None
    bytes: int = Field(ge=0)
    created_at: int


class OpenAiSource:
    """The jobs of one account: a ``JobSource``.

    Args:
        provider: The provider's name in manifests: that of the gate's routes.
        endpoint: How the API is reached.
    """

    def __init__(self, provider: str, endpoint: Endpoint) -> None:
        self.provider = provider
        self.endpoint = endpoint
        self._client = make_client(endpoint)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def record(self, job: str) -> bytes:
        """Return the bytes of a job's record, as the API returned them.

        Raises:
            SourceError: It cannot be had.
        """
        with calling(self.endpoint, f"job {job}"):
            found = self._client.fine_tuning.jobs.with_raw_response.retrieve(job)
            return bytes(found.http_response.content)

    def pages(self, since: datetime, _known: frozenset[str] = frozenset()) -> Iterator[JobPage]:
        """Yield the pages of the jobs that were created at ``since`` or later; see ``JobSource``.

        Their entries are whole records, so that nothing has to be looked up.
        """
        for page in self._job_pages():
            jobs, fault = [], None
            for value in page.entries:
                try:
                    jobs.append(openai_listing.listed_job(value))
                except BindingError as error:
                    fault = fault or error
            yield JobPage(tuple(job for job in jobs if job.created >= since), fault)

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield the record of every job as it is listed.

        Raises:
            SourceError: They cannot be had.
            BindingError: Not a list.
        """
        for page in self._job_pages():
            yield from page.entries

    def _job_pages(self) -> Iterator[Page]:
        return self._pages("jobs", self._client.fine_tuning.jobs.with_raw_response.list)

    def checkpoints(self, job: str) -> tuple[openai.Checkpoint, ...]:
        """Return every checkpoint that is listed for a job.

        Raises:
            SourceError: They cannot be had.
            BindingError: One is not a checkpoint.
        """
        listing = self._client.fine_tuning.jobs.checkpoints.with_raw_response.list
        pages = self._pages(f"checkpoints of {job}", lambda **where: listing(job, **where))
        return openai_listing.read_checkpoints(tuple(pages))

    def fetch(
        self, job: str, work: Path, classes: tuple[str, ...], progress: Progress | None
    ) -> FinishedJob:
        """Fetch one job again, with its checkpoints and files; see ``JobSource``."""
        record = openai.read_job(self.record(job))
        if record.id != job:
            raise BindingError(f"job {job}: the provider answered with job {record.id}")
        models = openai.adapted_models(record, self.checkpoints(job), self.provider)
        read, irregular = [], []
        for role, file in (("training", record.training_file), *_validation(record)):
            path, name = download(self, file, work, progress)
            reading = corpora.read_corpus(
                path, role=role, name=openai.file_name(file, name), classes=classes
            )
            read.append(reading.corpus)
            if reading.irregular:
                irregular.append(f"{name}: {corpora.described(reading)}")
        outputs = tuple(self._output(each, work) for each in record.result_files)
        return FinishedJob(job, models, tuple(read), outputs, tuple(irregular))

    def show(self, job: str) -> JobView:
        """Fetch one job, whatever its state; see ``JobSource``."""
        return openai_listing.job_view(self.record(job))

    def differences(self, manifest: Manifest) -> list[str]:
        """Compare a job with its manifest; see ``JobSource``."""
        job = manifest.run.id
        return openai_listing.differences(manifest, self.record(job), self.checkpoints(job))

    def file_info(self, file: str) -> FileInfo:
        """Return how the provider describes a file.

        Raises:
            SourceError: It cannot be had.
            BindingError: Not a file's record.
        """
        with calling(self.endpoint, f"file {file}"):
            found = self._client.files.with_raw_response.retrieve(file)
            data = bytes(found.http_response.content)
        try:
            info = read_json(_File, data, max_bytes=MAX_RECORD_BYTES)
        except JsonModelError as error:
            raise BindingError(f"file {file}: {error}") from error
        return FileInfo(info.id, info.filename or info.id, info.bytes, info.created_at)

    @contextmanager
    def open_file(self, file: str, headers: dict[str, str]) -> Iterator[Any]:
        """Stream a file's content; errors while it is read are ``SourceError`` as well."""
        with calling(self.endpoint, f"file {file}"):
            try:
                with self._client.files.with_streaming_response.content(
                    file, extra_headers=headers
                ) as response:
                    yield response
            except (SourceError, BindingError):
                raise
            except OSError:
                raise
            except Exception as error:
                # The HTTP library's errors while a body is read are none of the SDK's.
                if type(error).__module__.partition(".")[0] in _HTTP_LIBRARIES:
                    raise SourceError(f"file {file}: {type(error).__name__}: {error}") from error
                raise

    def _output(self, file: str, work: Path) -> EvaluationOutput:
        """Read a metrics file; one that is no CSV of numbers is bound by its digest alone."""
        path, name = download(self, file, work, None)
        known = openai.file_name(file, name)
        try:
            return files.run_output(path, name=known)
        except BindingError:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            return EvaluationOutput(known, DigestSet(digest), {})

    def _pages(self, what: str, ask: Callable[..., Any]) -> Iterator[Page]:
        """Yield every page of a list, up to one whose ``has_more`` is false."""
        where: dict[str, Any] = {"limit": PAGE}
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            with calling(self.endpoint, f"list of {what}"):
                data = bytes(ask(**where).http_response.content)
            page = openai_listing.read_page(data, what)
            yield page
            if not page.more:
                return
            if page.last in seen:
                raise BindingError(f"list of {what}: the page after {page.last} is the same again")
            seen.add(page.last)
            where["after"] = page.last
        raise BindingError(f"list of {what}: has more than {MAX_PAGES} pages")


_HTTP_LIBRARIES = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})


def _validation(record: Job) -> tuple[tuple[str, str], ...]:
    return () if record.validation_file is None else (("validation", record.validation_file),)
