"""A publication is seen whole or not at all, may be interrupted anywhere, and never goes back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home
from sidecar.authority.publishing import (
    check_place,
    publish_evidence,
    publish_repository,
)
from sidecar.authority.withdrawing import withdraw
from sidecar.cli.main import run
from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.destinations.directory import DirectoryDestination
from sidecar.destinations.evidence import Copied
from sidecar.formats import evidence_index
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.evidence_folder import read
from sidecar.trust.evidence_mirror import EvidenceMirror
from sidecar.trust.http_evidence import HttpsEvidence
from sidecar.trust.http_source import HttpsSource
from sidecar.trust.refresh import refresh
from sidecar.trust.source_config import HttpsSourceConfig
from tests.support.https_server import serving
from tests.support.simulator.keys import SimKey, envelope
from tests.unit.authority.passing import Passing
from tests.unit.authority.reader import NOW, Reader

GUIDE = Path(__file__).parents[3] / "docs/authorities.md"
NO = Withdrawal(WithdrawalKind.KEY, "sha256:" + "a" * 64, "test", NOW)


@dataclass
class Interrupted(Passing):
    """A folder that can be written a number of times before the disk is full."""

    left: int

    def write(self, name: str, data: bytes) -> None:
        if self.left == 0:
            raise OSError(28, "No space left on device", name)
        self.left -= 1
        super().write(name, data)

    def replace(self, name: str, data: bytes) -> None:
        self.write(name, data)


def withdrawals(home: Home, folder: Path, state: Path) -> int:
    """How many withdrawals a reader finds in a published folder."""
    shutil.rmtree(state, ignore_errors=True)
    found = Reader(authority.root_bytes(home), folder, state).read()
    return len(json.loads(found["withdrawals.json"])["entries"])


def test_an_interrupted_publication_shows_nothing_and_is_completed(
    acme: Home, tmp_path: Path
) -> None:
    place = DirectoryDestination(tmp_path / "www")
    assert publish_repository(acme, place) == Copied(1, 6, 6)
    withdraw(acme, NO.kind, NO.subject, NO.reason, NO.effective, NOW)
    for writes in (0, 1, 1, 1):  # all but the timestamp
        with pytest.raises(AuthorityError) as caught:
            publish_repository(acme, Interrupted(place, writes))
        assert str(caught.value).endswith(
            "No space left on device; what was published before is still there: publish again"
        )
        assert withdrawals(acme, place.folder, tmp_path / "state") == 0
    assert publish_repository(acme, place).version == 2
    assert withdrawals(acme, place.folder, tmp_path / "state") == 1
    assert publish_repository(acme, place) == Copied(2, 6, 0)


def test_another_authority_and_an_older_copy_of_the_home_are_refused(
    acme: Home, tmp_path: Path
) -> None:
    place = DirectoryDestination(tmp_path / "www")
    older = tmp_path / "older"
    shutil.copytree(acme.path, older)
    authority.publish(acme, NOW)
    publish_repository(acme, place)
    before = {path: path.read_bytes() for path in place.folder.rglob("*.json")}
    with pytest.raises(AuthorityError) as caught:
        publish_repository(authority.load(older), place)
    assert str(caught.value) == (
        "metadata/timestamp.json is there at version 2, and this home has version 1: publish from "
        "the home that is newer, or restore it; readers refuse an older version"
    )
    other = authority.init(tmp_path / "other", "other", now=NOW)
    with pytest.raises(AuthorityError) as caught:
        publish_repository(other, place)
    assert str(caught.value).endswith(
        "is there with other bytes: the place holds another authority's repository, or one that "
        "another copy of this home published; name another place, or publish from that copy"
    )
    assert before == {path: path.read_bytes() for path in place.folder.rglob("*.json")}


@pytest.mark.parametrize("later", [0, 2])
def test_law_1_a_stale_copy_of_the_home_takes_back_no_withdrawal(
    acme: Home, tmp_path: Path, later: int
) -> None:
    """Its versions overtake those of the home that withdrew, by heartbeats or withdrawals."""
    place, copy = DirectoryDestination(tmp_path / "www"), tmp_path / "copy"
    publish_repository(acme, place)
    shutil.copytree(acme.path, copy)
    withdraw(acme, NO.kind, NO.subject, NO.reason, NO.effective, NOW)
    publish_repository(acme, place)
    stale = authority.load(copy)
    for digit in "bc"[:later]:
        withdraw(stale, NO.kind, "sha256:" + digit * 64, NO.reason, NO.effective, NOW)
    for _ in range(2):
        authority.publish(stale, NOW)
    before = {path: path.read_bytes() for path in place.folder.rglob("*.json")}
    with pytest.raises(AuthorityError) as caught:
        publish_repository(stale, place)
    assert str(caught.value) == (
        "metadata/2.targets.json is there and is not one that this home signed: another copy of "
        "this home published there, and what it withdrew would be taken back; publish from that "
        "copy, or restore this home from the place (admit docs authorities)"
    )
    with pytest.raises(AuthorityError):
        check_place(stale, place)
    assert before == {path: path.read_bytes() for path in place.folder.rglob("*.json")}
    assert withdrawals(acme, place.folder, tmp_path / "state") == 1
    authority.publish(acme, NOW)
    assert publish_repository(acme, place).version == 3


def test_a_home_from_a_backup_goes_on_from_what_the_place_holds(acme: Home, tmp_path: Path) -> None:
    place, backup = DirectoryDestination(tmp_path / "www"), tmp_path / "backup"
    shutil.copytree(acme.path, backup)
    withdraw(acme, NO.kind, NO.subject, NO.reason, NO.effective, NOW)
    publish_repository(acme, place)
    commands = re.search(r"restores a home with.*?```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert commands is not None
    script = commands[1].replace("/srv/www/acme", str(place.folder))
    where = {**os.environ, "ADMIT_HOME": str(backup)}
    subprocess.run(["sh", "-ec", script], check=True, env=where)
    restored = authority.load(backup)
    withdraw(restored, NO.kind, "sha256:" + "b" * 64, NO.reason, NO.effective, NOW)
    assert publish_repository(restored, place).version == 3
    assert withdrawals(acme, place.folder, tmp_path / "state") == 2


def test_a_place_without_the_snapshot_that_it_names_is_damaged(acme: Home, tmp_path: Path) -> None:
    place = DirectoryDestination(tmp_path / "www")
    publish_repository(acme, place)
    place.remove("metadata/1.snapshot.json")
    withdraw(acme, NO.kind, NO.subject, NO.reason, NO.effective, NOW)
    with pytest.raises(AuthorityError) as caught:
        publish_repository(acme, place)
    assert str(caught.value).startswith("metadata/1.snapshot.json is not there, and metadata/")
    place.write("metadata/1.snapshot.json", b"{}")
    with pytest.raises(AuthorityError) as caught:
        publish_repository(acme, place)
    assert str(caught.value) == (
        "metadata/1.snapshot.json is there and is no TUF snapshot; remove it or name another place"
    )


def listed(place: DirectoryDestination) -> tuple[int, set[str]]:
    data = place.read("evidence/index.json")
    assert data is not None
    index = evidence_index.read(data)
    return index.number, set(index.files)


def held(place: DirectoryDestination) -> set[str]:
    return {name.removesuffix(".json") for name in place.sizes("evidence")} - {"index"}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_listing_grows_by_one_and_what_it_replaced_stays_until_the_next(tmp_path: Path) -> None:
    place = DirectoryDestination(tmp_path)
    assert publish_evidence(frozenset({b"a", b"b"}), place) == Copied(1, 2, 3)
    assert publish_evidence(frozenset({b"a", b"b"}), place) == Copied(1, 2, 0)
    assert publish_evidence(frozenset({b"b", b"c"}), place) == Copied(2, 2, 2)
    assert listed(place) == (2, {sha(b"b"), sha(b"c")})
    assert held(place) == {sha(b"a"), sha(b"b"), sha(b"c")}
    with pytest.raises(AuthorityError):
        publish_evidence(frozenset({b"d", b"e"}), Interrupted(place, 1))
    assert listed(place) == (2, {sha(b"b"), sha(b"c")})
    assert publish_evidence(frozenset({b"d", b"e"}), place) == Copied(3, 2, 2, removed=1)
    assert held(place) == {sha(each) for each in (b"b", b"c", b"d", b"e")}


def test_no_evidence_and_a_foreign_listing_publish_nothing(tmp_path: Path) -> None:
    place = DirectoryDestination(tmp_path)
    with pytest.raises(AuthorityError) as caught:
        publish_evidence(frozenset(), place)
    assert str(caught.value) == "no evidence was found; nothing was published"
    place.write("evidence/index.json", b"{}")
    with pytest.raises(AuthorityError) as caught:
        publish_evidence(frozenset({b"a"}), place)
    assert str(caught.value) == (
        "evidence/index.json is there and is not of type urn:admissibility:evidence-index:v1; "
        "remove it or name another place"
    )
    assert held(place) == set()


def test_what_the_command_publishes_a_gate_reads_over_https(
    acme: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = envelope(b"{}", SimKey.ed25519())
    (tmp_path / "signed").mkdir()
    (tmp_path / "signed/a.dsse.json").write_bytes(good)
    (tmp_path / "signed/junk.json").write_bytes(b"junk")
    withdraw(acme, NO.kind, NO.subject, NO.reason, NO.effective, NOW)
    with serving(tmp_path) as server:
        to, signed = server.folder / "acme", tmp_path / "signed"
        arguments = ["publish", "--to", str(to), "--home", str(acme.path)]
        assert run([*arguments, "--evidence", str(signed), "--json"]) == 0
        shown = capsys.readouterr()
        assert json.loads(shown.out) == {
            "to": str(to),
            "repository": {"version": 2, "files": 6, "written": 6, "removed": 0, "problem": None},
            "evidence": {"version": 1, "files": 1, "written": 2, "removed": 0, "problem": None},
        }
        assert "left out: a file below" in shown.err
        config = HttpsSourceConfig(f"{server.url}/acme", ca=server.ca)
        source = HttpsSource(config)
        state = tmp_path / "state"
        state.mkdir(mode=0o700)
        pinned = TrustedAuthority("acme", authority.root_bytes(acme), config)
        assert refresh(pinned, source, state).view.withdrawals.entries == (NO,)
        source.close()
        below = HttpsSourceConfig(f"{server.url}/acme/evidence", ca=server.ca)
        mirror = EvidenceMirror(HttpsEvidence(below), tmp_path / "mirror")
        assert mirror.fetch_once() == ()
        assert read(tmp_path / "mirror").files == {good}
    assert run(["publish", "--to", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err == (
        "admit: nothing to publish; give --home, --evidence or both\n"
    )
