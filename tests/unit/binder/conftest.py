from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from functools import cache

import pytest

from sidecar.binder.endpoint import Endpoint
from sidecar.binder.openai_source import OpenAiSource
from sidecar.binder.secrets import Secret
from tests.support.provider.openai_jobs import KEY, OpenAiJobs, serving


@pytest.fixture(autouse=True, scope="package")
def roots_read_once() -> Iterator[None]:
    """Let clients share the trusted roots: to read them takes longer than most tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield


@pytest.fixture
def account() -> Iterator[OpenAiJobs]:
    with serving(OpenAiJobs()) as served:
        yield served


@pytest.fixture(params=["openai", "azure-v1", "azure-dated"])
def endpoint(account: OpenAiJobs, request: pytest.FixtureRequest) -> Endpoint:
    key = Secret(KEY, "test")
    return {
        "openai": Endpoint("openai", f"{account.url}/v1", key),
        "azure-v1": Endpoint("azure", account.url, key),
        "azure-dated": Endpoint("azure", account.url, key, "2025-04-01-preview"),
    }[request.param]


@pytest.fixture
def source(account: OpenAiJobs) -> Iterator[OpenAiSource]:
    endpoint = Endpoint("openai", f"{account.url}/v1", Secret(KEY, "test"))
    with closing(OpenAiSource("openai", endpoint)) as opened:
        yield opened
