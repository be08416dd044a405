"""An operator's machine of its own, over copies of the stage's authorities.

Tests that damage something (kill the gate, withdraw, roll back) do it to a site: the authorities'
homes are copied with their keys, so each site has the same admitted chain in a world nobody else
looks at. The provider's stand-in is the stage's.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import requests
import yaml

from admissibility_devtools.demo.authorities import (
    CUSTOMER,
    GRANTS,
    TRUST_DOMAIN,
    Organisations,
    now,
)
from admissibility_devtools.demo.caller import CREDENTIAL_HEADER
from admissibility_devtools.demo.stage import AUDIENCE
from admissibility_devtools.tools.envoy_config import TlsFiles, reference, render
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from admissibility_devtools.tools.places import repository_root
from sidecar.authority import home as authority
from sidecar.authority import trust_domains
from sidecar.core import wire
from sidecar.opa.client import UNIX
from sidecar.opa.location import opa_path
from tests.support.site.envoy import PATIENT_MS, patient
from tests.support.site.forked_gate import ForkedGate
from tests.support.site.spiffe import TrustDomain
from tests.support.site.stand import Stand
from tests.support.site.talk import Talk, until


@dataclass
class Site:
    """One installation below ``folder``; a context manager that stops what it started.

    Attributes:
        stand: The shared stage, for its upstream, its model and its issuer.
        folder: Empty at first.
        settings: ``sidecar.yaml``.
        trust: ``trust.yaml``.
        organisations: The copied authorities.
        gate: Not started.
    """

    stand: Stand
    folder: Path
    settings: dict[str, Any] = field(init=False)
    trust: dict[str, Any] = field(init=False)
    organisations: Organisations = field(init=False)
    gate: ForkedGate = field(init=False)
    envoy: EnvoyProcess | None = None

    def __post_init__(self) -> None:
        """Copy the homes and write down what an operator would; nothing is started."""
        homes = self.folder / "authorities"
        shutil.copytree(self.stand.stage.folder / "authorities", homes)
        self.organisations = Organisations(
            {name: authority.load(homes / name) for name in GRANTS}, homes / "evidence"
        )
        self.organisations.write_trust(self.folder / "trust.yaml")
        self.trust = yaml.load(
            (self.folder / "trust.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
        )
        self.gate = ForkedGate(self.folder)
        self.settings = self.gate.settings(
            repository_root() / "policies",
            audience=AUDIENCE,
            credential_header=CREDENTIAL_HEADER,
            opa={"managed": {"binary": str(opa_path())}},
            deadline_ms=PATIENT_MS,
        )

    @property
    def talk(self) -> Talk:
        """To speak to this site's Envoy as the demo's application."""
        assert self.envoy is not None
        return self.stand.talk_to(self.envoy.port)

    @property
    def listen(self) -> str:
        """``host:port`` of the gate's ext_authz service."""
        return self.gate.listen

    @property
    def metrics(self) -> str:
        """URL of the gate's HTTP endpoint."""
        return self.gate.metrics

    @property
    def pid(self) -> int:
        """Of the gate."""
        return self.gate.pid

    def stop_gate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the gate, and return its exit status."""
        return self.gate.stop(number)

    def entry(self, name: str) -> dict[str, Any]:
        """One authority's entry in ``trust.yaml``."""
        found: dict[str, Any]
        (found,) = (item for item in self.trust["authorities"] if item["name"] == name)
        return found

    def write(self) -> None:
        """Write both files as they are meant to be now."""
        text = yaml.safe_dump(self.trust, sort_keys=False)
        (self.folder / "trust.yaml").write_text(text, encoding="utf-8")
        self.gate.configure(self.settings)

    def start(self) -> Self:
        """Write the files, start the gate, and return once it is ready."""
        self.write()
        self.gate.start()
        return self

    def front(self) -> Self:
        """Put an Envoy with the reference configuration before the gate."""
        template = patient(reference("jwt"))
        self.envoy = envoy_before(self.stand, self.listen, self.folder / "envoy", template).start()
        return self

    def status(self) -> dict[str, Any]:
        """What ``/status`` says."""
        return dict(requests.get(f"{self.metrics}/status", timeout=10).json())

    def standing(self, name: str) -> dict[str, Any]:
        """What ``/status`` says of one authority."""
        (found,) = (item for item in self.status()["authorities"] if item["name"] == name)
        return dict(found)

    def decision(self, number: str) -> dict[str, Any]:
        """The log's one line about a decision, which is written soon after the reply."""
        (found,) = logged(self.gate.decisions, {number})
        return found

    def set_silence(self, name: str, period: timedelta) -> None:
        """Let one authority publish with a shorter promise."""
        self.organisations.set_heartbeat(name, period)
        authority.publish(self.organisations.homes[name], now())

    def publish_roots(self, domain: TrustDomain) -> None:
        """Publish the X.509 roots of the customer's trust domain beside the stage's JWT keys."""
        jwks = wire.canonical(self.stand.stage.issuer.jwks())
        roots = trust_domains.read(TRUST_DOMAIN, jwks, [domain.bundle.read_bytes()])
        authority.set_trust_domains(self.organisations.homes[CUSTOMER], (roots,), now())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.gate:
            if self.envoy is not None:
                self.envoy.stop()


def logged(path: Path, numbers: set[str]) -> list[dict[str, Any]]:
    """Every line of a decision log about the decisions of these ids; waits until all are there."""

    def lines() -> list[dict[str, Any]]:
        whole, _, _ = path.read_text(encoding="ascii").rpartition("\n")
        values = [json.loads(line) for line in whole.splitlines()]
        return [value for value in values if value["id"] in numbers]

    until(lambda: {value["id"] for value in lines()}, numbers)
    return lines()


def envoy_before(
    stand: Stand,
    gate: str,
    folder: Path,
    template: str | None = None,
    tls: TlsFiles | None = None,
    rendered: Callable[[str], str] = str,
) -> EnvoyProcess:
    """An Envoy, not started, between applications, a gate and the stage's upstream.

    ``rendered`` changes the configuration once its places are filled in.
    """
    host, _, port = gate.rpartition(":")
    socket = Path(gate.removeprefix(UNIX)) if gate.startswith(UNIX) else None
    upstream = stand.stage.upstream
    config = render(
        template or reference("jwt"),
        listener_port=0,
        admin_port=0,
        gate=socket or (host, int(port)),
        upstream=(upstream.host, upstream.port),
        credential_file=stand.stage.folder / "provider-credential.yaml",
        tls=tls,
    )
    return EnvoyProcess(rendered(config), folder)
