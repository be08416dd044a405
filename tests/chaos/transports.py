"""How the repositories of a run reach its gate: over HTTPS, NATS or a relay, each by a lossy proxy.

A transport serves an edition of an authority, or something else in its place; what else is the same
for all of them (``tests.unit.trust.transports.FAULTS``).
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from sidecar.formats.evidence_index import INDEX_FILE, listing_name, write_pointer
from sidecar.jetstream.bucket import Bucket
from tests.chaos.evidence import PLACE
from tests.chaos.proxy import LossyProxy, lossy_proxy
from tests.support.https_server import HttpsServer, serving
from tests.support.nats_server import NatsServer, nats_server
from tests.support.relay import RelaySite, relay_site

if TYPE_CHECKING:
    from nats.js import JetStreamContext

Files = dict[str, bytes]
BUCKET = "chaos"
TRANSPORTS = ("https", "nats", "relay")
START_SECONDS = 120.0
_SERVES = re.compile(r"serves on https://\S+:(\d+)")


class Transport(Protocol):
    """Where authorities publish to, and where the gate reads."""

    name: str
    proxy: LossyProxy

    def source(self, authority: str) -> dict[str, Any]:
        """Return the source of one authority, as in ``trust.yaml``."""
        ...

    def serve(self, authority: str, files: Files) -> None:
        """Serve exactly these files, as soon as the server can be had."""
        ...

    def evidence(self) -> dict[str, Any]:
        """Return the source of published evidence, as in ``trust.yaml``."""
        ...

    def serve_evidence(self, files: Files, lost: str = "") -> None:
        """Serve exactly these files of evidence; of one the bytes are lost, where that is apart."""
        ...

    def kills(self) -> tuple[tuple[str, Callable[[], None], Callable[[], None]], ...]:
        """Return what of it can be killed: a name, how, and how to start it again."""
        ...

    def catch_up(self) -> None:
        """Serve what could not be served when it was published."""
        ...


def files_of(folder: Path) -> Files:
    """Return everything in a repository's folder, the timestamp last."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}
    return dict(sorted(found.items(), key=lambda each: "timestamp" in each[0]))


class _Https:
    """Static files on a web server behind the proxy."""

    name = "https"

    def __init__(self, server: HttpsServer, proxy: LossyProxy) -> None:
        self.server, self.proxy = server, proxy

    def source(self, authority: str) -> dict[str, Any]:
        url = f"https://localhost:{self.proxy.port}/{authority}"
        return {"url": url, "ca": str(self.server.ca)}

    def serve(self, authority: str, files: Files) -> None:
        folder = self.server.folder / authority
        there = files_of(folder)
        for name in there.keys() - files.keys():
            (folder / name).unlink()
        for name, data in files.items():
            if there.get(name) != data:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                new = path.with_suffix(".new")
                new.write_bytes(data)
                new.rename(path)

    def evidence(self) -> dict[str, Any]:
        return self.source(PLACE)

    def serve_evidence(self, files: Files, lost: str = "") -> None:
        self.serve(PLACE, files)

    def kills(self) -> tuple[tuple[str, Callable[[], None], Callable[[], None]], ...]:
        return ()

    def catch_up(self) -> None:
        return


class _Relay(_Https):
    """The same behind a real ``admit relay``, which stands between web server and proxy."""

    name = "relay"

    def __init__(self, server: HttpsServer, proxy: LossyProxy, site: RelaySite) -> None:
        super().__init__(server, proxy)
        self.site = site
        self.child: subprocess.Popen[bytes] | None = None

    def source(self, authority: str) -> dict[str, Any]:
        return super().source(authority) | {"ca": str(self.site.ca)}

    def start(self) -> None:
        """Start the relay, and lead the proxy to its port."""
        log = self.site.folder / "relay.log"
        with log.open("wb") as sink:
            command = [sys.executable, "-m", "sidecar.cli", "relay", "-c", str(self.site.path)]
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + START_SECONDS
        while (found := _SERVES.search(log.read_text(errors="replace"))) is None:
            assert self.child.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        self.proxy.target = int(found[1])

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait(10)
            self.child = None

    def kills(self) -> tuple[tuple[str, Callable[[], None], Callable[[], None]], ...]:
        return (("relay", self.kill, self.start),) if self.child is not None else ()


class _Nats:
    """A bucket of a NATS server behind the proxy; authorities reach the server without it."""

    name = "nats"

    def __init__(
        self, server: NatsServer, proxy: LossyProxy, bucket: Callable[..., Bucket]
    ) -> None:
        self.server, self.proxy = server, proxy
        self._bucket = bucket
        self._there: dict[str, Files] = {}
        self._wanted: dict[str, Files] = {}
        self._objects: Files = {}
        self._listed: Files | None = None
        self._lost = ""

    def source(self, authority: str) -> dict[str, Any]:
        return {"url": f"nats://localhost:{self.proxy.port}/{BUCKET}/{authority}"}

    def serve(self, authority: str, files: Files) -> None:
        self._wanted[authority] = dict(files)
        self.catch_up()

    def catch_up(self) -> None:
        if self.server.child is None:
            return  # as an authority whose command fails: it publishes when the server is there
        self._publish_evidence()
        for authority, files in self._wanted.items():
            there = self._there.setdefault(authority, {})
            if there == files:
                continue
            with closing(self._bucket(authority)) as bucket:
                for name in there.keys() - files.keys():
                    bucket.delete(name)
                    del there[name]
                for name, data in files.items():
                    if there.get(name) != data:
                        bucket.put(name, data)
                        there[name] = data

    def evidence(self) -> dict[str, Any]:
        return self.source(PLACE)

    def serve_evidence(self, files: Files, lost: str = "") -> None:
        self._listed, self._lost = dict(files), lost
        self.catch_up()

    def _publish_evidence(self) -> None:
        """Write objects, and the key that names the listing, which is one of them."""
        if self._listed is None:
            return
        pointer, objects = dict(self._listed), Files()
        listing = pointer.pop(INDEX_FILE, None)
        objects |= pointer
        if listing is not None:
            objects[listing_name(hashlib.sha256(listing).hexdigest())] = listing
        with closing(self._bucket(PLACE)) as bucket:
            for name in self._objects.keys() - objects.keys():
                bucket.delete_object(name)
                del self._objects[name]
            for name, data in objects.items():
                if self._objects.get(name) != data:
                    bucket.put_object(name, data)
                    self._objects[name] = data
            if self._lost:
                self._lose_chunks(bucket, self._lost)
            if listing is None:
                bucket.delete(INDEX_FILE)
            else:
                bucket.put(INDEX_FILE, write_pointer(listing))
        self._listed = None

    def _lose_chunks(self, bucket: Bucket, name: str) -> None:
        async def work(js: JetStreamContext) -> None:
            meta = await bucket._meta(js, name)
            await js.purge_stream(f"OBJ_{BUCKET}", subject=f"$O.{BUCKET}.C.{meta['nuid']}")

        bucket.session.call(name, work)
        del self._objects[name]  # so that it is written again

    def kills(self) -> tuple[tuple[str, Callable[[], None], Callable[[], None]], ...]:
        if self.server.child is None:
            return ()
        return (("nats-server", lambda: self.server.stop(kill=True), self.server.start),)


@contextmanager
def over(name: str, folder: Path) -> Iterator[Transport]:
    """Run the servers of one transport below ``folder``."""
    folder.mkdir()
    if name == "nats":
        with nats_server(folder) as server, lossy_proxy(server.port) as proxy:

            def bucket(authority: str = "") -> Bucket:
                return Bucket(server.config(f"{BUCKET}/{authority}"))

            with closing(bucket("any")) as made:
                made.create()
            yield _Nats(server, proxy, bucket)
        return
    with serving(folder) as served:
        (folder / "served").mkdir()
        served.folder = folder / "served"
        port = int(served.url.rpartition(":")[2])
        with lossy_proxy(port) as proxy:
            if name == "https":
                yield _Https(served, proxy)
                return
            yield from _relayed(folder, served, proxy)


def _relayed(folder: Path, served: HttpsServer, proxy: LossyProxy) -> Iterator[Transport]:
    """Lead the relay to the web server; its authorities are known by the folders there."""
    site = relay_site(folder / "relay")
    relay = _Relay(served, proxy, site)
    try:
        yield relay
    finally:
        relay.kill()


def web_server(transport: Transport) -> HttpsServer | None:
    """Return the web server of a transport that has one."""
    return transport.server if isinstance(transport, _Https) else None


def begin(transport: Transport, authorities: tuple[str, ...]) -> None:
    """Start what can be started only when the first editions are there."""
    if isinstance(transport, _Relay):
        server = transport.server
        transport.site.value["repositories"] = {
            name: {"url": f"{server.url}/{name}", "ca": str(server.ca)} for name in authorities
        }
        transport.site.value["evidence"] = {
            PLACE.partition("/")[0]: {"url": f"{server.url}/{PLACE}", "ca": str(server.ca)}
        }
        transport.site.path.write_text(yaml.safe_dump(transport.site.value))
        transport.start()
