"""Fetches records of Amazon Bedrock, as bytes, by ``boto3``.

``boto3`` parses an answer into values and drops what its service model does not name, so the bytes
are taken before it parses them: they are what is digested.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - the one of botocore, which is no OSError
    HTTPClientError,
)

from sidecar.binding import bedrock, bedrock_deployments, records, s3_objects
from sidecar.binding.bedrock import BedrockModel
from sidecar.binding.bedrock_arns import parse_arn
from sidecar.binding.bedrock_deployments import BedrockDeployment
from sidecar.binding.bedrock_records import CustomizationJob, ImportJob
from sidecar.binding.errors import BindingError
from sidecar.binding.model_files import Progress
from sidecar.binding.source import SourceError, UnansweredError

_PAGE = 100
_CONFIG = Config(
    connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5}
)


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """How AWS is reached; credentials are found as ``boto3`` finds them.

    Attributes:
        region: The region; ``None`` for that of the resource's ARN or of the profile.
        profile: Name of a profile of the AWS configuration; ``None`` for the default.
        endpoint: URL in place of Bedrock's own, for example of a VPC endpoint.
        s3_endpoint: URL in place of S3's own.
    """

    region: str | None = None
    profile: str | None = None
    endpoint: str | None = None
    s3_endpoint: str | None = None


class BedrockApi:
    """Amazon Bedrock in one region, and S3. Used by one thread."""

    def __init__(self, access: AwsAccess, region: str | None = None) -> None:
        """Open the clients; nothing is asked yet.

        Args:
            access: How AWS is reached.
            region: The region, where ``access`` states none.

        Raises:
            SourceError: There is no region, or no such profile.
        """
        with asking("AWS configuration"):
            session = boto3.Session(
                profile_name=access.profile, region_name=access.region or region
            )
            self.client = session.client("bedrock", endpoint_url=access.endpoint, config=_CONFIG)
            self.s3 = session.client("s3", endpoint_url=access.s3_endpoint, config=_CONFIG)
        self._body = b""
        self.client.meta.events.register("before-parse.bedrock", self._keep)

    def _keep(self, response_dict: dict[str, Any], **_: object) -> None:
        self._body = bytes(response_dict["body"])

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.s3.close()

    def record(self, operation: str, **arguments: str) -> bytes:
        """Return the body of an operation's answer.

        Args:
            operation: A method of ``boto3``'s client, such as ``get_custom_model``.
            **arguments: Its arguments.

        Raises:
            SourceError: AWS refused or did not answer.
        """
        with asking(next(iter(arguments.values()), operation)):
            getattr(self.client, operation)(**arguments)
        return self._body

    def specification(self, arn: str) -> str | None:
        """Return the digest of the specification that a resource's tags name; ``None`` if none."""
        with asking(arn):
            tags = self.client.list_tags_for_resource(resourceARN=arn).get("tags", ())
        found = [tag["value"] for tag in tags if tag["key"] == bedrock.SPECIFICATION_TAG]
        return found[0] if found else None

    def job_pages(self, since: datetime) -> Iterator[tuple[tuple[str, str, datetime], ...]]:
        """Yield pages of ARN, status and time of creation of customization jobs, newest first.

        Raises:
            SourceError: AWS refused or did not answer.
        """
        pages = self.client.get_paginator("list_model_customization_jobs").paginate(
            creationTimeAfter=since,
            sortBy="CreationTime",
            sortOrder="Descending",
            PaginationConfig={"PageSize": _PAGE},
        )
        with asking("customization jobs"):
            for page in pages:
                yield tuple(
                    (each["jobArn"], each["status"], each["creationTime"])
                    for each in page.get("modelCustomizationJobSummaries", ())
                )

    def model(self, name: str, provider: str = bedrock.PROVIDER) -> BedrockModel:
        """Fetch the records of a model.

        Args:
            name: ARN of a customization job, an import job, or a custom model that was imported.
            provider: The provider's name in manifests.

        Raises:
            SourceError: AWS refused or did not answer.
            BindingError: As ``bedrock.read_customization``.
        """
        found = self._model(name, provider)
        if found.run.id != name:
            raise BindingError(f"{name}: AWS answered with a record of {found.run.id}")
        return found

    def _model(self, name: str, provider: str) -> BedrockModel:
        arn = parse_arn(name, bedrock.JOB, bedrock.IMPORT_JOB, bedrock.CUSTOM_MODEL)
        specification = self.specification(arn.text)
        if arn.kind == bedrock.JOB:
            job = self.record("get_model_customization_job", jobIdentifier=arn.text)
            made = _field(CustomizationJob, job).output_model_arn or _no_model(arn.text, job)
            model = self.record("get_custom_model", modelIdentifier=made)
            return bedrock.read_customization(
                job, model, provider=provider, specification=specification
            )
        if arn.kind == bedrock.IMPORT_JOB:
            job = self.record("get_model_import_job", jobIdentifier=arn.text)
            made = _field(ImportJob, job).imported_model_arn or _no_model(arn.text, job)
            model = self.record("get_imported_model", modelIdentifier=made)
            return bedrock.read_import(job, model, specification=specification)
        model = self.record("get_custom_model", modelIdentifier=arn.text)
        return bedrock.read_imported_custom_model(model, specification=specification)

    def deployment(self, name: str) -> BedrockDeployment:
        """Fetch what a custom model deployment or a provisioned throughput runs, by its ARN.

        Raises:
            SourceError: AWS refused or did not answer.
            BindingError: As ``bedrock_deployments``.
        """
        arn = parse_arn(name, bedrock_deployments.DEPLOYMENT, bedrock_deployments.PROVISIONED)
        if arn.kind == bedrock_deployments.DEPLOYMENT:
            data = self.record(
                "get_custom_model_deployment", customModelDeploymentIdentifier=arn.text
            )
            found = bedrock_deployments.read_deployment(data)
        else:
            data = self.record("get_provisioned_model_throughput", provisionedModelId=arn.text)
            found = bedrock_deployments.read_provisioned(data)
        if found.name != arn.text:
            raise BindingError(f"{arn.text}: AWS answered with a record of {found.name}")
        return found

    def objects(
        self, uri: str, began: datetime, work: Path, progress: Progress | None = None
    ) -> Iterator[tuple[str, Path]]:
        """Yield the URI and a local copy of each object at or below an S3 URI.

        Args:
            uri: As a job's record has it.
            began: When the job began to read them.
            work: The folder of files in transit.
            progress: Called with numbers of bytes.

        Raises:
            BindingError: As ``s3_objects``.
        """
        found = s3_objects.find(self.s3, uri)
        for each in found:
            s3_objects.require_older(each, began)
        for each in found:
            yield each.uri, s3_objects.fetch(self.s3, each, work, progress)

    def logs(
        self, uri: str, began: datetime, work: Path, progress: Progress | None = None
    ) -> Iterator[tuple[str, Path]]:
        """Yield the same of invocation logs; what was written since the job began is passed over.

        Each copy is removed before the next one is made.

        Raises:
            BindingError: As ``objects``, or there were none when the job began.
        """
        every = s3_objects.find(self.s3, uri, s3_objects.MAX_LISTED)
        older = [each for each in every if each.modified <= began]
        if not older:
            raise BindingError(f"{uri}: has no logs from before the job began at {began}")
        for each in older:
            path = s3_objects.fetch(self.s3, each, work, progress)
            yield each.uri, path
            path.unlink()


def _field(kind: type[records.M], data: bytes) -> records.M:
    return records.validate(kind, records.parse_object(data, "job"), "job")


def _no_model(job: str, data: bytes) -> str:
    status = records.parse_object(data, "job").get("status")
    raise BindingError(f"job {job}: its status is {status!r}, and it names no model that it made")


@contextlib.contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn the SDK's errors into a ``SourceError``, whose cause is the SDK's."""
    try:
        yield
    except (ConnectionError, HTTPClientError) as error:  # botocore's
        raise UnansweredError(f"{what}: {error}") from error
    except (BotoCoreError, ClientError) as error:
        raise SourceError(f"{what}: {error}") from error
