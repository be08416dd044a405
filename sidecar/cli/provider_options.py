"""Options that name a provider's account and the credential for it: an option group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.binder import secrets
from sidecar.binder.endpoint import AZURE, OPENAI, Endpoint
from sidecar.cli.aws_options import (
    AwsOptions,
    EndpointOption,
    ProfileOption,
    RegionOption,
    S3EndpointOption,
)
from sidecar.cli.common import CliError

if TYPE_CHECKING:
    from sidecar.binding.bedrock_api import BedrockApi

BEDROCK = "bedrock"
VARIABLES = {OPENAI: "OPENAI_API_KEY", AZURE: "AZURE_OPENAI_API_KEY"}

ApiOption = Annotated[str, typer.Option("--api", help="openai, azure or bedrock.")]
ProviderOption = Annotated[
    str | None,
    typer.Option(
        "--provider", help="The provider, as the gate's routes name it; by default the API's name."
    ),
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        help="Base URL of the API, of the gateway before it, or of the Azure resource.",
    ),
]
ApiVersionOption = Annotated[
    str | None, typer.Option("--api-version", help="Azure's dated API; without it /openai/v1.")
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help="File (0600) with the API key; else OPENAI_API_KEY or AZURE_OPENAI_API_KEY.",
    ),
]
CredentialFileOption = Annotated[
    Path | None,
    typer.Option(
        "--credential-file",
        help="File (0600) with the environment's credential, where the calls go through the gate; "
        "Envoy then adds the API key.",
    ),
]


@dataclass(frozen=True, slots=True)
class AccountOptions:
    """Options of a provider's account; an option group."""

    api: ApiOption = OPENAI
    provider: ProviderOption = None
    base_url: BaseUrlOption = None
    api_version: ApiVersionOption = None
    key_file: KeyFileOption = None
    credential_file: CredentialFileOption = None
    profile: ProfileOption = None
    region: RegionOption = None
    endpoint_url: EndpointOption = None
    s3_endpoint_url: S3EndpointOption = None

    @property
    def name(self) -> str:
        """Return the provider's name in manifests."""
        return self.provider or self.api

    def endpoint(self) -> Endpoint:
        """Return how OpenAI or Azure OpenAI is reached; the key is never an argument.

        Raises:
            CliError: The API is not known, or an option does not fit it.
            BinderError: A credential cannot be read.
        """
        if self.api not in VARIABLES:
            raise CliError(f"--api: {self.api!r} is none of {OPENAI}, {AZURE} and {BEDROCK}")
        self._refuse("profile", "region", "endpoint_url", "s3_endpoint_url")
        if self.api_version is not None and self.api != AZURE:
            raise CliError("--api-version: only Azure has one")
        file = self.credential_file
        credential = None if file is None else secrets.from_file(file)
        if self.key_file is not None:
            key = secrets.from_file(self.key_file)
        elif credential is not None:
            key = None
        else:
            key = _from_environment(self.api)
        return Endpoint(self.api, self.base_url, key, self.api_version, credential)

    def bedrock(self, command: str, job: str | None) -> BedrockApi:
        """Open Bedrock's API.

        Args:
            command: As the user types it.
            job: A job's ARN or name; ``None`` where there is none yet.

        Raises:
            CliError: An option does not fit, or ``boto3`` is not installed.
            SourceError: There is no region, or no such profile.
        """
        self._refuse("base_url", "api_version", "key_file", "credential_file")
        arn = job if job is not None and job.startswith("arn:") else None
        reached = AwsOptions(self.profile, self.region, self.endpoint_url)
        return reached.open(command, arn, self.s3_endpoint_url)

    def _refuse(self, *names: str) -> None:
        for name in names:
            if getattr(self, name) is not None:
                raise CliError(f"--{name.replace('_', '-')}: is not an option of --api {self.api}")


def _from_environment(api: str) -> secrets.Secret | None:
    found = secrets.from_variable_or_none(VARIABLES[api])
    if found is None and api == OPENAI:
        raise CliError(f"no API key: give --key-file, or set {VARIABLES[api]}")
    return found
