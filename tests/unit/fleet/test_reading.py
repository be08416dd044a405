"""What a gate has in force is proven by its pinned key and by versions, never by clocks alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sidecar.cli.fleet import reading_json, wait_in_force
from sidecar.core import dsse
from sidecar.core.reasons import EvidenceError
from sidecar.fleet import fleet_file
from sidecar.fleet.fleet_file import FleetError, PinnedGate
from sidecar.fleet.reading import CRITICAL_SECONDS, read_fleet, read_gate
from sidecar.fleet.statement import (
    first_seen,
    signed,
    verified_status,
)
from sidecar.registry.errors import RegistryError
from sidecar.registry.keys import RegistryKey, open_or_create
from tests.unit.fleet.statements import DIGEST, edition, publish, statement


@pytest.fixture
def key(tmp_path: Path) -> RegistryKey:
    return open_or_create(tmp_path / "status-key.pem", "status key")


def test_a_version_is_in_force_from_the_one_that_holds_the_withdrawal_on(
    tmp_path: Path, key: RegistryKey
) -> None:
    found = read_gate(publish(tmp_path / "s.json", key))
    assert found.answers
    assert [found.in_force(edition(version)) for version in (6, 7, 8)] == [True, True, False]
    assert not found.in_force(edition(0, "provider"))


def test_a_later_version_of_another_repository_of_the_name_is_not_in_force(
    tmp_path: Path, key: RegistryKey
) -> None:
    # The gate's trust.yaml has the root of the repository before this one, at a higher version.
    fleet = tmp_path / "fleet.yaml"
    fleet_file.pin(fleet, publish(tmp_path / "s.json", key, version=500, withdrawals="0e" * 32))
    (found,) = wait_in_force(fleet, "regulator", 7, lambda: DIGEST, 0.0, quiet=True)
    assert found["in_force"] is False
    # Nor is one of which an earlier release does not state it.
    gate = publish(tmp_path / "s.json", key, version=500, withdrawals="")
    assert not read_gate(gate).in_force(edition(7))


def test_what_was_published_while_it_was_waited_for_is_in_force_as_well(
    tmp_path: Path, key: RegistryKey
) -> None:
    fleet, later = tmp_path / "fleet.yaml", "1a" * 32
    fleet_file.pin(fleet, publish(tmp_path / "s.json", key, version=8, withdrawals=later))
    for taken_back, in_force in ((False, True), (True, False)):
        published = iter([DIGEST, None if taken_back else later])
        (found,) = wait_in_force(fleet, "regulator", 7, published.__next__, 0.0, quiet=True)
        assert found["in_force"] is in_force


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [(CRITICAL_SECONDS + 10, "its last status is 5"), (-600, "its clock differs from this one")],
)
def test_an_old_status_or_a_wrong_clock_is_named_and_takes_no_version_away(
    tmp_path: Path, key: RegistryKey, seconds: float, problem: str
) -> None:
    time = datetime.now(UTC) - timedelta(seconds=seconds)
    found = read_gate(publish(tmp_path / "s.json", key, time=time))
    assert found.problem.startswith(problem)
    # A replayed status has an older version, whatever its time says.
    assert (found.answers, found.in_force(edition(7))) == (False, True)
    assert not found.in_force(edition(8))


def test_a_status_of_another_key_type_or_shape_proves_nothing(
    tmp_path: Path, key: RegistryKey
) -> None:
    other = open_or_create(tmp_path / "other.pem")
    gate = publish(tmp_path / "s.json", key)
    publish(tmp_path / "s.json", other)
    found = read_gate(gate)
    assert found.problem == f"the status is not signed with the pinned key {key.public.fingerprint}"
    assert (found.statement, found.in_force(edition(0))) == (None, False)
    assert read_gate(PinnedGate("gone", key.public, str(tmp_path / "gone"))).problem.startswith(
        "no status: "
    )
    data = json.loads((tmp_path / "s.json").read_bytes())
    for change in ({"payloadType": dsse.PAYLOAD_TYPE}, {"payload": "e30="}):
        with pytest.raises(EvidenceError):
            verified_status(json.dumps({**data, **change}).encode(), other.public)
    # Signed by one key, named another: not to be pinned.
    mixed = signed(statement(key.public), other.public, other.sign)
    with pytest.raises(EvidenceError, match="not signed with the pinned key"):
        first_seen(mixed)


class _Replaying(BaseHTTPRequestHandler):
    """Answers every question with the same status, whatever nonce is asked for."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def test_a_status_that_was_not_signed_for_this_question_is_a_replay(
    tmp_path: Path, key: RegistryKey
) -> None:
    gate = publish(tmp_path / "s.json", key, nonce="of an earlier question")
    _Replaying.body = (tmp_path / "s.json").read_bytes()
    with HTTPServer(("127.0.0.1", 0), _Replaying) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/status/signed"
        found = read_gate(PinnedGate(gate.name, gate.key, url))
        thread.join()
    assert (found.statement, found.proven) == (None, False)
    assert found.problem == "an old status was replayed: it has another nonce"


def test_a_fleet_keeps_its_pins_and_refuses_one_name_or_key_twice(
    tmp_path: Path, key: RegistryKey
) -> None:
    fleet, other = tmp_path / "fleet.yaml", open_or_create(tmp_path / "other.pem")
    gate = PinnedGate("eu-1", key.public, "http://127.0.0.1:1/status/signed")
    with pytest.raises(FleetError, match="make it: admit fleet --pin"):
        fleet_file.load(fleet)
    fleet_file.pin(fleet, gate)
    fleet_file.pin(fleet, PinnedGate("eu-2", other.public, str(tmp_path / "s.json")))
    before = fleet.read_bytes()
    for twice in (
        PinnedGate("eu-1", open_or_create(tmp_path / "third.pem").public, "x"),
        PinnedGate("eu-3", key.public, "x"),
    ):
        with pytest.raises(FleetError, match=r"two gates have the (name|key)"):
            fleet_file.pin(fleet, twice)
    assert fleet.read_bytes() == before
    assert [(each.name, each.status) for each in fleet_file.load(fleet)] == [
        ("eu-1", "http://127.0.0.1:1/status/signed"),
        ("eu-2", str(tmp_path / "s.json")),
    ]
    assert read_fleet([gate])[0].problem == "no answer (ConnectionError)"
    assert reading_json(read_fleet([gate])[0])["status"] is None


def test_waiting_ends_with_who_has_it_and_who_has_not(tmp_path: Path, key: RegistryKey) -> None:
    other = open_or_create(tmp_path / "other.pem")
    fleet = tmp_path / "fleet.yaml"
    fleet_file.pin(fleet, publish(tmp_path / "a.json", key))
    gone = PinnedGate("eu-2", other.public, str(tmp_path / "b.json"))
    fleet_file.pin(fleet, gone)
    found = wait_in_force(fleet, "regulator", 7, lambda: DIGEST, 0.0, quiet=True)
    assert [(each["name"], each["in_force"]) for each in found] == [("eu-1", True), ("eu-2", False)]


def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path, key: RegistryKey) -> None:
    path = tmp_path / "status-key.pem"
    assert open_or_create(path, "status key").public == key.public
    path.chmod(0o644)
    with pytest.raises(RegistryError, match=r"status key .*: mode 0644"):
        open_or_create(path, "status key")
