"""Provisioned throughput of Amazon Bedrock is kept bound in the same rounds as Azure's names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.binder import accounts, config
from sidecar.binder.deployments import DeploymentKeeper, KeeperSettings
from tests.support.bedrock import (
    BASE,
    BASE_ARN,
    DEPLOYMENT_ARN,
    MODEL_ARN,
    PROVISIONED,
    PROVISIONED_ARN,
    REGION,
    BedrockServer,
    bedrock_server,
)
from tests.unit.binder.helpers import now


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BedrockServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret-of-aws")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with bedrock_server() as running:
        yield running


def test_a_throughput_is_bound_to_its_model_and_unbound_while_it_changes(
    server: BedrockServer, tmp_path: Path
) -> None:
    names = f"[{PROVISIONED_ARN}, {DEPLOYMENT_ARN}]"
    path = tmp_path / "binder.yaml"
    path.write_text(
        f"""
version: 1
home: producer
out: out
state: state
evidence: [out]
accounts:
  bedrock:
    api: bedrock
    region: {REGION}
    endpoint_url: {server.url}
    deployments: {{home: host, names: {names}}}
"""
    )
    (account,) = config.load(path).accounts
    assert account.deployments is not None
    home = authority.init(tmp_path / "host", "model-host", now=now() - timedelta(hours=2))
    keeper = DeploymentKeeper(
        KeeperSettings(home, tmp_path / "out", (), None, timedelta(hours=2)), now
    )
    source = accounts.open_deployments(account, account.deployments)

    def kept() -> list[tuple[str | None, str]]:
        keeper.round(source)
        return [(each.model, each.reason[-60:]) for each in keeper.kept]

    base = {"modelArn": BASE_ARN, "desiredModelArn": BASE_ARN, "foundationModelArn": BASE_ARN}
    server.serve(GetProvisionedModelThroughput={**PROVISIONED, **base})
    bound, adapted = kept()
    assert bound == (BASE, "")
    assert (adapted[0], "has its manifest: bind it first" in adapted[1]) == (None, True)
    assert authority.describe(home).withdrawals == ()
    changing = {**PROVISIONED, **base, "desiredModelArn": MODEL_ARN, "status": "Updating"}
    server.serve(GetProvisionedModelThroughput=changing)
    assert "bind it when it is in service again" in kept()[0][1]
    (entry,) = authority.describe(home).withdrawals
    assert entry.reason.startswith("binder: ")
    source.close()
