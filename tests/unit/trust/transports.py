"""Every transport of a repository, served by its real server, with content that a test replaces."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from sidecar.jetstream.bucket import Bucket
from sidecar.relay.links import RepositoryLink
from sidecar.relay.run import Relay
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.http_connection import HttpLimits
from sidecar.trust.http_source import HttpsSource
from sidecar.trust.nats_source import NatsSource
from sidecar.trust.source import Source
from sidecar.trust.source_config import HttpsSourceConfig
from tests.support.https_server import HttpsServer
from tests.support.loop_thread import loop_thread
from tests.support.nats_server import NatsServer
from tests.support.relay import relay_site

Files = Mapping[str, bytes]
LIMITS = HttpLimits(step=5, total=10, attempts=1)


class Transport(Protocol):
    """A place that serves a repository, and a source that reads it."""

    source: Source

    def serve(self, files: Files) -> None:
        """Serve exactly these files from now on."""
        ...


class _Folder:
    def __init__(self, folder: Path, source: Source) -> None:
        self.folder = folder
        self.source = source

    def serve(self, files: Files) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


class _Nats:
    def __init__(self, bucket: Bucket, source: Source) -> None:
        self._bucket = bucket
        self._there: set[str] = set()
        self.source = source

    def serve(self, files: Files) -> None:
        for name in self._there - files.keys():
            self._bucket.delete(name)
        for name, data in files.items():
            self._bucket.put(name, data)
        self._there = {*files}


class _Relayed(_Folder):
    """A relay that takes one round of its source each time, and a gate's source that reads it."""

    def __init__(self, folder: Path, source: Source, link: RepositoryLink) -> None:
        super().__init__(folder, source)
        self._link = link

    def serve(self, files: Files) -> None:
        super().serve(files)
        self._link.work()


@contextmanager
def over_directory(folder: Path) -> Iterator[Transport]:
    yield _Folder(folder / "served", DirectorySource(folder / "served"))


@contextmanager
def over_https(server: HttpsServer, folder: Path) -> Iterator[Transport]:
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    config = HttpsSourceConfig(f"{server.url}/{name}", ca=server.ca)
    with closing(HttpsSource(config, LIMITS)) as source:
        yield _Folder(server.folder / name, source)


@contextmanager
def over_nats(server: NatsServer, folder: Path) -> Iterator[Transport]:
    config = server.config(f"{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}/acme")
    with closing(Bucket(config)) as bucket, closing(NatsSource(config)) as source:
        bucket.create()
        yield _Nats(bucket, source)


@contextmanager
def over_relay(folder: Path) -> Iterator[Transport]:
    site = relay_site(folder / "relay", repositories={"acme": str(folder / "served")})
    with ExitStack() as stack:
        wait = stack.enter_context(loop_thread("relay"))
        relay = Relay(site.load())
        relay._followers = []  # the test says when a round is
        wait(relay.start())
        stack.callback(lambda: wait(relay.stop()))
        config = HttpsSourceConfig(f"https://localhost:{relay.port}/acme", ca=site.ca)
        source = stack.enter_context(closing(HttpsSource(config, LIMITS)))
        link = relay._links[0]
        assert isinstance(link, RepositoryLink)
        yield _Relayed(folder / "served", source, link)


Fault = Callable[[Files, Files, Files], Files]
"""What is served instead, of: the newest edition, an older one, and one of other keys."""


def _changed(files: Files, part: str, change: Callable[[bytes], bytes]) -> Files:
    return {name: change(data) if part in name else data for name, data in files.items()}


FAULTS: dict[str, Fault] = {
    "replays an old edition": lambda new, old, fork: old,
    "replays an old timestamp": lambda new, old, fork: (
        dict(new) | {"metadata/timestamp.json": old["metadata/timestamp.json"]}
    ),
    "mixes editions": lambda new, old, fork: (
        {
            name: old.get(name, data) if "timestamp" not in name else data
            for name, data in new.items()
        }
        | {
            name: next(old[each] for each in old if each.endswith("snapshot.json"))
            for name in new
            if name.endswith("snapshot.json")
        }
    ),
    "forks": lambda new, old, fork: fork,
    "mixes a fork": lambda new, old, fork: (
        dict(fork) | {name: data for name, data in new.items() if "root" in name}
    ),
    "truncates the timestamp": lambda new, old, fork: _changed(
        new, "timestamp", lambda data: data[:-9]
    ),
    "truncates the targets": lambda new, old, fork: _changed(
        new, "targets.json", lambda data: data[:-9]
    ),
    "truncates withdrawals": lambda new, old, fork: _changed(
        new, "withdrawals", lambda data: data[:-9]
    ),
    "sends endless data": lambda new, old, fork: _changed(
        new, "timestamp", lambda data: data + b" " * (1 << 19)
    ),
    "serves nothing": lambda new, old, fork: {},
    "loses withdrawals": lambda new, old, fork: {
        name: data for name, data in new.items() if "withdrawals" not in name
    },
    "invents a root": lambda new, old, fork: (
        dict(new) | {"metadata/2.root.json": fork["metadata/1.root.json"]}
    ),
    "sends no JSON": lambda new, old, fork: _changed(new, "json", lambda _: b"\xff{"),
    "sends a bomb of brackets": lambda new, old, fork: _changed(
        new, "timestamp", lambda _: b"[" * 10_000
    ),
}
