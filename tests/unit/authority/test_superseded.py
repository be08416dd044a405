"""What only superseded editions name is removed, never what a reader may still look for."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority import superseded
from sidecar.authority.open_home import Home
from sidecar.authority.publishing import publish_repository
from sidecar.authority.withdrawing import withdraw
from sidecar.cli.main import run
from sidecar.core.documents import TrustDomain, WithdrawalKind
from sidecar.destinations.destination import Destination
from sidecar.destinations.directory import DirectoryDestination
from sidecar.destinations.evidence import Copied
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.refresher import AuthorityRefresher
from sidecar.trust.source import Trigger
from sidecar.trust.source_config import DirectorySourceConfig
from tests.unit.authority.passing import Passing
from tests.unit.authority.reader import NOW, Reader

KEPT = 3
HOUR = superseded.KEPT_SECONDS


def domains(number: int) -> tuple[TrustDomain, ...]:
    return (TrustDomain("acme.example", {"keys": [{"kty": "OKP", "kid": f"{number}"}]}),)


def no(home: Home, number: int) -> None:
    withdraw(home, WithdrawalKind.KEY, f"sha256:{number:064x}", "unfit", None, NOW)


@dataclass
class Aged(Passing):
    """A place whose files of before ``age`` was called are so much older."""

    seconds: float = 0.0
    before: dict[str, float] = field(default_factory=dict)

    def age(self, seconds: float) -> None:
        self.seconds += seconds

    def write(self, name: str, data: bytes) -> None:
        super().write(name, data)
        self.before[name] = self.seconds

    def replace(self, name: str, data: bytes) -> None:
        super().replace(name, data)
        self.before[name] = self.seconds

    def written(self, name: str) -> float:
        return super().written(name) + self.before.get(name, 0.0)


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superseded, "KEPT_EDITIONS", KEPT)


@pytest.fixture
def place(tmp_path: Path) -> Aged:
    return Aged(DirectoryDestination(tmp_path / "www"))


def metadata(place: Destination, role: str) -> list[int]:
    found = (name.split(".") for name in place.names("metadata"))
    return sorted(int(parts[0]) for parts in found if parts[1:] == [role, "json"])


def documents(place: Destination, name: str = "withdrawals") -> int:
    return sum(each.endswith(f".{name}.json") for each in place.names("targets"))


def test_a_place_keeps_the_last_editions_and_those_of_the_last_hour(
    acme: Home, place: Aged
) -> None:
    for number in range(1, 2 * KEPT):
        no(acme, number)
        publish_repository(acme, place)
    burst = [*range(2, 2 * KEPT + 1)]
    assert metadata(place, "targets") == metadata(place, "snapshot") == burst
    assert documents(place) == len(burst)
    place.age(HOUR)
    no(acme, 2 * KEPT)
    # The edition before was in force until now; all older ones were replaced an hour ago.
    assert publish_repository(acme, place) == Copied(2 * KEPT + 1, 6, 4, removed=3 * KEPT)
    last = [*range(KEPT + 2, 2 * KEPT + 2)]
    assert metadata(place, "targets") == metadata(place, "snapshot") == last
    assert documents(place) == KEPT
    assert documents(place, "authority") == metadata(place, "root")[0] == 1
    assert publish_repository(acme, place) == Copied(2 * KEPT + 1, 6, 0)


def test_an_edition_that_was_in_force_for_long_stays_for_an_hour_more(
    acme: Home, place: Aged
) -> None:
    """A reader took its timestamp a moment ago, however old its files are."""
    publish_repository(acme, place)
    place.age(100 * HOUR)
    for number in range(KEPT + 1):
        no(acme, number)
        publish_repository(acme, place)
    assert metadata(place, "snapshot")[0] == 1
    place.age(HOUR - 60)
    authority.publish(acme, NOW)
    assert publish_repository(acme, place).removed == 0
    place.age(120)
    authority.publish(acme, NOW)
    assert publish_repository(acme, place).removed == 6
    assert metadata(place, "snapshot")[0] == 3


def test_a_reader_in_the_middle_and_one_from_a_backup_find_what_they_look_for(
    acme: Home, place: Aged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TUF needs the roots and the newest edition, however many lie between."""
    assert isinstance(place.place, DirectoryDestination)
    folder = place.place.folder
    publish_repository(acme, place)
    backup = Reader(authority.root_bytes(acme), folder, tmp_path / "backup")
    backup.read()
    middle = Reader(authority.root_bytes(acme), folder, tmp_path / "middle")
    steps = iter([lambda: _publish_many(acme, place)])

    def in_the_middle(url: str) -> None:
        if url.endswith("1.snapshot.json"):
            next(steps, lambda: None)()

    with _before_each(monkeypatch, in_the_middle):
        middle.read()  # its timestamp is from before
    assert metadata(place, "snapshot")[0] == 1
    place.age(HOUR)
    authority.rotate(acme, "targets", NOW)
    authority.rotate(acme, "online", NOW)
    publish_repository(acme, place)
    assert metadata(place, "snapshot")[0] > 1
    for reader in (backup, middle, Reader(authority.root_bytes(acme), folder, tmp_path / "new")):
        assert reader.read()["withdrawals.json"].count(b"unfit") == 2 * KEPT


@dataclass
class Slow:
    """A gate's source, of which ``name`` takes so long that ``meanwhile`` happens before it."""

    source: DirectorySource
    name: str
    meanwhile: Callable[[], object]

    def fetch(self, name: str, max_bytes: int) -> bytes:
        if name == self.name:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        return self.source.fetch(name, max_bytes)

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        return self.source.changes(poll_seconds, stop)


def test_a_gate_that_is_slower_than_an_hour_begins_anew_and_loses_no_withdrawal(
    acme: Home, place: Aged, tmp_path: Path
) -> None:
    """Its round fails and keeps what it had; the next one reads the newest timestamp."""
    assert isinstance(place.place, DirectoryDestination)
    no(acme, 99)
    publish_repository(acme, place)
    config = DirectorySourceConfig(place.place.folder)
    trusted = TrustedAuthority("acme", authority.root_bytes(acme), config)
    (tmp_path / "state").mkdir(mode=0o700)
    gate, files = AuthorityRefresher(trusted, tmp_path / "state"), DirectorySource(config.path)

    def withdrawn() -> int:
        view = gate.refresh()
        assert view is not None
        assert view.heard_since_start
        return len(view.withdrawals.entries)

    def meanwhile() -> None:
        for _ in range(2):
            _publish_many(acme, place)
            place.age(HOUR)
        authority.publish(acme, NOW)
        publish_repository(acme, place)

    assert withdrawn() == 1
    no(acme, 98)
    publish_repository(acme, place)
    gate.source = Slow(files, "metadata/3.snapshot.json", meanwhile)
    assert withdrawn() == 1
    assert gate.status.error == "metadata/3.snapshot.json is not there"
    assert withdrawn() == 2 + 2 * KEPT
    assert gate.status.error is None


def _publish_many(home: Home, place: Aged) -> None:
    for number in range(2 * KEPT):
        no(home, number)
        publish_repository(home, place)


@contextmanager
def _before_each(patch: pytest.MonkeyPatch, note: Callable[[str], None]) -> Iterator[None]:
    from tests.unit.authority import reader  # noqa: PLC0415 - its private class

    fetch = reader._Files._fetch

    def noted(self: reader._Files, url: str) -> Iterator[bytes]:
        note(url)
        return fetch(self, url)

    with patch.context() as patched:
        patched.setattr(reader._Files, "_fetch", noted)
        yield


def test_what_this_home_did_not_write_is_never_removed(acme: Home, place: Aged) -> None:
    foreign = {
        f"targets/{'a' * 64}.withdrawals.json",
        "targets/readme.html",
        "metadata/1.other.json",
        "metadata/notes.txt",
        "metadata/0x1.targets.json",
    }
    publish_repository(acme, place)
    for name in foreign:
        place.write(name, b"foreign")
    _publish_many(acme, place)
    place.age(HOUR)
    no(acme, 2 * KEPT)
    assert publish_repository(acme, place).removed == 3 * (KEPT + 2)
    assert {name for name in foreign if place.read(name) == b"foreign"} == foreign


@dataclass
class Refusing(Aged):
    """A place of which nothing can be removed once ``left`` files were."""

    left: int = 0

    def remove(self, name: str) -> None:
        if self.left == 0:
            raise OSError(13, "Access Denied", name)
        self.left -= 1
        super().remove(name)


def test_a_place_that_refuses_is_a_problem_and_no_failure(
    acme: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Refusing(DirectoryDestination(tmp_path / "www"))
    _publish_many(acme, place)
    place.age(HOUR)
    no(acme, 2 * KEPT)
    for left in (2, 0):
        place.left = left
        done = publish_repository(acme, place)
        assert (done.version, done.removed) == (2 * KEPT + 2, left)
        assert done.problem.startswith("files of superseded editions could not be removed: targets")
        assert done.problem.endswith(".withdrawals.json: Access Denied")
    monkeypatch.setattr("sidecar.destinations.places.open_place", lambda *_: place)
    assert run(["publish", "--to", "www", "--home", str(acme.path)]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("! files of superseded editions could not be removed: ")
    assert shown.err.count("\n") == 1
    place.left = 1000
    assert publish_repository(acme, place).removed == 3 * (KEPT + 1) - 2
    capsys.readouterr()
    assert run(["publish", "--to", "www", "--home", str(acme.path)]) == 0
    assert capsys.readouterr().err == ""


def test_metadata_of_another_copy_of_the_home_keeps_its_documents(
    acme: Home, place: Aged, tmp_path: Path
) -> None:
    """A place may hold versions that this home never had, or that are no metadata."""
    copy = tmp_path / "copy"
    publish_repository(acme, place)
    shutil.copytree(acme.path, copy)
    other = authority.load(copy)
    no(other, 99)
    no(other, 98)
    newest = (other.repository / "metadata/3.targets.json").read_bytes()
    place.write("metadata/500.targets.json", newest)
    named = superseded._documents("", newest)
    for name in named:
        place.write(f"targets/{name}", (other.repository / "targets" / name).read_bytes())
    _publish_many(acme, place)
    place.age(HOUR)
    no(acme, 2 * KEPT)
    publish_repository(acme, place)
    assert named < place.names("targets")
    place.write("metadata/500.targets.json", b"{}")
    _publish_many(acme, place)
    place.age(HOUR)
    authority.publish(acme, NOW)
    done = publish_repository(acme, place)
    assert (done.removed, done.problem) == (
        0,
        "files of superseded editions could not be removed: metadata/500.targets.json: "
        "is no TUF targets metadata; remove it",
    )


def test_a_home_keeps_its_targets_metadata_and_no_document_of_before(
    acme: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets metadata shows what this home signed; documents grow with the square."""
    older = DirectoryDestination(tmp_path / "older")
    publish_repository(acme, older)
    folder = DirectoryDestination(acme.repository)
    authority.set_trust_domains(acme, domains(0), NOW)
    for number in range(2 * KEPT):
        no(acme, number)
    assert documents(folder) == len(metadata(folder, "snapshot")) - 1 == 2 * KEPT + 1
    monkeypatch.setattr(superseded, "KEPT_SECONDS", 0.0)
    for number in range(2 * KEPT):
        authority.set_trust_domains(acme, domains(number + 1), NOW)
    assert metadata(folder, "targets") == [*range(1, 2 * KEPT + 3)]
    assert metadata(folder, "trust-domains") == [*range(1, 2 * KEPT + 2)]
    assert len(metadata(folder, "snapshot")) == documents(folder, "trust-domains") == KEPT
    assert documents(folder) == KEPT
    (tmp_path / "www").symlink_to(acme.repository)
    assert publish_repository(acme, DirectoryDestination(tmp_path / "www")).removed == 0
    assert publish_repository(acme, older).problem == ""  # from an edition of long before
    assert authority.describe(acme).withdrawals[-1].subject.endswith(f"{2 * KEPT - 1:x}")
