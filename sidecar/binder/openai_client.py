"""Makes the SDK's client for OpenAI or Azure OpenAI, and turns its errors into one line.

Responses are read as bytes (``with_raw_response``) and parsed strictly by ``binding``: the SDK's
types drop what they do not know, and parse some graders as others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai

from sidecar.binder.endpoint import AZURE, OPENAI, Endpoint
from sidecar.binder.errors import BinderError
from sidecar.binder.secrets import Secret, scrubbed
from sidecar.binding.source import SourceError, UnansweredError

CREDENTIAL_HEADER = "x-environment-credential"
PLACEHOLDER_KEY = "held-by-the-gateway"
TIMEOUT_SECONDS = 60.0
ENTRA_SCOPE = "https://cognitiveservices.azure.com/.default"


def make_client(endpoint: Endpoint) -> openai.OpenAI:
    """Return the SDK's client.

    Raises:
        BinderError: The endpoint is incomplete, or an extra is not installed.
    """
    common: dict[str, Any] = {"timeout": TIMEOUT_SECONDS}
    if endpoint.credential is not None:
        # Per request: the SDK writes default headers into its debug log.
        common["http_client"] = openai.DefaultHttpxClient(auth=_adding(endpoint.credential))
    if endpoint.api == OPENAI:
        return openai.OpenAI(api_key=_key(endpoint), base_url=endpoint.base_url, **common)
    if endpoint.api != AZURE:
        raise BinderError(f"api: {endpoint.api!r} is neither {OPENAI} nor {AZURE}")
    if endpoint.base_url is None:
        raise BinderError("api azure: needs base_url, such as https://NAME.openai.azure.com")
    if endpoint.api_version is not None:
        settings = {**common, "api_version": endpoint.api_version}
        if endpoint.key is None and endpoint.credential is None:
            settings["azure_ad_token_provider"] = _entra()
        else:
            settings["api_key"] = _key(endpoint)
        return openai.AzureOpenAI(azure_endpoint=endpoint.base_url.rstrip("/"), **settings)
    url = endpoint.base_url.rstrip("/")
    url = url if url.endswith("/v1") else f"{url}/openai/v1"
    key = _key(endpoint) if endpoint.key or endpoint.credential else _entra()
    return openai.OpenAI(api_key=key, base_url=url, **common)


def _key(endpoint: Endpoint) -> str:
    if endpoint.key is not None:
        return endpoint.key.value
    if endpoint.credential is not None:
        return PLACEHOLDER_KEY
    raise BinderError("no API key: give a file or a variable that holds it")


def _entra() -> Callable[[], str]:
    """Return the token provider of Entra ID, with whatever identity this machine has."""
    try:
        from azure.identity import (  # noqa: PLC0415 - an optional extra
            DefaultAzureCredential,
            get_bearer_token_provider,
        )
    except ModuleNotFoundError as error:
        raise BinderError(
            "no API key, and Entra ID needs the extra: "
            "python -m pip install 'admissibility-sidecar[azure]'"
        ) from error
    provider: Callable[[], str] = get_bearer_token_provider(DefaultAzureCredential(), ENTRA_SCOPE)
    return provider


def _adding(credential: Secret) -> Callable[[Any], Any]:
    def add(request: Any) -> Any:  # noqa: ANN401 - the HTTP library's request
        request.headers[CREDENTIAL_HEADER] = credential.value
        return request

    return add


@contextmanager
def calling(endpoint: Endpoint, what: str) -> Iterator[None]:
    """Turn the SDK's errors into a ``SourceError`` that shows no credential.

    Args:
        endpoint: What is called.
        what: What is asked for, such as ``job ftjob-1``.
    """
    try:
        yield
    except openai.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        text = f"HTTP {error.status_code}: {body.get('message') or error.message}"
        raise StatusError(
            f"{what}: {scrubbed(_line(text), endpoint.secrets)}", error.status_code
        ) from None
    except openai.APIError as error:
        cause = error.__cause__
        text = f"{error.message}{f' ({type(cause).__name__}: {cause})' if cause else ''}"
        unanswered = isinstance(error, openai.APIConnectionError)
        kind = UnansweredError if unanswered else SourceError
        raise kind(f"{what}: {scrubbed(_line(text), endpoint.secrets)}") from None


class StatusError(SourceError):
    """The provider answered with an error status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
