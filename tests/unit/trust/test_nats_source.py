"""The NATS source: notified at once, bounded whatever a server does, and trusted with nothing."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest

from sidecar.jetstream.bucket import Bucket
from sidecar.jetstream.config import NatsConfig
from sidecar.jetstream.session import NatsLimits
from sidecar.trust.nats_source import NatsSource
from sidecar.trust.refresh import RefreshError, refresh
from sidecar.trust.source import SourceError, SourceMissingError, Trigger
from tests.support.https_server import certificate
from tests.support.nats_server import INFO, NatsServer, misbehaving, nats_server, needs_nats
from tests.support.simulator.svid import Issuer, pem
from tests.unit.trust.nats_login import creds, nkey
from tests.unit.trust.operator import ONE, Operator, first_refresh, running
from tests.unit.trust.repository import Repository

NAME = "metadata/timestamp.json"
QUICK = NatsLimits(step=0.5, total=1.0)
KEY = "sha256:" + "a" * 64

pytestmark = [needs_nats, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as found:
        yield found


@pytest.fixture
def config(server: NatsServer, tmp_path: Path) -> NatsConfig:
    """A folder of a bucket that the test has for itself."""
    return server.config(f"trust-{abs(hash(tmp_path))}/acme")


@pytest.fixture
def bucket(config: NatsConfig) -> Iterator[Bucket]:
    with closing(Bucket(config)) as found:
        found.create()
        yield found


def put(bucket: Bucket, folder: Path) -> None:
    """Put a repository's files, the timestamp last, whatever was there."""
    paths = sorted(folder.rglob("*.json"), key=lambda path: path.name == "timestamp.json")
    for path in paths:
        bucket.put(str(path.relative_to(folder)), path.read_bytes())


def test_a_key_is_read_up_to_its_cap_and_no_key_is_a_missing_file(
    config: NatsConfig, bucket: Bucket
) -> None:
    bucket.put(NAME, b"12345")
    with closing(NatsSource(config)) as found:
        assert found.fetch(NAME, 5) == b"12345"
        with pytest.raises(SourceError) as caught:
            found.fetch(NAME, 4)
        assert str(caught.value) == f"{NAME} is larger than 4 bytes"
        with pytest.raises(SourceMissingError) as missing:
            found.fetch("metadata/2.root.json", 4)
        assert str(missing.value) == "metadata/2.root.json is not there"
        bucket.delete(NAME)
        with pytest.raises(SourceMissingError):
            found.fetch(NAME, 5)
        with pytest.raises(SourceError) as refused:
            found.fetch("../secret", 4)
        assert str(refused.value) == "'../secret' is not a name in a repository"


def test_a_bucket_that_is_not_there_is_no_missing_file(server: NatsServer) -> None:
    """Else a chain of roots would end where a bucket was lost."""
    source = NatsSource(server.config("nowhere/acme"))
    with closing(source) as found, pytest.raises(SourceError) as caught:
        found.fetch(NAME, 5)
    assert (type(caught.value), str(caught.value)) == (
        SourceError,
        f"{NAME}: the bucket is not there",
    )


class Following:
    """Follows in a thread and keeps what came: the trigger, and the timestamp or the error."""

    def __init__(self, source: NatsSource, poll_seconds: float) -> None:
        self.stop = threading.Event()
        self.items: list[tuple[Trigger, bytes | str]] = []
        self.came = threading.Condition()
        self._source, self._poll = source, poll_seconds
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for trigger in self._source.changes(self._poll, self.stop):
            try:
                item: bytes | str = self._source.fetch(NAME, 100)
            except SourceError as error:
                item = str(error)
            with self.came:
                self.items.append((trigger, item))
                self.came.notify_all()

    def wait(self, *wanted: tuple[Trigger, bytes | str]) -> None:
        """Wait until one of these came; a minute is for ever."""
        with self.came:
            assert self.came.wait_for(lambda: bool({*wanted} & {*self.items}), 20), self.items

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_a_change_is_announced_without_a_poll(config: NatsConfig, bucket: Bucket) -> None:
    bucket.put(NAME, b"1")
    with Following(NatsSource(config), 300) as following:
        following.wait((Trigger.START, b"1"))
        bucket.put(NAME, b"2")
        following.wait((Trigger.CHANGE, b"2"))


def test_a_server_that_was_killed_is_found_again_and_a_bucket_made_anew_is_watched(
    tmp_path: Path,
) -> None:
    with nats_server(tmp_path) as server:
        config = server.config("one/acme")
        bucket = Bucket(config)
        bucket.create()
        bucket.put(NAME, b"1")
        with Following(NatsSource(config), 0.3) as following:
            following.wait((Trigger.START, b"1"))
            server.stop(kill=True)
            following.wait(*((each, f"{NAME}: Connection refused") for each in Trigger))
            server.start()
            bucket.put(NAME, b"2")
            following.wait(*((each, b"2") for each in Trigger))

            async def lose(js: object) -> None:
                await js.delete_stream("KV_one")  # type: ignore[attr-defined]

            bucket.session.call("lose", lose)
            following.wait((Trigger.POLL, f"{NAME}: the bucket is not there"))
            bucket.create()
            bucket.put(NAME, b"3")
            following.wait((Trigger.POLL, b"3"))
            for number in range(4, 40):  # announced, once a poll found the new bucket
                bucket.put(NAME, b"%d" % number)
                following.wait(*((each, b"%d" % number) for each in Trigger))
            assert any(trigger is Trigger.CHANGE for trigger, _ in following.items[-8:])
        bucket.close()


def test_a_stop_ends_what_hangs(config: NatsConfig) -> None:
    def hangs(client: socket.socket, ended: threading.Event) -> None:
        client.sendall(INFO)
        ended.wait(30)

    with misbehaving(hangs) as fake:
        wrong = replace(config, servers=(f"nats://127.0.0.1:{fake.port}",))
        with Following(NatsSource(wrong, NatsLimits(step=300, total=300)), 300) as following:
            threading.Event().wait(0.2)
        assert following.items in (
            [],
            [(Trigger.START, f"{NAME}: the reading was ended")],
        )


# who may read, and whom the gate reads from


def test_every_login_is_used_and_read_again_when_its_file_changes(tmp_path: Path) -> None:
    issuer, clients = Issuer(), Issuer()
    ca, client_ca = tmp_path / "ca.pem", tmp_path / "clients.pem"
    ca.write_text(pem(issuer.root(datetime.now(UTC))))
    client_ca.write_text(pem(clients.root(datetime.now(UTC))))
    served = certificate(tmp_path, issuer, "server.pem")
    own = certificate(tmp_path, Issuer(), "client.pem")
    seed, public = nkey()
    settings = f"""
    tls {{ cert_file: "{served}", key_file: "{served}", ca_file: "{client_ca}", verify: true }}
    authorization {{ users: [
      {{ user: "me", password: "secret", permissions: {{ publish: ["$JS.API.>", "$KV.trust.>"] }} }}
      {{ nkey: "{public}", permissions: {{
        publish: ["$JS.API.STREAM.MSG.GET.>", "$JS.API.CONSUMER.CREATE.KV_trust.>",
                  "$JS.API.CONSUMER.DELETE.KV_trust.>", "$JS.FC.>"]
        subscribe: ["_INBOX.>"]
      }} }}
    ] }}
    """
    user, key = tmp_path / "user", tmp_path / "nkey"
    user.write_text("me:wrong")
    key.write_text(seed)
    with nats_server(tmp_path, settings, "tls") as server:
        shared = replace(server.config("trust/acme"), ca=ca, certificate=own, key=own)
        with closing(Bucket(replace(shared, user=user))) as bucket:
            with pytest.raises(Exception, match=r"TLS|certificate|did not answer|Connection"):
                bucket.create()
            certificate(tmp_path, clients, "new.pem").replace(own)
            with pytest.raises(Exception, match="Authorization Violation"):
                bucket.create()
            user.write_text("me:secret")
            bucket.create()
            bucket.put(NAME, b"1")
            with Following(NatsSource(replace(shared, nkey=key)), 300) as following:
                following.wait((Trigger.START, b"1"))
                bucket.put(NAME, b"2")
                following.wait((Trigger.CHANGE, b"2"))
        other = tmp_path / "other.pem"
        other.write_text(pem(Issuer().root(datetime.now(UTC))))
        with closing(NatsSource(replace(shared, nkey=key, ca=other))) as found:
            with pytest.raises(SourceError) as caught:
                found.fetch(NAME, 5)
            assert str(caught.value).startswith(f"{NAME}: the server's certificate: ")


def test_a_user_of_a_credentials_file_is_let_in(tmp_path: Path) -> None:
    settings, text = creds()
    with nats_server(tmp_path, settings) as server:
        path = tmp_path / "user.creds"
        path.write_text(text)
        config = server.config("trust/acme")
        with closing(Bucket(replace(config, credentials=path))) as bucket:
            bucket.create()
            bucket.put(NAME, b"12345")
            path.write_text(text.replace("BEGIN", "BEGAN"))
            with pytest.raises(Exception) as caught:
                bucket.get(NAME, 5)
            assert str(caught.value) == (f"{path}: is no .creds file with a JWT and a seed")


# whole: TUF over it


def test_a_bucket_that_is_rolled_back_mixed_or_another_never_replaces_a_withdrawal(
    config: NatsConfig, bucket: Bucket, tmp_path: Path, state: Path
) -> None:
    repo = Repository(tmp_path / "acme", "acme")
    repo.publish()
    before = tmp_path / "before"
    shutil.copytree(repo.folder, before)
    repo.withdraw("key", KEY)
    fork = Repository(tmp_path / "fork", "acme")
    fork.publish()
    with closing(NatsSource(config)) as found:
        put(bucket, repo.folder)
        whole = refresh(repo.trusted(), found, state).view
        assert [entry.subject for entry in whole.withdrawals.entries] == [KEY]
        for served in (before, fork.folder):
            put(bucket, served)
            with pytest.raises(RefreshError):
                refresh(repo.trusted(), found, state)
        put(bucket, repo.folder)
        assert refresh(repo.trusted(), found, state).view == whole


def test_a_gate_follows_an_authority_over_nats_and_a_dead_server_delays_no_other(
    tmp_path: Path, published: Operator
) -> None:
    with nats_server(tmp_path) as server:
        acme, office = (published.repositories[name] for name in ("acme", "office"))
        bucket = Bucket(server.config("trust/acme"))
        bucket.create()
        put(bucket, acme.folder)
        published.value["authorities"][0]["source"] = server.url("trust/acme")
        with running(published.load()) as (control, states):
            first_refresh(control)
            states.wait(ONE)
            acme.withdraw("key", KEY)
            put(bucket, acme.folder)
            states.wait(ONE | {"acme": 2})
            server.stop(kill=True)
            office.withdraw("key", KEY)
            states.wait(ONE | {"acme": 2, "office": 2})
            server.start()
            acme.withdraw("key", "sha256:" + "b" * 64)
            put(bucket, acme.folder)
            states.wait(ONE | {"acme": 3, "office": 2})
        bucket.close()
