"""Creates customization jobs at Amazon Bedrock: a ``JobCreator``.

Theory of operation. The corpora lie in S3 already. Each is read through once to be checked, as one
version (``If-Match``), and must still be that version when the job is created. The submission's key
is the request's ``clientRequestToken``: Bedrock creates one job for it, however often it is sent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from sidecar.binder.errors import BinderError
from sidecar.binder.submission import CreatedJob, JobRequest, NotCreatedError, Submission
from sidecar.binding import bedrock, s3_objects
from sidecar.binding.bedrock_api import BedrockApi, asking
from sidecar.binding.errors import BindingError
from sidecar.binding.model_files import Progress
from sidecar.binding.s3_objects import S3Object
from sidecar.binding.source import SourceError
from sidecar.core.predicates import Corpus

METHODS = ("FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION", "REINFORCEMENT_FINE_TUNING")
"""Customization types of jobs; ``IMPORTED`` is missing because it trains nothing."""

SUBMISSION_TAG = "admissibility_submission"
_UNKNOWN_OUTCOME = frozenset({408, 409})


class BedrockCreator:
    """Creates jobs of one account and region.

    Args:
        api: How Bedrock is reached.
        work: The folder of objects in transit.
    """

    forgotten = False

    def __init__(self, api: BedrockApi, work: Path) -> None:
        self._api = api
        self._work = work
        self._checked: dict[str, S3Object] = {}

    def fetch(self, uri: str, progress: Progress | None) -> Path:
        """Copy an object of S3, to be checked; ``upload`` requires that it is still the same.

        Raises:
            SourceError: S3 refused.
            BindingError: There is no such object, or it was replaced while it was read.
        """
        found, *more = s3_objects.find(self._api.s3, uri, 1)
        if more or found.uri != uri:
            raise BindingError(f"{uri}: is a prefix; give the URI of one object")
        path = s3_objects.fetch(self._api.s3, found, self._work, progress)
        self._checked[uri] = found
        return path

    def upload(self, path: str, corpus: Corpus, progress: Progress | None) -> str:  # noqa: ARG002
        """Require that an object is the one that was checked; return its version (ETag).

        Raises:
            SourceError: S3 refused.
            BinderError: It was replaced.
        """
        checked = self._checked[path]
        now = s3_objects.find(self._api.s3, path, 1)[0]
        if now != checked:
            raise BinderError(
                f"{path}: was replaced after it was checked (ETag {checked.etag}, now {now.etag}); "
                "run this again"
            )
        return checked.etag

    def create(self, submission: Submission) -> CreatedJob:
        """Create the job; Bedrock returns the same job for the same submission.

        Raises:
            NotCreatedError: It was refused.
            SourceError: It cannot be known whether it was created.
            BinderError: A corpus was replaced.
        """
        for each in submission.uploads:
            self.upload(each.path, each.corpus, None)
        try:
            answer = self._api.client.create_model_customization_job(**request_body(submission))
        except ParamValidationError as error:
            raise NotCreatedError(f"create the job: {_line(error)}") from error
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if 400 <= status < 500 and status not in _UNKNOWN_OUTCOME:
                raise NotCreatedError(f"create the job: {_line(error)}") from error
            raise SourceError(f"create the job: {_line(error)}") from error
        except BotoCoreError as error:
            raise SourceError(f"create the job: {_line(error)}") from error
        return CreatedJob(str(answer["jobArn"]), submission.specification)

    def find(self, submission: Submission) -> CreatedJob | None:
        """Return the job with this submission's token, which has its name.

        Raises:
            SourceError: AWS cannot be asked.
            BinderError: Another job has that name.
        """
        name = _job_name(submission)
        try:
            with asking(f"job {name}"):
                found = self._api.client.get_model_customization_job(jobIdentifier=name)
        except SourceError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and _code(cause) == "ResourceNotFoundException":
                return None
            raise
        if found.get("clientRequestToken") != submission.key:
            raise BinderError(f"job {name}: exists and is another one; give another --job-name")
        arn = str(found["jobArn"])
        return CreatedJob(arn, self._api.specification(arn))


def request_body(submission: Submission) -> dict[str, Any]:
    """Return the arguments of ``CreateModelCustomizationJob``."""
    request = submission.request
    data = {each.corpus.role: {"s3Uri": each.path} for each in submission.uploads}
    tags = {
        **request.metadata,
        bedrock.SPECIFICATION_TAG: submission.specification,
        SUBMISSION_TAG: submission.key,
    }
    body: dict[str, Any] = {
        "jobName": _job_name(submission),
        "clientRequestToken": submission.key,
        "baseModelIdentifier": request.model,
        "customizationType": request.method,
        "trainingDataConfig": data["training"],
        "jobTags": [{"key": key, "value": value} for key, value in tags.items()],
        **request.settings,
    }
    if "validation" in data:
        body["validationDataConfig"] = {"validators": [data["validation"]]}
    if request.hyperparameters:
        body["hyperParameters"] = request.hyperparameters
    return body


def settings(
    role: str, output: str, model_name: str, job_name: str | None, config: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the fields of a request that only Bedrock has.

    Args:
        role: ARN of the role with which Bedrock reads the corpora.
        output: S3 URI below which it writes metrics.
        model_name: Name of the model that is to be made.
        job_name: Name of the job; ``None`` for one that is derived from the submission.
        config: ``customizationConfig``: teacher or grader.
    """
    found: dict[str, Any] = {
        "roleArn": role,
        "outputDataConfig": {"s3Uri": output},
        "customModelName": model_name,
    }
    if job_name is not None:
        found["jobName"] = job_name
    if config is not None:
        found["customizationConfig"] = config
    return found


def check_request(request: JobRequest) -> None:
    """Require what can be known before Bedrock is asked.

    Raises:
        BinderError: The type is none, or teacher or grader do not fit it.
    """
    if request.method not in METHODS:
        raise BinderError(f"--method: {request.method!r} is not one of {', '.join(METHODS)}")
    needs = {"DISTILLATION": "distillationConfig", "REINFORCEMENT_FINE_TUNING": "rftConfig"}
    found = sorted(request.settings.get("customizationConfig", {}))
    expected = [needs[request.method]] if request.method in needs else []
    if found != expected:
        has, wants = ", ".join(found) or "nothing", ", ".join(expected) or "nothing"
        raise BinderError(
            f"--customization-config: has {has}, but a job of type {request.method} has {wants}"
        )


def _job_name(submission: Submission) -> str:
    given = submission.request.settings.get("jobName")
    return str(given) if given is not None else f"admit-{submission.key[:32]}"


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
