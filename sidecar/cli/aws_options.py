"""Options of how AWS is reached; credentials are found as AWS's SDK finds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.binding.bedrock_arns import parse_arn
from sidecar.cli.extras import missing_extra

if TYPE_CHECKING:
    from sidecar.binding.bedrock_api import BedrockApi

ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", help="Profile of the AWS configuration, if not the default."),
]
RegionOption = Annotated[
    str | None,
    typer.Option("--region", help="AWS region, if not that of the ARN or of the profile."),
]
EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint-url", help="URL of Bedrock's control plane, e.g. of a VPC endpoint."),
]
S3EndpointOption = Annotated[str | None, typer.Option("--s3-endpoint-url", help="URL of S3.")]
WorkOption = Annotated[
    Path | None,
    typer.Option(
        "--work",
        help="Folder for objects in transit, which an interrupted command goes on from; a "
        "temporary one, if not given.",
    ),
]


KINDS = (
    "model-customization-job",
    "model-import-job",
    "custom-model",
    "custom-model-deployment",
    "provisioned-model",
)
"""Types of the resources that commands take by their ARN."""


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """Options of how Bedrock is reached; an option group."""

    profile: ProfileOption = None
    region: RegionOption = None
    endpoint_url: EndpointOption = None

    def open(self, command: str, name: str | None, s3_endpoint: str | None = None) -> BedrockApi:
        """Open Bedrock's API; nothing is asked yet.

        Args:
            command: As the user types it.
            name: ARN whose region is the default; ``None`` for that of the configuration.
            s3_endpoint: As the option.

        Raises:
            CliError: ``boto3`` is not installed.
            BindingError: ``name`` is not such an ARN.
            SourceError: There is no region, or no such profile.
        """
        try:
            from sidecar.binding.bedrock_api import (  # noqa: PLC0415 - an optional extra
                AwsAccess,
                BedrockApi,
            )
        except ModuleNotFoundError as error:
            raise missing_extra(command, "bedrock", error) from error
        at = None if name is None else parse_arn(name, *KINDS).owner[1]
        access = AwsAccess(self.region, self.profile, self.endpoint_url, s3_endpoint)
        return BedrockApi(access, at)
