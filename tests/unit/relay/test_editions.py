"""What a relay leaves at a place: readers in the middle find their files, and nothing grows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from sidecar.destinations.directory import DirectoryDestination
from sidecar.destinations.places import open_place
from sidecar.relay import repository
from sidecar.relay.links import LinkStatus, RepositoryLink
from sidecar.relay.repository import EarlierEditions, read_edition, remove_others
from sidecar.trust.directory_source import DirectorySource
from tests.support.nats_server import nats_server, needs_nats
from tests.unit.trust.repository import Repository

HOUR = repository.KEPT_SECONDS
MANY = repository.KEPT_EDITIONS


def edition(number: int, size: int = 1) -> dict[str, bytes]:
    return {"metadata/1.root.json": b"", f"metadata/{number}.snapshot.json": b"x" * size}


def stay(earlier: EarlierEditions, now: float, newest: int = 100) -> set[int]:
    names = earlier.names(edition(newest), now)
    return {int(name.split("/")[1].split(".")[0]) for name in names}


def test_files_of_earlier_editions_stay_for_a_while_and_up_to_a_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    earlier = EarlierEditions()
    assert stay(earlier, 0) == set()
    for number in range(MANY + 1):
        earlier.add(edition(number), float(number))
    assert stay(earlier, MANY) == {*range(1, MANY + 1)}
    assert stay(earlier, HOUR + 3) == {*range(4, MANY + 1)}
    assert stay(earlier, HOUR + MANY) == set()
    assert stay(earlier, MANY, newest=7) == {*range(1, MANY + 1)} - {7}
    monkeypatch.setattr(repository, "MAX_EDITION_BYTES", 100)
    earlier = EarlierEditions()
    for number in range(5):
        earlier.add(edition(number, 40), 0.0)
    assert stay(earlier, 0) == {3, 4}


def made(folder: Path, editions: int) -> Repository:
    found = Repository(folder, "acme")
    for _ in range(editions):
        found.publish()
    return found


def test_a_root_goes_at_once_or_the_round_fails_and_a_foreign_file_never(tmp_path: Path) -> None:
    repo = made(tmp_path / "acme", 1)
    newest = read_edition(DirectorySource(repo.folder))
    place = DirectoryDestination(tmp_path / "www")
    for name in ("9.root.json", "9.snapshot.json", "notes.txt"):
        place.write(f"metadata/{name}", b"")
    assert remove_others(place, newest, frozenset({"metadata/9.snapshot.json"})) == ""
    assert place.names("metadata") == {"9.snapshot.json", "notes.txt"}
    assert remove_others(place, newest, frozenset()) == ""
    assert place.names("metadata") == {"notes.txt"}
    refusing = Refusing(tmp_path / "www")
    place.write("metadata/9.snapshot.json", b"")
    assert remove_others(refusing, newest, frozenset()) == (
        "superseded files stay: metadata/9.snapshot.json: Access Denied"
    )
    place.write("metadata/9.root.json", b"")
    with pytest.raises(OSError, match="Access Denied"):
        remove_others(refusing, newest, frozenset())


class Refusing(DirectoryDestination):
    """A place of which nothing can be removed."""

    asked: ClassVar[list[str]] = []

    def remove(self, name: str) -> None:
        self.asked.append(name)
        raise OSError(13, "Access Denied", name)


def test_a_place_that_refuses_to_remove_fails_no_round(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    repo = made(tmp_path / "acme", 1)
    place = Refusing(tmp_path / "www")
    place.write("metadata/9.snapshot.json", b"")
    Refusing.asked.clear()
    seen: list[LinkStatus] = []
    link = RepositoryLink("acme", DirectorySource(repo.folder), (place,), seen.append)
    for _ in range(3):
        assert link.work()
        repo.publish()
    assert (link.status.problem, link.status.forwarded) == ("", 3)
    assert len(Refusing.asked) == 1  # a refusal may take seconds
    assert [each.message for each in caplog.records if "superseded" in each.message] == [
        "repository acme: superseded files stay: metadata/9.snapshot.json: Access Denied"
    ]


@pytest.mark.slow
@needs_nats
def test_a_bucket_that_a_relay_publishes_to_does_not_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "KEPT_EDITIONS", 2)
    repo = made(tmp_path / "acme", 1)
    with nats_server(tmp_path) as server:
        with closing(open_place(server.url("relayed/acme"))) as place:
            link = RepositoryLink("acme", DirectorySource(repo.folder), (place,), lambda _: None)
            counts = []
            for number in range(6):
                assert link.work()
                counts.append(sum(len(place.names(each)) for each in ("metadata", "targets")))
                repo.withdraw("key", f"sha256:{number:064x}")
        assert counts == [6, 9, 12, 12, 12, 12]
