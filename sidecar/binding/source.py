"""Defines what a provider's adapter offers: its jobs, and one finished job with its files.

Every adapter is a ``JobSource``: ``openai`` and ``azure`` by the ``openai`` SDK, ``bedrock`` by
``boto3``. The binder polls ``pages``, and calls ``fetch`` for a job that succeeded; what it gets is
neutral, and bound by ``job.bind_model`` one model at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Protocol

from sidecar.binding.errors import BindingError
from sidecar.binding.job import AdaptedModel
from sidecar.binding.model_files import Progress
from sidecar.core.predicates import Corpus, EvaluationOutput, Manifest


class JobState(Enum):
    """States of a job, as far as binding distinguishes them."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    ENDED = "ended"
    """Failed, cancelled or expired: there is no model."""


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job as its provider lists it.

    Attributes:
        id: The provider's id.
        state: Its state.
        created: When it was created.
        specification: Digest of the specification that it names; ``None`` without one.
    """

    id: str
    state: JobState
    created: datetime
    specification: str | None


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of a listing.

    Attributes:
        jobs: Its jobs, without those that were created too early.
        fault: Why an entry of it is no job; ``None`` where each is.
    """

    jobs: tuple[ListedJob, ...]
    fault: BindingError | None = None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as its provider has it now, for people.

    Attributes:
        listed: As a list has it.
        status: The provider's own name of its state.
        base: The model that it tunes.
        model: The model that it made; ``None`` before there is one.
        error: Why it ended without one; ``None`` where the provider states nothing.
    """

    listed: ListedJob
    status: str
    base: str
    model: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job that succeeded, with its files as they were read.

    Attributes:
        id: The provider's id.
        models: Every model that it made and that can be called by itself; the final one first.
        corpora: The files that went into it.
        outputs: The metrics files of the run.
        irregular: What was irregular in the corpora, for people; one entry for each file.
    """

    id: str
    models: tuple[AdaptedModel, ...]
    corpora: tuple[Corpus, ...]
    outputs: tuple[EvaluationOutput, ...]
    irregular: tuple[str, ...] = ()

    @property
    def specification(self) -> str | None:
        """Return the digest of the specification that its record names."""
        return self.models[0].specification


class SourceError(Exception):
    """The provider could not be asked, or did not answer as expected; it may answer later."""


class UnansweredError(SourceError):
    """Nothing answered: no connection, or none in time. Nothing was refused."""


class JobSource(Protocol):
    """A provider's API, as far as finished jobs are concerned."""

    @property
    def provider(self) -> str:
        """Return the provider's name in manifests: that of the gate's routes."""
        ...

    def close(self) -> None:
        """Close its connections; nothing is asked any more."""
        ...

    def pages(self, since: datetime, known: frozenset[str] = frozenset(), /) -> Iterator[JobPage]:
        """Yield the pages of the jobs that were created at ``since`` or later, newest first.

        A page is asked for when it is reached: a caller may stop.

        Args:
            since: As above.
            known: Jobs whose specification is not looked up where that takes a request of its own.

        Raises:
            SourceError: The provider cannot be asked.
            BindingError: Its answer is not a list.
        """
        ...

    def fetch(
        self, job: str, work: Path, classes: tuple[str, ...], progress: Progress | None
    ) -> FinishedJob:
        """Fetch one job again, with its files.

        Args:
            job: The provider's id.
            work: A folder for files in transit; what is left in it is resumed from.
            classes: Data classes of the corpora, which no provider knows.
            progress: Called with numbers of bytes as files are read.

        Raises:
            SourceError: The provider cannot be asked.
            BindingError: The job cannot be bound, now or ever; says why.
        """
        ...

    def show(self, job: str) -> JobView:
        """Fetch one job, whatever its state.

        Raises:
            SourceError: The provider cannot be asked.
            BindingError: Its answer is not a job.
        """
        ...

    def differences(self, manifest: Manifest) -> list[str]:
        """Compare a job, as it is now, with the manifest that it was bound into.

        Compared are ids, models, files, method, seed, times and status: a provider adds other
        fields to its records at any time.

        Raises:
            SourceError: The provider cannot be asked.
            BindingError: Its answer is not a job, or no job with a model any more.
        """
        ...
