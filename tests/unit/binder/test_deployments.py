"""A deployment of Azure is bound to what it runs, for as long as it runs that and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority import records
from sidecar.authority.records import RecordedStatement
from sidecar.binder.azure_api import AzureDeployments, AzureResource
from sidecar.binder.deployments import BY_BINDER, DeploymentKeeper, KeeperSettings
from sidecar.binding.source import SourceError
from sidecar.core.documents import WithdrawalKind
from sidecar.core.predicates import DeploymentBinding, base_model_digest
from tests.support.provider.azure_arm import (
    GROUP,
    RESOURCE,
    SUBSCRIPTION,
    TOKEN,
    AzureArm,
    serving_arm,
)
from tests.unit.binder.helpers import now

BASE = "gpt-4o"
VERSION = "2024-08-06"
RUNS = f"{BASE}-{VERSION}"


class Account:
    """A provider's home, a resource, and what keeps its deployments bound."""

    def __init__(self, arm: AzureArm, folder: Path) -> None:
        self.arm = arm
        self.folder = folder
        self.at = now()
        begun = self.at - timedelta(hours=2)
        self.home = authority.init(folder / "host", "model-host", now=begun)
        resource = AzureResource(SUBSCRIPTION, GROUP, RESOURCE, arm.url)
        self.source = AzureDeployments("azure", resource)
        self.keeper = self.anew()

    def anew(self) -> DeploymentKeeper:
        """A keeper that remembers nothing, as after a restart."""
        settings = KeeperSettings(self.home, self.folder / "out", (), None, timedelta(hours=2))
        return DeploymentKeeper(settings, self.now)

    def now(self) -> datetime:
        return self.at

    def round(self, after: timedelta = timedelta(minutes=1)) -> str:
        """Do one round, and return the model that ``support`` is bound to, or why it is not."""
        self.at += after
        self.keeper.round(self.source)
        (kept,) = self.keeper.kept
        return kept.model or kept.reason

    def recorded(self) -> list[tuple[DeploymentBinding, RecordedStatement]]:
        """What the home signed, in the order in which it begins."""
        found = [
            (each.statement.predicate, each)
            for each in records.of_kind(self.home.path, "deployment")
            if isinstance(each.statement.predicate, DeploymentBinding)
        ]
        return sorted(found, key=lambda each: each[0].window.not_before)

    def withdrawn(self) -> list[str]:
        """The reason of each binding's withdrawal; empty where it is not withdrawn."""
        entries = {e.subject: e.reason for e in authority.describe(self.home).withdrawals}
        return [entries.get(each.digest, "") for _, each in self.recorded()]


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with serving_arm(tmp_path) as arm:
        for name, value in arm.variables.items():
            monkeypatch.setenv(name, value)
        arm.deploy("support", BASE, VERSION)
        made = Account(arm, tmp_path)
        yield made
        made.source.close()


def test_a_deployment_is_bound_with_its_sku_and_renewed_at_half_of_its_window(
    account: Account,
) -> None:
    assert account.round() == RUNS
    assert account.round() == RUNS
    ((binding, bound),) = account.recorded()
    assert bound.statement.subject.digest.sha256 == base_model_digest("azure", RUNS)
    record = binding.declarations.pop("record")
    assert len(record) == 64
    assert binding.declarations == {"sku": "GlobalStandard", "processing": "global"}
    assert binding.window.not_after - binding.window.not_before == timedelta(hours=2)
    assert account.round(timedelta(minutes=61)) == RUNS
    assert account.withdrawn() == ["", ""]
    account.keeper = account.anew()
    assert account.round() == RUNS
    assert len(account.recorded()) == 2
    account.round(timedelta(days=3))
    assert len(list((account.folder / "out").glob("*.dsse.json"))) == 1


@pytest.mark.slow
def test_of_renewals_a_home_keeps_the_first_the_last_and_each_change(account: Account) -> None:
    step = timedelta(hours=5)  # so that each round signs anew what holds for two hours
    for _ in range(2):  # two and a half days each, with another record in between
        account.arm.deploy("support", BASE, VERSION)
        for _ in range(12):
            account.round(step)
    account.keeper = account.anew()
    account.round(step)
    kept = [binding.window for binding, _ in account.recorded()]
    ends = [account.at - window.not_after for window in kept]
    # The first and the last before the change, the first after it, and those of the last day.
    assert [end > timedelta(days=1) for end in ends] == [True] * 3 + [False] * (len(ends) - 3)
    assert kept[0].not_before == min(window.not_before for window in kept)
    assert ends[1] - ends[2] == step < ends[0] - ends[1]
    assert len(kept) < 10
    assert account.withdrawn() == [""] * len(kept)  # each had ended before the next
    files = {path.name for path in (account.folder / "out").glob("*.dsse.json")}
    assert files <= {f"deployment-{each.digest[:12]}.dsse.json" for _, each in account.recorded()}


def test_a_deployment_that_was_pointed_elsewhere_loses_its_binding(account: Account) -> None:
    account.round()
    account.arm.deploy("support", "gpt-4o-mini", "2024-07-18")
    assert account.round() == "gpt-4o-mini-2024-07-18"
    account.arm.deploy("support", BASE, VERSION)
    assert account.round() == RUNS
    # Away and back between two rounds: the model is the same, the record is not.
    account.arm.deploy("support", BASE, VERSION)
    assert account.round() == RUNS
    withdrawn = account.withdrawn()
    assert [bool(reason) for reason in withdrawn] == [True, True, True, False]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"provisioningState": "Creating"}, "provisioningState is 'Creating'"),
        ({"versionUpgradeOption": "OnceCurrentVersionExpired"}, "expected 'NoAutoUpgrade'"),
        ({"versionUpgradeOption": None}, "versionUpgradeOption is None"),
        ({"spilloverDeploymentName": "other"}, "spilloverDeploymentName is 'other'"),
        ({"model": {"format": "Meta", "name": "x", "version": "1"}}, "model.format is 'Meta'"),
        (
            {"model": {"format": "OpenAI", "name": "gpt-4o-2024-08-06.ft-0123456789abcdef"}},
            "none of the folders has its manifest",
        ),
    ],
)
def test_what_may_change_by_itself_or_is_not_known_is_unbound_until_that_is_over(
    account: Account, changed: dict[str, object], why: str
) -> None:
    account.round()
    good = account.arm.deployments["support"]
    account.arm.change("support", **changed)
    assert why in account.round()
    assert why in account.round()
    (reason,) = account.withdrawn()
    assert reason.startswith(BY_BINDER)
    account.arm.deployments["support"] = good
    assert account.round() == RUNS
    assert len(account.recorded()) == 2


def test_a_deployment_that_is_gone_is_unbound(account: Account) -> None:
    account.round()
    del account.arm.deployments["support"]
    assert "is not there" in account.round()
    assert account.withdrawn()[0].startswith(BY_BINDER)


def test_a_provider_that_does_not_answer_changes_nothing(account: Account) -> None:
    account.round()
    account.arm.status = 403
    with pytest.raises(SourceError, match="HTTP 403") as failed:
        account.round()
    assert TOKEN not in str(failed.value)
    assert account.withdrawn() == [""]


def test_what_a_person_withdrew_is_not_bound_again(account: Account) -> None:
    account.round()
    (recorded,) = records.of_kind(account.home.path, "deployment")
    kind = WithdrawalKind.DEPLOYMENT_BINDING
    authority.withdraw(account.home, kind, recorded.digest, "incident 7", None, account.at)
    assert account.round() == "withdrawn by hand: incident 7"
    account.arm.deploy("support", "gpt-4o-mini", "2024-07-18")
    assert account.round(timedelta(hours=3)) == "withdrawn by hand: incident 7"
    authority.reinstate(account.home, kind, recorded.digest, account.at)
    assert account.round() == "gpt-4o-mini-2024-07-18"


def test_a_binding_of_a_clock_that_was_ahead_does_not_outlast_what_it_binds(
    account: Account,
) -> None:
    """It begins later than whatever the right clock signs, so that no signing replaces it."""
    account.round(timedelta(hours=1))
    begins = account.at.isoformat().replace("+00:00", "Z")
    account.arm.deploy("support", "gpt-4o-mini", "2024-07-18")
    why = f"its binding to {RUNS} begins at {begins}, signed by a clock that was ahead"
    assert account.round(-timedelta(minutes=59)).startswith(why)
    assert account.round().startswith(why)
    (reason,) = account.withdrawn()
    assert reason.startswith(f"{BY_BINDER}{why}")
    assert account.round(timedelta(hours=1)) == "gpt-4o-mini-2024-07-18"
    assert account.withdrawn() == [reason, ""]


def test_a_binding_of_a_clock_that_was_ahead_stays_where_it_is_true(account: Account) -> None:
    account.round(timedelta(hours=1))
    assert account.round(-timedelta(minutes=59)) == RUNS
    assert account.withdrawn() == [""]
