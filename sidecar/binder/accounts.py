"""Opens the source of an account's jobs; each provider's SDK is an extra of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.binder import secrets
from sidecar.binder.config import AccountConfig, DeploymentsConfig
from sidecar.binder.endpoint import Endpoint
from sidecar.binder.errors import BinderError
from sidecar.binder.ollama_tags import OllamaTags
from sidecar.binding.deployments import DeploymentSource
from sidecar.binding.source import JobSource

if TYPE_CHECKING:
    from sidecar.binding.bedrock_api import BedrockApi


def open_source(account: AccountConfig) -> JobSource:
    """Return the jobs of an account; nothing is asked yet.

    Raises:
        BinderError: The SDK is not installed, or a credential cannot be read.
        SourceError: The account cannot be reached as it is configured.
    """
    try:
        return _bedrock(account) if account.api == "bedrock" else _open_ai(account)
    except ModuleNotFoundError as error:
        raise _missing(account, error) from error


def endpoint(account: AccountConfig) -> Endpoint:
    """Return how an account of OpenAI or Azure OpenAI is reached.

    Raises:
        BinderError: A credential cannot be read.
    """
    key = None
    if account.key_file is not None:
        key = secrets.from_file(account.key_file)
    elif account.key_variable is not None:
        key = secrets.from_variable(account.key_variable)
    credential = account.credential_file
    return Endpoint(
        account.api,
        account.base_url,
        key,
        account.api_version,
        None if credential is None else secrets.from_file(credential),
    )


def _open_ai(account: AccountConfig) -> JobSource:
    from sidecar.binder.openai_source import OpenAiSource  # noqa: PLC0415 - an optional extra

    return OpenAiSource(account.provider, endpoint(account))


def _bedrock(account: AccountConfig) -> JobSource:
    from sidecar.binding.bedrock_source import BedrockSource  # noqa: PLC0415 - an optional extra

    return BedrockSource(account.provider, _bedrock_api(account))


def _bedrock_api(account: AccountConfig) -> BedrockApi:
    from sidecar.binding.bedrock_api import (  # noqa: PLC0415 - an optional extra
        AwsAccess,
        BedrockApi,
    )

    access = AwsAccess(
        account.region, account.profile, account.endpoint_url, account.s3_endpoint_url
    )
    return BedrockApi(access)


def open_deployments(account: AccountConfig, kept: DeploymentsConfig) -> DeploymentSource:
    """Return the deployments of an account; nothing is asked yet.

    Raises:
        BinderError: The SDK is not installed.
        SourceError: The account cannot be reached as it is configured.
    """
    if account.api == "ollama":
        key = None if account.key_file is None else secrets.from_file(account.key_file)
        url = str(account.base_url)
        return OllamaTags(account.provider, url, key, kept.names, kept.evidence)
    try:
        if account.api == "bedrock":
            from sidecar.binding.bedrock_source import (  # noqa: PLC0415 - an optional extra
                BedrockDeployments,
            )

            return BedrockDeployments(account.provider, _bedrock_api(account), kept.names)
        from sidecar.binder.azure_api import (  # noqa: PLC0415 - an optional extra
            AzureDeployments,
            AzureResource,
        )
    except ModuleNotFoundError as error:
        raise _missing(account, error) from error
    resource = AzureResource(
        kept.subscription, kept.resource_group, kept.resource, kept.endpoint_url
    )
    return AzureDeployments(account.provider, resource, kept.names)


def _missing(account: AccountConfig, error: ModuleNotFoundError) -> BinderError:
    return BinderError(
        f"accounts.{account.provider}: {account.api} needs the extra: python -m pip install "
        f"'admissibility-sidecar[{account.api}]' ({error})"
    )
