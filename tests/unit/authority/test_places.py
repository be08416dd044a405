"""Every place to publish to shows all or nothing, and of two publishers the newer one stays."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority import superseded
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home
from sidecar.authority.publishing import publish_evidence, publish_repository
from sidecar.authority.withdrawing import withdraw
from sidecar.cli.main import run
from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.destinations.destination import Destination, PlaceError
from sidecar.destinations.evidence import LISTING, Copied, read_listing
from sidecar.destinations.places import PlaceNameError, PlaceOptions, open_place
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.evidence_folder import read
from sidecar.trust.evidence_mirror import EvidenceMirror
from sidecar.trust.nats_evidence import NatsEvidence
from sidecar.trust.nats_source import NatsSource
from sidecar.trust.refresh import refresh
from tests.support.nats_server import PROGRAM, WHY_NOT, NatsServer, nats_server, needs_nats
from tests.support.s3_server import s3_server
from tests.unit.authority.passing import Passing
from tests.unit.authority.reader import NOW

FOLDERS = ("metadata", "targets")
NO = Withdrawal(WithdrawalKind.KEY, "sha256:" + "a" * 64, "test", NOW)
Named = tuple[str, PlaceOptions]


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server("published") as url:
        yield url


@pytest.fixture(params=["directory", "s3", pytest.param("nats", marks=pytest.mark.slow)])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> Named:
    """The name of a place that is empty."""
    unique = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
    if request.param == "directory":
        return str(tmp_path / "www"), PlaceOptions()
    if request.param == "s3":
        return f"s3://published/{unique}", PlaceOptions(endpoint=request.getfixturevalue("s3"))
    if PROGRAM is None:
        pytest.skip(WHY_NOT)
    server: NatsServer = request.getfixturevalue("nats")
    return server.url(f"{unique}/acme"), PlaceOptions()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


@pytest.fixture
def opened(named: Named, stack: ExitStack) -> Callable[[], Destination]:
    """Opens the place, each time by another connection."""

    def make() -> Destination:
        place = open_place(*named)
        stack.callback(place.close)
        return place

    return make


@dataclass
class Meanwhile(Passing):
    """A place to which someone else publishes before the file that changes is replaced."""

    other: Callable[[], object]

    def replace(self, name: str, data: bytes) -> None:
        other, self.other = self.other, lambda: None
        other()
        super().replace(name, data)


def timestamp(place: Destination) -> int:
    data = place.read("metadata/timestamp.json")
    assert data is not None
    found: int = json.loads(data)["signed"]["version"]
    return found


def test_what_is_published_is_there_whole_and_written_once(
    acme: Home, opened: Callable[[], Destination]
) -> None:
    assert publish_repository(acme, opened()) == Copied(1, 6, 6)
    withdraw(acme, NO.kind, NO.subject, NO.reason, NO.effective, NOW)
    assert publish_repository(acme, opened()) == Copied(2, 6, 4)
    assert publish_repository(acme, opened()) == Copied(2, 6, 0)
    place = opened()
    for path in (acme.repository / "metadata").iterdir():
        if path.name.startswith(("2.", "timestamp")):
            assert place.read(f"metadata/{path.name}") == path.read_bytes()


def test_superseded_editions_leave_nothing_behind(
    acme: Home, opened: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a file nor a marker in its place; each place tells by its own clock."""
    monkeypatch.setattr(superseded, "KEPT_EDITIONS", 1)
    publish_repository(acme, opened())
    withdraw(acme, NO.kind, NO.subject, NO.reason, NO.effective, NOW)
    publish_repository(acme, opened())
    place = opened()
    place.write("metadata/notes.txt", b"foreign")
    before = {f"{folder}/{name}" for folder in FOLDERS for name in place.names(folder)}
    assert publish_repository(acme, place) == Copied(2, 6, 0)
    assert abs(place.written("metadata/1.root.json") - time.time()) < superseded.KEPT_SECONDS
    monkeypatch.setattr(superseded, "KEPT_SECONDS", 0.0)
    assert publish_repository(acme, place) == Copied(2, 6, 0, removed=3)
    after = {f"{folder}/{name}" for folder in FOLDERS for name in opened().names(folder)}
    gone = before - after
    assert {name for name in gone if name.startswith("metadata/")} == {
        "metadata/1.snapshot.json",
        "metadata/1.targets.json",
    }
    assert [name[-17:] for name in gone if name.startswith("targets/")] == [".withdrawals.json"]
    place.remove("metadata/1.snapshot.json")
    with pytest.raises(OSError, match=r"1\.snapshot\.json"):
        place.written("metadata/1.snapshot.json")


def test_an_older_publisher_never_replaces_a_newer_timestamp(
    acme: Home, opened: Callable[[], Destination], tmp_path: Path
) -> None:
    """Also where the newer one writes after the older one looked."""
    publish_repository(acme, opened())
    older = tmp_path / "older"
    authority.publish(acme, NOW)
    shutil.copytree(acme.path, older)
    authority.publish(acme, NOW)
    place = Meanwhile(opened(), lambda: publish_repository(acme, opened()))
    with pytest.raises(AuthorityError) as caught:
        publish_repository(authority.load(older), place)
    assert "timestamp.json is there at version 3, and this home has version 2" in str(caught.value)
    assert timestamp(opened()) == 3


def test_two_who_publish_at_once_are_put_in_order(
    acme: Home, opened: Callable[[], Destination], tmp_path: Path
) -> None:
    publish_repository(acme, opened())
    older = tmp_path / "older"
    authority.publish(acme, NOW)
    shutil.copytree(acme.path, older)
    authority.publish(acme, NOW)
    place = Meanwhile(opened(), lambda: publish_repository(authority.load(older), opened()))
    assert publish_repository(acme, place).version == 3
    assert timestamp(opened()) == 3


def test_a_listing_grows_by_one_and_what_it_replaced_stays_until_the_next(
    opened: Callable[[], Destination],
) -> None:
    assert publish_evidence(frozenset({b"a", b"b"}), opened()) == Copied(1, 2, 3)
    assert publish_evidence(frozenset({b"a", b"b"}), opened()) == Copied(1, 2, 0)
    assert publish_evidence(frozenset({b"b", b"c"}), opened()) == Copied(2, 2, 2)
    assert publish_evidence(frozenset({b"c"}), opened()) == Copied(3, 1, 1, 1)
    place = opened()
    index = read_listing(place)
    assert index is not None
    assert {*index.files} == {sha(b"c")}
    held = {name for name in place.sizes("evidence") if name != "index.json"}
    assert held == {f"{sha(each)}.json" for each in (b"b", b"c")}
    assert place.read(f"evidence/{sha(b'c')}.json") == b"c"


def test_of_two_listings_at_once_none_is_lost(opened: Callable[[], Destination]) -> None:
    """The second finds the first one's number taken."""
    publish_evidence(frozenset({b"a"}), opened())
    place = Meanwhile(opened(), lambda: publish_evidence(frozenset({b"a", b"b"}), opened()))
    assert publish_evidence(frozenset({b"a", b"c"}), place).version == 3


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.slow
@needs_nats
def test_a_gate_reads_over_nats_what_was_published_there(
    acme: Home, nats: NatsServer, tmp_path: Path, stack: ExitStack
) -> None:
    place = open_place(nats.url("whole/acme"))
    stack.callback(place.close)
    withdraw(acme, NO.kind, NO.subject, NO.reason, NO.effective, NOW)
    publish_repository(acme, place)
    publish_evidence(frozenset({b"a", b"b" * 300_000}), place)
    config = nats.config("whole/acme")
    source = NatsSource(config)
    stack.callback(source.close)
    trusted = TrustedAuthority("acme", authority.root_bytes(acme), config)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    view = refresh(trusted, source, state).view
    assert [entry.subject for entry in view.withdrawals.entries] == [NO.subject]
    mirror = EvidenceMirror(NatsEvidence(nats.config("whole/acme/evidence")), tmp_path / "mirror")
    stack.callback(mirror.close)
    assert mirror.fetch().problems == ()
    assert read(tmp_path / "mirror").files == {b"a", b"b" * 300_000}
    publish_evidence(frozenset({b"a"}), place)
    assert mirror.fetch().problems == ()
    assert read(tmp_path / "mirror").files == {b"a"}
    place.write(f"evidence/{sha(b'c')}.json", b"x")
    listing = place.read(LISTING)
    assert listing is not None
    place.write(LISTING, listing.replace(sha(b"a").encode(), sha(b"c").encode()))
    assert mirror.fetch().problems == (f"{sha(b'c')}.json: its bytes have another digest",)


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        (
            "ftp://x/y",
            PlaceOptions(),
            "ftp:// is not a place to publish to; give a folder, s3://BUCKET/PREFIX or "
            "tls://HOST/BUCKET/FOLDER",
        ),
        ("s3://me:secret@x", PlaceOptions(), "a URL that names a user is not s3://BUCKET[/PREFIX]"),
        ("s3://", PlaceOptions(), "'s3://' is not s3://BUCKET[/PREFIX]"),
        (
            "s3://bucket",
            PlaceOptions(endpoint="https://me:secret@x"),
            "the endpoint is not https://HOST[:PORT] without user and query",
        ),
        (
            "s3://bucket",
            PlaceOptions(user=Path("x")),
            "the option for user is not one of S3; leave it out",
        ),
        (
            "www",
            PlaceOptions(ca=Path("x")),
            "the option for ca is not one of a folder; leave it out",
        ),
        (
            "tls://me:secret@x/y",
            PlaceOptions(),
            "the URL, which names a user, is not tls://HOST[:PORT][,HOST[:PORT]]/BUCKET[/FOLDER] "
            "without user, query and fragment",
        ),
        (
            "nats://x/y",
            PlaceOptions(user=Path("x")),
            "a password needs TLS; give tls:// instead of nats://",
        ),
        (
            "tls://x/y",
            PlaceOptions(key=Path("x")),
            "a client's certificate and key go together; give both",
        ),
    ],
)
def test_a_place_that_cannot_be_is_refused_without_its_secret(
    name: str, options: PlaceOptions, line: str
) -> None:
    with pytest.raises(PlaceNameError) as caught:
        open_place(name, options)
    assert str(caught.value) == line


def test_a_place_that_cannot_be_reached_is_one_error(s3: str, acme: Home) -> None:
    for name, options in (
        ("s3://nowhere/x", PlaceOptions(endpoint=s3)),
        ("s3://published/x", PlaceOptions(endpoint="http://127.0.0.1:1")),
        ("nats://127.0.0.1:1/x/y", PlaceOptions()),
    ):
        place = open_place(name, options)
        with pytest.raises(PlaceError):
            place.read("metadata/timestamp.json")
        with pytest.raises(AuthorityError, match="publish again"):
            publish_repository(acme, place)
        place.close()


def test_the_command_publishes_to_a_store_with_an_endpoint(
    acme: Home, s3: str, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ["--to", "s3://published/command", "--endpoint-url", s3]
    assert run(["publish", *to, "--home", str(acme.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "to": "s3://published/command",
        "repository": {"version": 1, "files": 6, "written": 6, "removed": 0, "problem": None},
    }
    assert run(["publish", "--to", "s3://", "--home", str(acme.path)]) == 2
    assert "--to: 's3://' is not s3://BUCKET[/PREFIX]" in capsys.readouterr().err
