"""A client is opened once while its provider is away, and anew after anything was refused."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import boto3
import openai
import pytest
from botocore.config import Config

from sidecar.authority import home as authority
from sidecar.binder.deployments import DeploymentKeeper, KeeperSettings
from sidecar.binder.endpoint import Endpoint
from sidecar.binder.kept_source import KeptSource
from sidecar.binder.openai_client import calling
from sidecar.binding.bedrock_api import asking
from sidecar.binding.deployments import DeployedModel
from sidecar.binding.source import SourceError, UnansweredError
from tests.unit.binder.helpers import now


@dataclass
class Opened:
    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Account:
    clients: list[Opened] = field(default_factory=list)

    def open(self) -> Opened:
        self.clients.append(Opened())
        return self.clients[-1]


def rounds(kept: KeptSource[Opened], *failures: Exception | None) -> None:
    """One round for each failure, or for ``None`` one that succeeds."""
    for failure in failures:
        try:
            with kept.asked():
                if failure is not None:
                    raise failure
        except SourceError:
            assert failure is not None


def test_a_client_is_kept_while_nothing_answers_and_opened_anew_after_a_refusal() -> None:
    account = Account()
    kept = KeptSource(account.open)
    away = UnansweredError("no answer")
    rounds(kept, None, away, away, None, away)
    assert [each.closed for each in account.clients] == [False]
    rounds(kept, SourceError("ExpiredToken"), None)
    assert [each.closed for each in account.clients] == [True, False]
    kept.close()
    kept.close()
    assert [each.closed for each in account.clients] == [True, True]


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_an_sdk_that_reaches_nothing_was_not_refused_anything() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    session = boto3.Session("a", "b", region_name="eu-central-1")
    bedrock = session.client("bedrock", endpoint_url=url, config=once)
    with pytest.raises(UnansweredError), asking("job"):
        bedrock.get_custom_model(modelIdentifier="a")
    client = openai.OpenAI(api_key="a", base_url=url, max_retries=0)
    with client, pytest.raises(UnansweredError), calling(Endpoint("openai", url, None), "jobs"):
        client.fine_tuning.jobs.list()


class Deployments:
    """A source of two deployments, neither of which can be read."""

    provider = "azure"

    def __init__(self, **failures: Exception) -> None:
        self._failures = failures

    def close(self) -> None:
        """Nothing is open."""

    def names(self) -> Iterator[str]:
        return iter(self._failures)

    def read(self, name: str) -> DeployedModel:
        raise self._failures[name]


def test_a_refusal_is_reported_before_silence(tmp_path: Path) -> None:
    """Else a client whose credential ended would be kept while another deployment is away."""
    home = authority.init(tmp_path / "host", "model-host", now=now())
    settings = KeeperSettings(home, tmp_path / "out", (), None, timedelta(hours=2))
    keeper = DeploymentKeeper(settings, now)
    away, refused = UnansweredError("no answer"), SourceError("ExpiredToken")
    for found in (Deployments(a=away, b=refused), Deployments(a=refused, b=away)):
        with pytest.raises(SourceError, match=r"\AExpiredToken\Z"):
            keeper.round(found)
    with pytest.raises(UnansweredError):
        keeper.round(Deployments(a=away, b=away))
