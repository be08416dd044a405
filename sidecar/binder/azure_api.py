"""Asks Azure Resource Manager which models the deployments of a resource run.

The SDK's types drop what they do not know, so each record is read as bytes and parsed by
``binding``. Credentials are found as Azure's own tools find them (``DefaultAzureCredential``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline import PipelineResponse
from azure.identity import DefaultAzureCredential
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient

from sidecar.binding import azure_deployments
from sidecar.binding.deployments import DeployedModel
from sidecar.binding.errors import BindingError
from sidecar.binding.source import SourceError, UnansweredError

API_VERSION = "2025-09-01"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class AzureResource:
    """An Azure OpenAI resource.

    Attributes:
        subscription: Id of its subscription.
        resource_group: Name of its resource group.
        account: Its name.
        endpoint: URL of Resource Manager in place of the public cloud's.
    """

    subscription: str
    resource_group: str
    account: str
    endpoint: str | None = None


class AzureDeployments:
    """The deployments of one resource: a ``DeploymentSource``. Used by one thread.

    Args:
        provider: The provider's name in bindings: that of the gate's routes.
        resource: Which one.
        only: Names of deployments; every deployment, if empty.
    """

    def __init__(self, provider: str, resource: AzureResource, only: tuple[str, ...] = ()) -> None:
        self.provider = provider
        self._resource = resource
        self._only = only
        self._credential = DefaultAzureCredential()
        endpoint: dict[str, Any] = {}
        if resource.endpoint is not None:
            scope = f"{resource.endpoint.rstrip('/')}/.default"
            endpoint = {"base_url": resource.endpoint, "credential_scopes": [scope]}
        self._client = CognitiveServicesManagementClient(
            self._credential,
            resource.subscription,
            api_version=API_VERSION,
            connection_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            **endpoint,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._credential.close()

    def names(self) -> Iterator[str]:
        """Yield the names of the deployments; see ``DeploymentSource``."""
        if self._only:
            yield from self._only
            return
        where = self._resource
        with _asking(f"deployments of {where.account}"):
            for each in self._client.deployments.list(where.resource_group, where.account):
                if each.name:
                    yield each.name

    def read(self, name: str) -> DeployedModel:
        """Return what a deployment runs; see ``DeploymentSource``."""
        where = self._resource
        with _asking(f"deployment {name}"):
            data = self._client.deployments.get(
                where.resource_group, where.account, name, cls=_body
            )
        found = azure_deployments.read_deployment(bytes(data))  # type: ignore[call-overload]
        if found.name != name:
            raise BindingError(f"deployment {name}: Azure answered with {found.name}")
        return found


def _body(answer: PipelineResponse[Any, Any], _: object, __: object) -> bytes:
    return bytes(answer.http_response.body())


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Turn the SDK's errors into one line; a deployment that is not there can be bound to nothing.

    Raises:
        SourceError: Azure refused or did not answer.
        BindingError: It is not there.
    """
    try:
        yield
    except ResourceNotFoundError as error:
        raise BindingError(f"{what}: is not there: {_line(error)}") from error
    except HttpResponseError as error:
        raise SourceError(f"{what}: HTTP {error.status_code}: {_line(error)}") from error
    except (ServiceRequestError, ServiceResponseError) as error:
        raise UnansweredError(f"{what}: {type(error).__name__}: {_line(error)}") from error
    except AzureError as error:
        raise SourceError(f"{what}: {type(error).__name__}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
