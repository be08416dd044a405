"""What a binder signs is published once its place can be written, and again as it changes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from tuf.api.metadata import Metadata, Timestamp

from sidecar.authority import home as authority
from sidecar.authority.errors import AuthorityError
from sidecar.binder.errors import BinderError
from sidecar.binder.publishing import HomePublisher
from sidecar.binder.run import RunningBinder
from sidecar.core.documents import WithdrawalKind
from sidecar.destinations.destination import TIMESTAMP
from sidecar.destinations.evidence import LISTING
from sidecar.destinations.place_config import PlaceConfig
from sidecar.destinations.places import PlaceOptions, open_place
from sidecar.formats import evidence_index
from tests.support.nats_server import nats_server, needs_nats
from tests.support.provider.openai_jobs import OpenAiJobs
from tests.support.provider.producer import World, running_binder
from tests.support.s3_server import s3_server
from tests.support.site.talk import until
from tests.unit.binder.helpers import now
from tests.unit.binding.jobs import sha


@pytest.fixture
def world(account: OpenAiJobs, tmp_path: Path) -> Iterator[World]:
    made = World(account, tmp_path)
    yield made
    made.close()


def listed(place: Path) -> set[str]:
    """Digests of the evidence that a place lists."""
    path = place / LISTING
    return set(evidence_index.read(path.read_bytes()).files) if path.exists() else set()


def handed_out(folder: Path) -> set[str]:
    return {sha(path.read_bytes()).sha256 for path in folder.glob("*.dsse.json")}


def state(binder: RunningBinder, what: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{binder.admin_port}/healthz"
    with urllib.request.urlopen(url, timeout=60) as answer:
        rounds = json.loads(answer.read())["rounds"]
    return next(each for each in rounds if each["what"] == what)


def test_what_was_bound_while_the_place_was_away_is_published_when_it_is_back(
    world: World, tmp_path: Path
) -> None:
    job, place = world.submit(), tmp_path / "place"
    world.account.finish(job)
    place.write_text("no folder")
    config = world.config(publish={"place": "place", "check_seconds": 0.2})
    with running_binder(config) as binder:
        assert until(lambda: len(world.handed_out()), 2) == 2
        problem = state(binder, "publication")["problem"]
        assert "Not a directory" in problem or "File exists" in problem
        place.unlink()
        assert until(lambda: listed(place), handed_out(tmp_path / "out")) != set()
        assert until(lambda: state(binder, "publication")["problem"], None) is None
    repository = world.home.repository
    assert (place / TIMESTAMP).read_bytes() == (repository / TIMESTAMP).read_bytes()


def test_what_is_bound_last_is_published_before_the_end(world: World, tmp_path: Path) -> None:
    job, place = world.submit(), tmp_path / "place"
    world.account.finish(job)
    with running_binder(world.config(publish={"place": "place", "check_seconds": 3600})):
        assert until(lambda: len(world.handed_out()), 2) == 2
    assert listed(place) == handed_out(tmp_path / "out")


def test_a_withdrawal_is_published_though_evidence_cannot_be(world: World) -> None:
    out, place = world.folder / "evidence", world.folder / "place"
    publisher = HomePublisher(world.home, out, PlaceConfig(str(place), PlaceOptions()), now)
    publisher.round()
    (signed,) = out.glob("*.dsse.json")
    (out / "more.dsse.json").write_bytes(signed.read_bytes() + b"\n")
    before, listing = (place / TIMESTAMP).read_bytes(), place / LISTING
    listing.unlink()
    listing.mkdir()  # so that it can be neither read nor replaced
    authority.withdraw(world.home, WithdrawalKind.CORPUS, "1" * 64, "no consent", None, now())
    with pytest.raises(AuthorityError, match="Is a directory"):
        publisher.round()
    assert (place / TIMESTAMP).read_bytes() != before
    listing.rmdir()
    publisher.round()
    assert listed(place) == handed_out(out)
    assert len(listed(place)) == 2


def expires(place: Path) -> datetime:
    metadata = Metadata[Timestamp].from_bytes((place / TIMESTAMP).read_bytes())
    return metadata.signed.expires.replace(tzinfo=UTC)


def test_a_timestamp_is_renewed_at_its_half_and_without_a_key_the_rest_is_published(
    world: World,
) -> None:
    clock, place = [now()], world.folder / "place"
    to = PlaceConfig(str(place), PlaceOptions())
    publisher = HomePublisher(world.home, world.folder / "evidence", to, lambda: clock[0])
    publisher.round()
    first = expires(place)
    clock[0] = first - timedelta(hours=13)  # of a day
    publisher.round()
    assert expires(place) == first
    clock[0] = first - timedelta(hours=11)
    publisher.round()
    assert expires(place) == clock[0] + timedelta(days=1)
    clock[0] += timedelta(hours=13)
    (key,) = (world.home.path / "keys").glob("online*")
    key.rename(world.folder / "away")
    before = listed(place)
    (signed,) = (world.folder / "evidence").glob("*.dsse.json")
    (world.folder / "evidence" / "more.dsse.json").write_bytes(signed.read_bytes() + b"\n")
    with pytest.raises(AuthorityError, match="online"):
        publisher.round()
    assert len(listed(place)) == len(before) + 1


def test_a_round_without_news_writes_nothing_and_another_home_is_refused(world: World) -> None:
    out = world.folder / "evidence"
    with s3_server("acme") as url:
        place = PlaceConfig("s3://acme/lab", PlaceOptions(endpoint=url))
        HomePublisher(world.home, out, place, now).round()
        store = boto3.client("s3", endpoint_url=url)

        def kept() -> dict[str, Any]:
            found = store.list_objects_v2(Bucket="acme", Prefix="lab/")["Contents"]
            return {each["Key"]: each["LastModified"] for each in found}

        first = kept()
        assert {"lab/metadata/timestamp.json", "lab/evidence/index.json"} < first.keys()
        HomePublisher(world.home, out, place, now).round()  # as after a restart
        assert kept() == first
        other = authority.init(world.folder / "other", "other-lab", now=now() - timedelta(hours=2))
        (out / "other").mkdir()
        (signed,) = out.glob("*.dsse.json")
        (out / "other" / "x.dsse.json").write_bytes(signed.read_bytes() + b"\n")
        with pytest.raises(AuthorityError, match="another authority's repository"):
            HomePublisher(other, out / "other", place, now).round()
        assert kept() == first
        store.close()


@pytest.mark.slow
@needs_nats
def test_a_running_binder_publishes_over_nats(world: World, tmp_path: Path) -> None:
    job = world.submit()
    world.account.finish(job)
    with nats_server(tmp_path / "nats") as server:
        to = {"place": server.url("trust/lab"), "check_seconds": 0.2}
        with running_binder(world.config(publish=to)) as binder:
            assert until(lambda: len(world.handed_out()), 2) == 2
            assert until(lambda: state(binder, "publication")["problem"], None) is None
        with closing(open_place(server.url("trust/lab"))) as place:
            listing = place.read(LISTING)
            assert listing is not None
            assert set(evidence_index.read(listing).files) == handed_out(tmp_path / "out")
            timestamp = (world.home.repository / TIMESTAMP).read_bytes()
            assert place.read(TIMESTAMP) == timestamp


@pytest.mark.parametrize(
    ("publish", "why"),
    [
        ({"place": "http://h/x"}, "publish: http:// is not a place to publish to"),
        ({"place": "s3://acme/lab", "user_file": "u"}, "publish: the option for user is not one"),
        ({"place": "p", "seconds": 1}, "publish.seconds: is not a known key"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line(
    world: World, publish: dict[str, Any], why: str
) -> None:
    with (
        pytest.raises(BinderError, match=why) as refused,
        running_binder(world.config(publish=publish)),
    ):
        pass
    assert "\n" not in str(refused.value)
