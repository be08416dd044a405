"""A relay in a thread of the test's own process, and what it needs to be served from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from sidecar.relay import config as relay_config
from sidecar.relay.run import Relay
from tests.support.https_server import certificate
from tests.support.loop_thread import loop_thread
from tests.support.simulator.svid import Issuer, pem


@dataclass
class RelaySite:
    """Configuration of a relay below one folder, and the CA of its certificate."""

    folder: Path
    value: dict[str, Any]
    ca: Path

    @property
    def path(self) -> Path:
        return self.folder / "relay.yaml"

    def load(self) -> relay_config.RelayConfig:
        self.path.write_text(yaml.safe_dump(self.value))
        return relay_config.load(self.path)


def relay_site(folder: Path, **value: Any) -> RelaySite:
    """A relay that serves over HTTPS on a port of the kernel's choice."""
    folder.mkdir(parents=True, exist_ok=True)
    issuer = Issuer()
    ca = folder / "relay-ca.pem"
    ca.write_text(pem(issuer.root(datetime.now(UTC))))
    pair = str(certificate(folder, issuer, "relay.pem"))
    serve = {"address": "127.0.0.1:0", "certificate": pair, "key": pair}
    shared = {
        "version": 1,
        "folder": "kept",
        "poll_seconds": 0.2,
        "serve": serve,
        "admin": "127.0.0.1:0",
    }
    return RelaySite(folder, shared | value, ca)


@dataclass
class RunningRelay:
    """A relay that listens, and the base of its URLs."""

    relay: Relay
    url: str
    admin: str

    def problems(self) -> list[str]:
        return [status.problem for status in self.relay.statuses]


@contextmanager
def running_relay(site: RelaySite) -> Iterator[RunningRelay]:
    """Run the relay until the block ends."""
    with loop_thread("relay") as wait:
        relay = Relay(site.load())
        wait(relay.start())
        try:
            yield RunningRelay(
                relay,
                f"https://localhost:{relay.port}",
                f"http://127.0.0.1:{relay.admin_port}",
            )
        finally:
            wait(relay.stop())
