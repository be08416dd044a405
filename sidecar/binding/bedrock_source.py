"""Fetches finished jobs of Amazon Bedrock with their corpora: a ``JobSource``.

EventBridge's events about jobs are sent at best effort, so the list of jobs is asked: it is the
truth, and an event could only make it be asked sooner.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sidecar.binding import bedrock, bedrock_arns, bedrock_records, corpora, records, s3_objects
from sidecar.binding.bedrock import BedrockModel
from sidecar.binding.bedrock_api import BedrockApi
from sidecar.binding.corpora import CorpusReading
from sidecar.binding.deployments import DeployedModel
from sidecar.binding.errors import BindingError
from sidecar.binding.model_files import Progress
from sidecar.binding.source import FinishedJob, JobPage, JobState, JobView, ListedJob
from sidecar.core.predicates import Corpus, Manifest
from sidecar.core.wire import DigestSet

_STATES = {"InProgress": JobState.RUNNING, "Stopping": JobState.RUNNING}
_PACKED = ".gz"


class BedrockSource:
    """The customization jobs of one account and region.

    Args:
        provider: The provider's name in manifests: that of the gate's routes.
        api: How Bedrock is reached.
    """

    def __init__(self, provider: str, api: BedrockApi) -> None:
        self.provider = provider
        self._api = api

    def close(self) -> None:
        """Close its connections."""
        self._api.close()

    def pages(self, since: datetime, known: frozenset[str] = frozenset()) -> Iterator[JobPage]:
        """Yield the pages of the customization jobs since a time; see ``JobSource``.

        Raises:
            SourceError: AWS cannot be asked.
        """
        for page in self._api.job_pages(since):
            yield JobPage(tuple(self._listed(job, known) for job in page))

    def _listed(self, job: tuple[str, str, datetime], known: frozenset[str]) -> ListedJob:
        arn, status, created = job
        state = _state(status)
        # Only a job that can be bound, and is not known, is worth a further request.
        asked = state is JobState.SUCCEEDED and arn not in known
        return ListedJob(arn, state, created, self._api.specification(arn) if asked else None)

    def fetch(
        self, job: str, work: Path, classes: tuple[str, ...], progress: Progress | None
    ) -> FinishedJob:
        """Fetch one job again, with its corpora.

        Raises:
            SourceError: AWS cannot be asked.
            BindingError: The job cannot be bound, or what it was trained on is not there any more.
        """
        found = self._api.model(job, self.provider)
        readings = list(self.corpora(found, work, classes, progress))
        read = tuple(reading.corpus for reading in readings)
        irregular = tuple(
            f"{reading.corpus.name}: {corpora.described(reading)}"
            for reading in readings
            if reading.irregular
        )
        return FinishedJob(job, (bedrock.adapted_model(found, read),), read, (), irregular)

    def show(self, job: str) -> JobView:
        """Fetch one customization job, by ARN or name, whatever its state; see ``JobSource``."""
        data = self._api.record("get_model_customization_job", jobIdentifier=job)
        value = records.parse_object(data, "job")
        found = records.validate(bedrock_records.CustomizationJob, value, "job")
        error = value.get("failureMessage")
        named = self._api.specification(found.job_arn)
        return JobView(
            ListedJob(found.job_arn, _state(found.status), found.creation_time, named),
            found.status,
            bedrock_arns.model_name(found.base_model_arn),
            found.output_model_arn,
            None if error is None else str(error),
        )

    def differences(self, manifest: Manifest) -> list[str]:
        """Compare a job with its manifest; see ``JobSource``."""
        return bedrock.differences(manifest, self._api.model(manifest.run.id, self.provider))

    def corpora(
        self,
        found: BedrockModel,
        work: Path,
        classes: tuple[str, ...],
        progress: Progress | None,
        given: dict[str, Path] | None = None,
    ) -> Iterator[CorpusReading]:
        """Read every corpus that a model's records name.

        Args:
            found: The model.
            work: The folder of files in transit.
            classes: Data classes of the corpora.
            progress: Called with numbers of bytes as objects arrive.
            given: Files to read in place of the objects of an S3 URI, by that URI.

        Raises:
            BindingError: As ``s3_objects``, or as ``corpora.read_corpus``.
        """
        for role, uris in (("training", found.training), ("validation", found.validation)):
            for uri in uris:
                at_hand = (given or {}).get(uri)
                if at_hand is not None:
                    yield read_object(at_hand, role, uri, classes, progress)
                    continue
                if uri == found.logs:
                    yield self._logs(uri, found.run.started, work, classes, progress)
                    continue
                for name, path in self._api.objects(uri, found.run.started, work, progress):
                    yield read_object(path, role, name, classes, None)

    def _logs(
        self,
        uri: str,
        began: datetime,
        work: Path,
        classes: tuple[str, ...],
        progress: Progress | None,
    ) -> CorpusReading:
        """Read invocation logs as one corpus: they are more files than a manifest has corpora.

        Its digest is that of the listing of all of them.
        """
        read = [
            read_object(path, "training", name, classes, None)
            for name, path in self._api.logs(uri, began, work, progress)
        ]
        parts = [each.corpus for each in read]
        listing = s3_objects.listed({each.name: each.digest.sha256 for each in parts})
        corpus = Corpus(
            "training",
            uri,
            DigestSet(hashlib.sha256(listing).hexdigest()),
            sum(each.bytes for each in parts),
            sum(each.records for each in parts),
            classes,
            sum(each.irregular or 0 for each in parts) or None,
        )
        lines = tuple(line for each in read for line in each.irregular)
        return CorpusReading(corpus, lines[: corpora.MAX_SHOWN])

    def weights(self, uri: str, began: datetime, progress: Progress | None) -> bytes:
        """Return the listing of imported weights: canonical JSON of names and digests.

        Raises:
            BindingError: As ``s3_objects``.
        """
        return s3_objects.listing(self._api.s3, uri, began, progress)


def _state(status: str) -> JobState:
    return JobState.SUCCEEDED if status == "Completed" else _STATES.get(status, JobState.ENDED)


class BedrockDeployments:
    """Custom model deployments and provisioned throughput: a ``DeploymentSource``.

    Args:
        provider: The provider's name in bindings: that of the gate's routes.
        api: How Bedrock is reached.
        arns: Which ones.
    """

    def __init__(self, provider: str, api: BedrockApi, arns: tuple[str, ...]) -> None:
        self.provider = provider
        self._api = api
        self._arns = arns

    def close(self) -> None:
        """Close its connections."""
        self._api.close()

    def names(self) -> Iterator[str]:
        """Yield the ARNs; see ``DeploymentSource``."""
        yield from self._arns

    def read(self, name: str) -> DeployedModel:
        """Return what a deployment runs; see ``DeploymentSource``."""
        found = self._api.deployment(name)
        adapted = found.model.startswith("arn:")
        return DeployedModel(found.name, found.model, adapted, found.projection)


def read_object(
    path: Path, role: str, name: str, classes: tuple[str, ...], progress: Progress | None
) -> CorpusReading:
    """Read a corpus; records of one that is packed with gzip are counted unpacked.

    Its digest and its size are those of the object as it is stored.

    Raises:
        BindingError: It has no records, or cannot be unpacked.
    """
    if not name.endswith(_PACKED):
        return corpora.read_corpus(path, role=role, name=name, classes=classes, progress=progress)
    unpacked = path.with_name(f"{path.name}.unpacked")
    try:
        with gzip.open(path) as packed, unpacked.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
        reading = corpora.read_corpus(unpacked, role=role, name=name, classes=classes)
    except (OSError, EOFError) as error:
        raise BindingError(f"{name}: cannot be unpacked: {error}") from error
    finally:
        unpacked.unlink(missing_ok=True)
    corpus: Corpus = replace(
        reading.corpus,
        digest=DigestSet(s3_objects.file_digest(path)),
        bytes=path.stat().st_size,
    )
    return replace(reading, corpus=corpus)
