"""Evidence over HTTPS: a wrong listing loses nothing, a right one adds and removes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sidecar.formats import evidence_index
from sidecar.formats.evidence_index import BadIndexError, EvidenceIndex
from sidecar.trust.evidence_folder import EvidenceFiles, read
from sidecar.trust.evidence_mirror import EvidenceMirror, MirrorLimits
from sidecar.trust.http_connection import HttpLimits
from sidecar.trust.http_evidence import HttpsEvidence
from sidecar.trust.limits import EvidenceLimits
from sidecar.trust.source_config import HttpsSourceConfig
from tests.support.https_server import HttpsServer, serving
from tests.unit.trust.operator import Operator, first_refresh, running, signed_manifest

LAG = 300.0
BOUNDS = MirrorLimits(lag=LAG)
MISSING = "index.json is not there (HTTP 404)"


@dataclass
class Published:
    """Evidence on the server, and a mirror of it whose time the test sets."""

    server: HttpsServer
    folder: Path
    number: int = 0
    time: float = 0.0
    stack: ExitStack = field(default_factory=ExitStack)
    total: int = 1000

    def publish(self, *contents: bytes, number: int | None = None, listed: bytes = b"") -> None:
        """Publish these files; ``listed`` replaces the listing."""
        self.number = self.number + 1 if number is None else number
        place = self.server.folder / "evidence"
        place.mkdir(exist_ok=True)
        for data in contents:
            (place / evidence_index.file_name(sha(data))).write_bytes(data)
        index = EvidenceIndex(self.number, {sha(data): len(data) for data in contents})
        (place / "index.json").write_bytes(listed or evidence_index.write(index))

    def mirror(self, bounds: MirrorLimits = BOUNDS) -> EvidenceMirror:
        config = HttpsSourceConfig(f"{self.server.url}/evidence", ca=self.server.ca)
        remote = HttpsEvidence(config, HttpLimits(step=5, total=10, attempts=1))
        made = EvidenceMirror(
            remote,
            self.folder,
            EvidenceLimits(file=100, fetched=self.total),
            bounds,
            lambda: self.time,
        )
        self.stack.callback(made.close)
        return made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serving(tmp_path_factory.mktemp("https")) as server:
        yield server


@pytest.fixture
def published(shared: HttpsServer, tmp_path: Path) -> Iterator[Published]:
    shared.behave()
    found = Published(shared, tmp_path / "mirror")
    with found.stack:
        yield found
    shutil.rmtree(shared.folder)
    shared.folder.mkdir()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def held(mirror: EvidenceMirror, *files: bytes) -> tuple[str, ...]:
    """Fetch, check what is there afterwards, and return the problems."""
    found = mirror.fetch()
    assert read(mirror._folder) == EvidenceFiles(frozenset(files), ())
    return found.problems


def test_what_a_newer_listing_lists_is_all_there_is(published: Published) -> None:
    mirror = published.mirror()
    published.publish(b"a", b"b")
    assert held(mirror, b"a", b"b") == ()
    published.publish(b"b", b"c")
    published.server.answered.clear()
    assert held(mirror, b"b", b"c") == ()
    assert held(mirror, b"b", b"c") == ()
    assert published.server.answered == [
        ("/evidence/index.json", 200),
        (f"/evidence/{sha(b'c')}.json", 200),
        ("/evidence/index.json", 304),
    ]
    published.publish()
    assert held(mirror) == ()


def test_a_listing_that_is_gone_or_wrong_loses_nothing(published: Published) -> None:
    mirror = published.mirror()
    published.publish(b"a")
    mirror.fetch()
    (published.server.folder / "evidence/index.json").unlink()
    assert held(mirror, b"a") == (MISSING,)
    published.publish(listed=b"[")
    assert held(mirror, b"a") == ("index.json: is not JSON",)
    published.publish(b"x" * 101)
    for _ in range(2):  # the second time, the server answers that nothing changed
        assert held(mirror, b"a") == ("index.json: lists a file of more than 100 bytes",)
    published.total = 100
    published.publish(b"x" * 90, b"y" * 90)
    other = published.mirror()
    mirror.close()
    assert held(other, b"a") == ("index.json: lists more than 100 bytes together",)
    published.publish(b"b")
    assert held(other, b"b") == ()


def test_bytes_with_another_digest_and_absent_files_hold_up_no_other(published: Published) -> None:
    published.publish(b"a", b"b", b"c")
    place = published.server.folder / "evidence"
    (place / f"{sha(b'a')}.json").write_bytes(b"x")
    (place / f"{sha(b'b')}.json").unlink()
    mirror = published.mirror()
    assert held(mirror, b"c") == tuple(
        sorted(
            (
                f"{sha(b'a')}.json: its bytes have another digest",
                f"{sha(b'b')}.json is not there (HTTP 404)",
            )
        )
    )
    published.publish(b"a", b"b", b"c")
    assert held(mirror, b"a", b"b", b"c") == ()


def test_an_older_listing_only_adds_until_it_has_been_all_there_was(published: Published) -> None:
    """A cache that lags behind loses nothing; a false number does not shut out later ones."""
    mirror = published.mirror()
    published.publish(b"a", number=evidence_index.MAX_NUMBER)
    mirror.fetch()
    published.publish(b"b", number=1)
    assert held(mirror, b"a", b"b") == ()
    published.time = LAG - 1
    published.publish(b"c", number=2)
    assert held(mirror, b"a", b"c") == ()
    published.time = LAG
    assert held(mirror, b"c") == ()
    published.publish(b"d", number=3)
    assert held(mirror, b"d") == ()


def test_what_was_fetched_outlives_a_restart_and_a_server_that_is_gone(
    published: Published,
) -> None:
    first = published.mirror()
    published.publish(b"a", b"b")
    first.fetch()
    first.close()
    (published.folder / f"{sha(b'a')}.json").write_bytes(b"torn")
    (published.folder / f".{sha(b'c')}.new").write_bytes(b"half")
    (published.server.folder / "evidence/index.json").unlink()
    again = published.mirror()
    assert held(again, b"b") == (MISSING,)
    published.publish(b"a", b"b")
    assert held(again, b"a", b"b") == ()
    (published.folder / f"{sha(b'a')}.json").unlink()
    assert held(again, b"a", b"b") == ()


def test_one_process_fetches_and_another_reads_what_is_there(published: Published) -> None:
    first, second = published.mirror(), published.mirror()
    published.publish(b"a")
    first.fetch()
    published.publish(b"b")
    assert held(second, b"a") == ()
    first.close()
    assert held(second, b"b") == ()


def test_what_one_reading_does_not_reach_the_next_ones_do(published: Published) -> None:
    """The gate verifies what is there while the rest is fetched."""
    published.publish(b"a", b"b", b"c")
    ticks = iter(range(100))
    mirror = published.mirror(MirrorLimits(slice=2, parallel=1))
    mirror._clock = lambda: float(next(ticks))
    found = mirror.fetch()
    assert (found.problems, len(found.changed), found.more) == ((), 1, True)
    assert mirror.fetch_once() == ()
    assert len(read(published.folder).files) == 3


def test_evidence_is_found_over_https_and_kept_while_the_server_is_gone(
    published: Published, operator: Operator
) -> None:
    for repo in operator.repositories.values():
        repo.publish()
    data, digest = signed_manifest(operator.repositories["acme"].attestation)
    published.publish(data)
    operator.value["evidence"] = [
        {"url": f"{published.server.url}/evidence", "ca": str(published.server.ca)}
    ]
    config = operator.load()
    with running(config) as (control, states):
        first_refresh(control)
        states.wait_manifests(digest)
        (published.server.folder / "evidence/index.json").unlink()
    with running(config) as (control, states):
        first_refresh(control)
        states.wait_manifests(digest)
        assert control.evidence().problems == (MISSING,)
        published.publish()
        states.wait_manifests()


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not of type urn:admissibility:evidence-index:v1"),
        (b'{"type": "x"}', "is not of type urn:admissibility:evidence-index:v1"),
        *(
            (
                b'{"type": "urn:admissibility:evidence-index:v1", "number": %s}' % number,
                "number: is not an integer of at most 53 bits",
            )
            for number in (b"-1", b"true", b"1.0", b"9007199254740992", b"null")
        ),
        (
            b'{"type": "urn:admissibility:evidence-index:v1", "number": 1, "files": {}}',
            "files: is not a list of at most 200000",
        ),
        *(
            (
                b'{"type": "urn:admissibility:evidence-index:v1", "number": 1, "files": [%s]}'
                % entry,
                f"files: an entry is not 'SHA256 BYTES', or differs from another: {what}",
            )
            for entry, what in (
                (b"1", "1"),
                (b'"../x 1"', "'../x 1'"),
                (b'"%s 0"' % (b"a" * 64), repr("a" * 64 + " 0")),
                (b'"%s 1","%s 2"' % (b"a" * 64, b"a" * 64), repr("a" * 64 + " 2")),
            )
        ),
    ],
)
def test_a_malformed_listing_is_refused(data: bytes, line: str) -> None:
    with pytest.raises(BadIndexError) as caught:
        evidence_index.read(data)
    assert str(caught.value) == line
