"""No transport unsays a withdrawal, whatever it serves; and each recovers without a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sidecar.trust.refresh import RefreshError, refresh
from sidecar.trust.view import read_kept
from tests.support.https_server import HttpsServer, serving
from tests.support.nats_server import PROGRAM, WHY_NOT, NatsServer, nats_server
from tests.unit.trust import transports
from tests.unit.trust.repository import Repository
from tests.unit.trust.transports import FAULTS, Transport

KEY, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serving(tmp_path_factory.mktemp("https")) as server:
        yield server


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(
    params=["directory", "https", pytest.param("nats", marks=pytest.mark.slow), "relay"]
)
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transport]:
    if request.param == "nats" and PROGRAM is None:
        pytest.skip(WHY_NOT)
    made = {
        "directory": lambda: transports.over_directory(tmp_path),
        "https": lambda: transports.over_https(request.getfixturevalue("https"), tmp_path),
        "nats": lambda: transports.over_nats(request.getfixturevalue("nats"), tmp_path),
        "relay": lambda: transports.over_relay(tmp_path),
    }
    with made[request.param]() as found:
        yield found


def files(repo: Repository) -> dict[str, bytes]:
    """Everything in a repository's folder, the timestamp last."""
    found = {
        str(path.relative_to(repo.folder)): path.read_bytes()
        for path in repo.folder.rglob("*.json")
    }
    return dict(sorted(found.items(), key=lambda each: "timestamp" in each[0]))


@pytest.mark.slow
def test_a_withdrawal_outlives_every_fault_and_the_next_one_arrives_by_itself(
    transport: Transport, tmp_path: Path, state: Path
) -> None:
    """One gate, one fault after another, each followed by the right edition again."""
    repo = Repository(tmp_path / "acme", "acme")
    repo.publish()
    old = files(repo)
    fork = Repository(tmp_path / "fork", "acme")
    fork.publish(timestamp=99, snapshot=99, targets=99)
    repo.withdraw("key", KEY)
    trusted = repo.trusted()

    def subjects() -> list[str]:
        view = read_kept(trusted, state).view
        return [entry.subject for entry in view.withdrawals.entries]

    transport.serve(files(repo))
    refresh(trusted, transport.source, state)
    expected = [KEY]
    for number, fault in enumerate(FAULTS.values()):
        new = files(repo)
        transport.serve(fault(new, old, files(fork)))
        for _ in range(2):
            with suppress(RefreshError):
                refresh(trusted, transport.source, state)
            assert subjects() == expected
        expected = [*expected, f"sha256:{number:064x}"]
        repo.withdraw("key", expected[-1])
        transport.serve(files(repo))
        view = refresh(trusted, transport.source, state).view
        assert [entry.subject for entry in view.withdrawals.entries] == expected
        assert subjects() == expected


def test_every_fault_that_a_transport_plays_is_refused(tmp_path: Path, state: Path) -> None:
    """Served from a folder, each is refused: a fault that nobody notices would prove nothing."""
    with transports.over_directory(tmp_path) as transport:
        repo = Repository(tmp_path / "acme", "acme")
        repo.publish()
        old = files(repo)
        fork = Repository(tmp_path / "fork", "acme")
        fork.publish()
        transport.serve(old)
        refresh(repo.trusted(), transport.source, state)
        repo.withdraw("key", KEY)
        transport.serve(files(repo))
        refresh(repo.trusted(), transport.source, state)
        repo.withdraw("key", OTHER)
        accepted = []
        for name, fault in FAULTS.items():
            transport.serve(fault(files(repo), old, files(fork)))
            with suppress(RefreshError):
                refresh(repo.trusted(), transport.source, state)
                accepted.append(name)
        assert accepted == []
