"""A relay forwards whole editions of sources that it hears, at once, and verifies nothing."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.relay.config import RelayConfigError
from sidecar.trust.evidence_folder import read
from sidecar.trust.evidence_mirror import EvidenceMirror
from sidecar.trust.http_connection import HttpLimits
from sidecar.trust.http_evidence import HttpsEvidence
from sidecar.trust.http_source import HttpsSource
from sidecar.trust.nats_source import NatsSource
from sidecar.trust.source import SourceError, Trigger
from sidecar.trust.source_config import HttpsSourceConfig
from tests.support.https_server import certificate
from tests.support.nats_server import nats_server, needs_nats
from tests.support.relay import RelaySite, RunningRelay, relay_site, running_relay
from tests.support.simulator.svid import Issuer, pem
from tests.unit.trust.operator import ONE, Operator, first_refresh, running, signed_manifest
from tests.unit.trust.repository import Repository

NAME = "metadata/timestamp.json"
QUICK = HttpLimits(step=5, total=10, attempts=1)
KEY = "sha256:" + "a" * 64


def until(found: Callable[[], bool]) -> None:
    """Wait; a minute is for ever."""
    waiting = threading.Event()
    for _ in range(6000):
        if found():
            return
        waiting.wait(0.01)
    raise AssertionError("it never came")


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "acme", "acme")
    made.publish()
    return made


@pytest.fixture
def site(tmp_path: Path, repo: Repository) -> RelaySite:
    return relay_site(tmp_path / "relay", repositories={"acme": str(repo.folder)})


def source(site: RelaySite, found: RunningRelay, path: str = "acme") -> HttpsSource:
    return HttpsSource(HttpsSourceConfig(f"{found.url}/{path}", ca=site.ca), QUICK)


def forwarded(site: RelaySite, found: RunningRelay) -> bytes:
    """The timestamp that gates are served; empty where that is an error."""
    with closing(source(site, found)) as gate:
        try:
            return gate.fetch(NAME, 1 << 14)
        except SourceError:
            return b""


def test_a_gate_hears_of_a_withdrawal_through_a_relay_at_once(
    published: Operator, tmp_path: Path
) -> None:
    """Without a poll of its own: the relay holds its request until something changes."""
    acme = published.repositories["acme"]
    site = relay_site(tmp_path / "relay", repositories={"acme": str(acme.folder)})
    with running_relay(site) as found:
        until(lambda: forwarded(site, found) != b"")
        entry = {"url": f"{found.url}/acme", "ca": str(site.ca)}
        published.value["authorities"][0]["source"] = entry
        published.value["poll_seconds"] = 300
        with running(published.load()) as (control, states):
            first_refresh(control)
            states.wait(ONE)
            acme.withdraw("key", KEY)
            states.wait(ONE | {"acme": 2})
            acme.withdraw("key", "sha256:" + "b" * 64)
            states.wait(ONE | {"acme": 3})


def test_half_an_edition_is_never_forwarded(repo: Repository, site: RelaySite) -> None:
    with running_relay(site) as found:
        until(lambda: forwarded(site, found) != b"")
        before = forwarded(site, found)
        repo.entries.append({"kind": "key", "subject": KEY, "reason": "t"})
        files = repo.next_set()
        held = next(name for name in files if name.endswith("withdrawals.json"))
        repo.write({name: data for name, data in files.items() if name != held})
        until(lambda: found.problems() == [f"{held} is not there"])
        assert forwarded(site, found) == before
        repo.write({held: files[held][:-1]})
        until(lambda: found.problems() == [f"{held}: its bytes have another digest"])
        assert forwarded(site, found) == before
        repo.write({held: files[held]})
        until(lambda: forwarded(site, found) == files[NAME])
        served = site.folder / "kept/served/acme"
        kept = {str(path.relative_to(served)) for path in served.rglob("*.json")}
        assert set(files) | {"metadata/1.root.json"} <= kept


def test_what_a_source_said_wrongly_is_replaced_by_what_it_says_now(
    repo: Repository, site: RelaySite
) -> None:
    """The relay judges no signature: it forwards what is false, and then what is right again."""
    right = (repo.folder / NAME).read_bytes()
    root = repo.folder / "metadata/2.root.json"
    served = site.folder / "kept/served/acme/metadata"
    with running_relay(site) as found:
        until(lambda: forwarded(site, found) == right)
        root.write_bytes(repo.first_root)
        until((served / "2.root.json").exists)
        root.unlink()
        until(lambda: not (served / "2.root.json").exists())
        repo.write({NAME: right + b"\n"})
        until(lambda: forwarded(site, found) == right + b"\n")
        repo.write({NAME: right})
        until(lambda: forwarded(site, found) == right)


def test_a_source_that_is_not_heard_is_not_served(repo: Repository, site: RelaySite) -> None:
    """Else a gate that starts would take it for heard."""
    site.value["stale_seconds"] = 1
    elsewhere = repo.folder.with_name("elsewhere")
    with running_relay(site) as found:
        until(lambda: forwarded(site, found) != b"")
        repo.folder.rename(elsewhere)
        until(lambda: forwarded(site, found) == b"")
        with closing(source(site, found)) as gate, pytest.raises(SourceError) as caught:
            gate.fetch(NAME, 1 << 14)
        assert str(caught.value) == f"{NAME}: HTTP 503"
    with running_relay(site) as found:  # nor what it kept from before, after a restart
        until(lambda: found.relay.statuses[0].read)
        assert forwarded(site, found) == b""
        elsewhere.rename(repo.folder)
        until(lambda: forwarded(site, found) != b"")


def test_evidence_is_forwarded_and_one_bad_file_holds_up_no_other(
    tmp_path: Path, operator: Operator
) -> None:
    good, _ = signed_manifest(operator.repositories["acme"].attestation)
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "good.json").write_bytes(good)
    (folder / "linked.json").symlink_to("/nowhere")
    near = relay_site(tmp_path / "near", evidence={"acme": str(folder)})
    with running_relay(near) as first:
        entry = {"url": f"{first.url}/acme/evidence", "ca": str(near.ca)}
        far = relay_site(tmp_path / "far", evidence={"acme": entry})
        with running_relay(far) as second:
            config = HttpsSourceConfig(f"{second.url}/acme/evidence", ca=far.ca)
            mirror = EvidenceMirror(HttpsEvidence(config, QUICK), tmp_path / "mirror")

            def held(*files: bytes) -> bool:
                mirror.fetch()
                return read(tmp_path / "mirror").files == {*files}

            until(lambda: held(good))
            assert "linked.json" in first.problems()[0]
            (folder / "other.json").write_bytes(b"{}")
            until(lambda: held(good, b"{}"))
            (folder / "good.json").unlink()
            until(lambda: held(b"{}"))
            mirror.close()


def asked(found: RunningRelay, site: RelaySite, path: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(f"{found.url}/{path}", headers=headers)
    context = ssl.create_default_context(cafile=str(site.ca))
    try:
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_requests_wait_for_a_change_and_are_answered_at_a_stop(
    repo: Repository, site: RelaySite
) -> None:
    answers: list[tuple[int, bytes]] = []

    def wait(found: RunningRelay, data: bytes) -> threading.Thread:
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"If-None-Match": etag, "Prefer": "wait=60"}

        def ask() -> None:
            answers.append(asked(found, site, f"acme/{NAME}", **headers))

        thread = threading.Thread(target=ask)
        thread.start()
        return thread

    with running_relay(site) as found:
        until(lambda: forwarded(site, found) != b"")
        first = (repo.folder / NAME).read_bytes()
        thread = wait(found, first)
        until(lambda: found.relay._metrics.waiting._value.get() == 1)
        repo.withdraw("key", KEY)
        thread.join(60)
        second = (repo.folder / NAME).read_bytes()
        assert answers == [(200, second)]
        thread = wait(found, second)
        until(lambda: found.relay._metrics.waiting._value.get() == 1)
        with urllib.request.urlopen(f"{found.admin}/metrics", timeout=60) as answer:
            metrics = answer.read().decode()
        assert 'admissibility_relay_source_failing{kind="repository",name="acme"} 0.0' in metrics
        assert "admissibility_relay_waiting 1.0" in metrics
        with urllib.request.urlopen(f"{found.admin}/readyz", timeout=60) as answer:
            assert json.loads(answer.read()) == {"ready": True}
    thread.join(60)
    assert answers[1:] == [(304, b"")]


@pytest.mark.parametrize(
    "path",
    [
        "acme/metadata/..%2f..%2f..%2f..%2frelay.yaml",
        "acme/metadata/.hidden",
        "acme/secrets/x.json",
        "other/metadata/timestamp.json",
        "acme/evidence/index.json",
        "acme/metadata/9.root.json",
    ],
)
def test_a_relay_serves_no_other_path(shared: tuple[RelaySite, RunningRelay], path: str) -> None:
    site, found = shared
    assert asked(found, site, path)[0] == 404


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RelaySite, RunningRelay]]:
    folder = tmp_path_factory.mktemp("relay")
    made = Repository(folder / "acme", "acme")
    made.publish()
    site = relay_site(folder / "relay", repositories={"acme": str(made.folder)})
    with running_relay(site) as found:
        until(lambda: forwarded(site, found) != b"")
        yield site, found


def test_clients_need_a_certificate_where_that_is_configured(
    site: RelaySite, tmp_path: Path
) -> None:
    clients = Issuer()
    client_ca = tmp_path / "clients.pem"
    client_ca.write_text(pem(clients.root(datetime.now(UTC))))
    own = certificate(tmp_path, clients, "client.pem")
    site.value["serve"]["client_ca"] = str(client_ca)
    with running_relay(site) as found:
        config = HttpsSourceConfig(f"{found.url}/acme", ca=site.ca, certificate=own, key=own)
        with closing(HttpsSource(config, QUICK)) as gate:

            def there() -> bool:
                try:
                    return gate.fetch(NAME, 1 << 14) != b""
                except SourceError:
                    return False

            until(there)
        assert forwarded(site, found) == b""


@pytest.mark.slow
@needs_nats
def test_a_relay_publishes_to_nats_and_goes_on_without_it(
    repo: Repository, site: RelaySite, tmp_path: Path
) -> None:
    with nats_server(tmp_path) as server:
        site.value["publish"] = {"place": server.url("relayed")}
        with (
            running_relay(site) as found,
            closing(NatsSource(server.config("relayed/acme"))) as gate,
        ):

            def there() -> bool:
                try:
                    return gate.fetch(NAME, 1 << 14) == (repo.folder / NAME).read_bytes()
                except SourceError:
                    return False

            until(there)
            server.stop(kill=True)
            repo.withdraw("key", KEY)
            until(lambda: forwarded(site, found) == (repo.folder / NAME).read_bytes())
            server.start()
            until(there)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"version": 2}, "version: Input should be 1"),
        (
            {"repositories": {}},
            "has neither repositories nor evidence; name one",
        ),
        ({"serve": None}, "has neither serve nor publish; give one"),
        (
            {"secret": 1},
            "secret: is not a known key; known here: admin, evidence, folder, poll_seconds, "
            "publish, repositories, serve, stale_seconds, version",
        ),
        (
            {"admin": "127.0.0.1:99999"},
            "admin: '127.0.0.1:99999' is not HOST:PORT, with a port up to 65535",
        ),
        (
            {"repositories": {"x": "https://u@h/x"}},
            "repositories.x.url: 'https://u@h/x' is not https://HOST[:PORT]/PATH without user, "
            "query and fragment",
        ),
        (
            {"repositories": {"x": "."}},
            "folder: {folder}/kept lies in the source of x; put it elsewhere",
        ),
        (
            {"publish": {"place": "ftp://x"}},
            "ftp:// is not a place to publish to; give a folder, s3://BUCKET/PREFIX or "
            "tls://HOST/BUCKET/FOLDER",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(
    site: RelaySite, change: dict[str, object], line: str
) -> None:
    site.value |= change
    with pytest.raises(RelayConfigError) as caught:
        site.load()
    assert str(caught.value) == f"{site.path}: {line.replace('{folder}', str(site.folder))}"


def test_two_relays_never_share_a_folder(site: RelaySite) -> None:
    other = pytest.raises(RelayConfigError, match="is another relay's")
    with running_relay(site), other, running_relay(site):
        pass


def test_a_source_that_hangs_or_ends_leaves_followers_that_stop(site: RelaySite) -> None:
    """The iterator of a source that waits for a change ends with its stop."""
    with running_relay(site) as found:
        until(lambda: forwarded(site, found) != b"")
        stop = threading.Event()
        gate = source(site, found)
        items = gate.changes(300, stop)
        assert next(items) is Trigger.START
        gate.fetch(NAME, 1 << 14)
        threading.Timer(0.2, stop.set).start()
        assert list(items) == []
