"""Runs every part of the demo as a process or server of its own, on loopback, in one folder.

    openai SDK ──▶ Envoy ──▶ gate (admit serve) ──▶ OPA
                     └──▶ stand-in upstream

The gate is the real command, run as a child; so is Envoy. Only ports and folders are chosen here.
Both end with this process, also where it is killed; the folder that stays then is removed by the
next stage.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from admissibility_devtools.demo.authorities import (
    CUSTOMER,
    EVALUATION,
    HOSTED,
    PROD,
    TRUST_DOMAIN,
    Organisations,
    Scenario,
    now,
)
from admissibility_devtools.demo.caller import CREDENTIAL_HEADER, Application
from admissibility_devtools.demo.gate_process import GateProcess, StageError
from admissibility_devtools.demo.issuer import Issuer
from admissibility_devtools.demo.upstream import StandInUpstream
from admissibility_devtools.tools.envoy_config import (
    Name,
    credential_document,
    reference,
    render,
)
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from sidecar import resources
from sidecar.authority import home as authority
from sidecar.core.documents import TrustDomain
from sidecar.opa.location import opa_path
from sidecar.opa.private_folder import PrivateFolder, private_folder

T = TypeVar("T")
AUDIENCE = "admissibility-gate"
PREFIX = "admit-demo."
"""Prefix of the locked folder with OPA's socket, whose path must be short."""


@dataclass
class Stage:
    """Starts everything the demo runs; a context manager that stops what it started.

    Attributes:
        folder: Where everything lives; emptied first.
        policies: The folder of the policies; changes in it take effect.
        settings: Of the gate, beside those that the story needs.
        scenario: Who takes part, and at which provider the model is.
        organisations: The authorities, once founded.
        listen: ``host:port`` of the gate's ext_authz service.
        metrics: URL of the gate's HTTP endpoint.
    """

    folder: Path
    policies: Path = field(default_factory=resources.policies)
    settings: Mapping[str, Any] = field(default_factory=dict)
    scenario: Scenario = HOSTED
    issuer: Issuer = field(default_factory=lambda: Issuer(TRUST_DOMAIN))
    listen: str = ""
    metrics: str = ""
    _organisations: Organisations | None = None
    _upstream: StandInUpstream | None = None
    _gate: GateProcess | None = None
    _envoy: EnvoyProcess | None = None
    _run: PrivateFolder | None = None

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._run = private_folder(None, PREFIX)
        return self

    def __exit__(self, *_: object) -> None:
        if self._envoy is not None:
            self._envoy.stop()
        if self._gate is not None:
            self._gate.stop()
        if self._upstream is not None:
            self._upstream.stop()
        if self._run is not None:
            self._run.remove()
            self._run = None

    @property
    def organisations(self) -> Organisations:
        """The authorities; ``found_authorities`` comes first."""
        return _there(self._organisations)

    @property
    def upstream(self) -> StandInUpstream:
        """The stand-in provider; call ``start`` first."""
        return _there(self._upstream)

    @property
    def gateway(self) -> str:
        """Base URL for the SDK."""
        return f"{_there(self._envoy).url}/v1"

    @property
    def envoy_admin(self) -> str:
        """``HOST:PORT`` of the gateway's admin interface."""
        host, port = _there(self._envoy).admin
        return f"{host}:{port}"

    @property
    def decision_log(self) -> Path:
        """Where the gate writes a JSON line for each decision."""
        return self.folder / "decisions.jsonl"

    @property
    def facts_log(self) -> Path:
        """Where the gate writes the facts that its policies were evaluated on."""
        return self.folder / "facts.jsonl"

    @property
    def opa_socket(self) -> str:
        """Address of the policy engine that the gate manages; it makes itself a folder below."""
        found = list((_there(self._run).path / "opa").glob("*/opa.sock"))
        if len(found) != 1:
            raise StageError("the gate has no policy engine with a socket")
        return f"unix://{found[0]}"

    def application(self, environment: str | None = PROD) -> Application:
        """Return an application in one environment, or one without a credential."""
        svid = None
        if environment is not None:
            svid = self.issuer.svid(environment, AUDIENCE, now())
        return Application(self.gateway, svid)

    def found_authorities(self) -> Organisations:
        """Create the authorities, the customer's trust domain and its environments."""
        self._organisations = Organisations.found(self.folder / "authorities", self.scenario)
        domain = TrustDomain(TRUST_DOMAIN, jwks=self.issuer.jwks())
        authority.set_trust_domains(self.organisations.homes[CUSTOMER], (domain,), now())
        self.organisations.declare_environments()
        return self.organisations

    def start(self) -> None:
        """Start upstream, gate and Envoy, in that order, and wait for each to be ready.

        Raises:
            StageError: The gate did not become ready.
            ProgramError: OPA or Envoy is not here, or Envoy did not start.
        """
        key = f"sk-{secrets.token_hex(16)}"
        self._upstream = StandInUpstream(key)
        self._upstream.start()
        self._start_gate()
        credential = self.folder / "provider-credential.yaml"
        with open(  # noqa: PTH123 - the mode belongs to the creation, not after it
            os.open(credential, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(credential_document(f"Bearer {key}"))
        self._envoy = self._envoy_of(self.scenario.gateway, self.folder / "envoy")
        self._envoy.start()

    @contextmanager
    def sandbox(self) -> Iterator[str]:
        """Run the Envoy of the sandbox route, beside that of production; its base URL."""
        envoy = self._envoy_of(self.scenario.sandbox, self.folder / "envoy-sandbox")
        envoy.start()
        try:
            yield f"{envoy.url}/v1"
        finally:
            envoy.stop()

    def evaluator(self, gateway: str) -> Application:
        """Return an application in the evaluator's environment."""
        return Application(gateway, self.issuer.svid(EVALUATION, AUDIENCE, now()))

    def _envoy_of(self, name: Name, folder: Path) -> EnvoyProcess:
        """Return an Envoy, not started, with a reference configuration before the gate."""
        host, _, port = self.listen.rpartition(":")
        config = render(
            reference(name),
            listener_port=0,
            admin_port=0,
            gate=(host, int(port)),
            upstream=(self.upstream.host, self.upstream.port),
            credential_file=self.folder / "provider-credential.yaml",
        )
        return EnvoyProcess(config, folder, tied=True)

    def gate_pid(self) -> int:
        """Process id of the gate; ``start`` comes first."""
        return _there(self._gate).pid

    def opa_pid(self) -> int:
        """Process id of the policy engine: the gate's only child of that name.

        Raises:
            StageError: There is none.
        """
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                # pid (comm) state ppid …; comm may hold spaces, so split after its bracket.
                head, _, tail = entry.read_text().rpartition(")")
                if head.endswith("(opa") and int(tail.split()[1]) == self.gate_pid():
                    return int(entry.parent.name)
        raise StageError("the gate has no policy engine as its child")

    def kill_opa(self) -> None:
        """Kill the policy engine, as a machine short of memory would."""
        os.kill(self.opa_pid(), signal.SIGKILL)

    def restart_gate(self) -> None:
        """Stop the gate and start it again at the same address, where Envoy looks for it."""
        gate = _there(self._gate)
        gate.stop()
        settings = yaml.safe_load(gate.config.read_text(encoding="utf-8"))
        gate.configure({**settings, "listen": self.listen})
        gate.start()
        self.metrics = gate.metrics

    def describe(self, *, model: str, denied_model: str) -> dict[str, Any]:
        """Return the content of ``demo.json``: addresses and names for use from outside."""
        return {
            "gateway": self.gateway,
            "envoy_admin": self.envoy_admin,
            "gate": self.listen,
            "metrics": self.metrics,
            "credential": self.application().credential,
            "credential_header": CREDENTIAL_HEADER,
            "model": model,
            "denied_model": denied_model,
            "opa": self.opa_socket,
            "trust": str(self.folder / "trust.yaml"),
            "authorities": [
                {
                    "name": name,
                    "roles": [self.scenario.role_of(name)],
                    "repository": str(home.repository),
                }
                for name, home in self.organisations.homes.items()
            ],
        }

    def _start_gate(self) -> None:
        self.organisations.write_trust(self.folder / "trust.yaml")
        managed = {"binary": str(opa_path()), "directory": str(_there(self._run).path / "opa")}
        gate = GateProcess(self.folder)
        gate.configure(
            gate.settings(
                self.policies,
                audience=AUDIENCE,
                credential_header=CREDENTIAL_HEADER,
                opa={"managed": managed},
                facts_log="facts.jsonl",
                **self.settings,
            )
        )
        self._gate = gate.start()
        self.listen, self.metrics = gate.listen, gate.metrics


def _there(part: T | None) -> T:
    if part is None:
        raise StageError("the stage has not come that far")
    return part
