"""A real SPIRE server, and an agent below it, as the issuer of a trust domain's SVIDs."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.support.site.talk import until

DOMAIN = "acme.example"
SERVER_ID = f"spiffe://{DOMAIN}/spire/server"
SERVER, AGENT = shutil.which("spire-server"), shutil.which("spire-agent")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)
_SERVER = """
server {{
  bind_address = "127.0.0.1"
  bind_port = "{port}"
  socket_path = "{folder}/api.sock"
  trust_domain = "{domain}"
  data_dir = "{folder}"
  log_level = "WARN"
  {lifetimes}
  federation {{
    bundle_endpoint {{
      address = "127.0.0.1"
      port = {endpoint}
      {profile}
    }}
  }}
}}
plugins {{
  DataStore "sql" {{
    plugin_data {{ database_type = "sqlite3", connection_string = "{folder}/store.sqlite3" }}
  }}
  KeyManager "disk" {{ plugin_data {{ keys_path = "{folder}/keys.json" }} }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
}}
"""
_LIFETIMES = """
  ca_ttl = "{seconds}s"
  default_x509_svid_ttl = "{svids}s"
  default_jwt_svid_ttl = "{svids}s"
"""
_AGENT = """
agent {{
  server_address = "127.0.0.1"
  server_port = "{port}"
  socket_path = "{folder}/agent.sock"
  trust_domain = "{domain}"
  data_dir = "{folder}/agent"
  join_token = "{token}"
  insecure_bootstrap = true
  log_level = "WARN"
}}
plugins {{
  KeyManager "disk" {{ plugin_data {{ directory = "{folder}" }} }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  WorkloadAttestor "unix" {{ plugin_data {{}} }}
}}
"""


@dataclass(slots=True)
class Program:
    """A program of SPIRE, with its data in a folder: one that is started again goes on."""

    folder: Path
    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it with the settings in ``NAME.conf``."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            command = [*self.command, "-config", str(self.folder / f"{self.name}.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        """End it, if it runs."""
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.wait(30)


@dataclass(frozen=True, slots=True)
class Spire:
    """A running server.

    Attributes:
        folder: Its data; short, since a path of a socket has at most 107 characters.
        port: Of the server.
        endpoint: Port of its bundle endpoint.
        domain: Its trust domain.
        program: The server itself.
    """

    folder: Path
    port: int
    endpoint: int
    domain: str
    program: Program

    def start(self) -> None:
        """Start it, and return once it answers."""
        self.program.start()
        until(lambda: _listens(self.endpoint), True)

    @property
    def url(self) -> str:
        """The bundle endpoint."""
        return f"https://localhost:{self.endpoint}/"

    def command(self, *arguments: str) -> str:
        """Run a command of the server."""
        assert SERVER is not None
        command, *rest = arguments
        words = [SERVER, command, *rest, "-socketPath", str(self.folder / "api.sock")]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def bundle(self) -> bytes:
        """The trust domain's bundle."""
        return self.command("bundle", "show", "-format", "spiffe").encode()

    def federate(self, other: Spire) -> None:
        """Know the roots and keys of another server's trust domain, as a file would bring them."""
        path = self.folder / f"{other.domain}.json"
        path.write_bytes(other.bundle())
        words = ("-id", f"spiffe://{other.domain}", "-format", "spiffe", "-path", str(path))
        self.command("bundle", "set", *words)

    def jwt_svid(self, environment: str, audience: str) -> str:
        """A JWT-SVID."""
        words = ("-spiffeID", environment, "-audience", audience)
        return self.command("jwt", "mint", *words).strip()

    def x509_svid(self, environment: str) -> str:
        """The leaf of an X.509-SVID, as PEM."""
        out = self.command("x509", "mint", "-spiffeID", environment)
        return str(_CERTIFICATE.findall(out)[0])

    def authority(self, kind: str, command: str, identity: str = "") -> str:
        """Prepare, activate, taint or revoke an authority (``jwt`` or ``x509``); return its id."""
        named = ("-authorityID", identity) if identity else ()
        found: dict[str, Any] = json.loads(
            self.command("localauthority", kind, command, *named, "-output", "json")
        )
        (value,) = (each for key, each in found.items() if key.endswith("_authority"))
        return str(value["authority_id"])

    def previous(self, kind: str) -> str:
        """The id of the authority that was active before."""
        found = json.loads(self.command("localauthority", kind, "show", "-output", "json"))
        return str(found["old"]["authority_id"])


@dataclass(frozen=True, slots=True)
class Agent:
    """A running agent.

    Attributes:
        address: Of its Workload API.
        program: The agent itself.
    """

    address: str
    program: Program

    def start(self) -> None:
        """Start it, and return once it gives out SVIDs."""
        self.program.start()
        path = self.address.removeprefix("unix://")
        fetch = [str(AGENT), "api", "fetch", "x509", "-socketPath", path, "-silent"]
        # The agent learns of its entries a few seconds after it started.
        until(lambda: subprocess.run(fetch, capture_output=True, check=False).returncode, 0)


@contextmanager
def spire(profile: str, lifetime: int | None = None, domain: str = DOMAIN) -> Iterator[Spire]:
    """Run a server.

    Args:
        profile: Of its bundle endpoint, with its block of settings.
        lifetime: Seconds that its authorities live; the server rotates them by itself, half a
            lifetime after each began. A day where nothing is given.
        domain: Its trust domain.
    """
    assert SERVER is not None
    with tempfile.TemporaryDirectory(prefix="spire-") as name:
        program = Program(Path(name), "server", [SERVER, "run"])
        running = Spire(Path(name), _free_port(), _free_port(), domain, program)
        settings = _SERVER.format(
            folder=name,
            port=running.port,
            endpoint=running.endpoint,
            domain=domain,
            profile=profile,
            lifetimes=""
            if lifetime is None
            else _LIFETIMES.format(seconds=lifetime, svids=lifetime // 3),
        )
        with _running(program, settings):
            running.start()
            yield running


@contextmanager
def workload_api(server: Spire, *identities: str) -> Iterator[str]:
    """Run an agent that gives this machine's processes SVIDs of these ids; its Workload API."""
    with agent(server, *identities) as running:
        yield running.address


@contextmanager
def agent(server: Spire, *identities: str, federates_with: str = "") -> Iterator[Agent]:
    """Run an agent that gives this machine's processes SVIDs of these ids.

    Args:
        server: Its server.
        identities: SPIFFE IDs.
        federates_with: A trust domain whose roots come with each SVID.
    """
    assert AGENT is not None
    parent = f"spiffe://{server.domain}/agent"
    token = server.command("token", "generate", "-spiffeID", parent).split()[1]
    federated = ("-federatesWith", f"spiffe://{federates_with}") if federates_with else ()
    for identity in identities:
        entry = ("-parentID", parent, "-spiffeID", identity, "-selector", f"unix:uid:{os.getuid()}")
        server.command("entry", "create", *entry, *federated)
    settings = _AGENT.format(
        folder=server.folder, port=server.port, domain=server.domain, token=token
    )
    program = Program(server.folder, "agent", [AGENT, "run"])
    running = Agent(f"unix://{server.folder / 'agent.sock'}", program)
    with _running(program, settings):
        running.start()
        yield running


def jwt_svid(address: str, identity: str, audience: str) -> str:
    """A JWT-SVID from a Workload API."""
    asked = ("-spiffeID", identity, "-audience", audience, "-output", "json")
    found = json.loads(_fetch(address, "jwt", *asked))
    return str(found[0]["svids"][0]["svid"])


def x509_svid(address: str, identity: str, folder: Path) -> Path:
    """Write the X.509-SVIDs of a Workload API; return the path of the one of this identity.

    Beside ``svid.N.pem`` are its key and its bundle, ``svid.N.key`` and ``bundle.N.pem``.
    """
    _fetch(address, "x509", "-silent", "-write", str(folder))
    (found,) = (path for path in folder.glob("svid.*.pem") if identity in _uris(path))
    return found


def _uris(svid: Path) -> list[str]:
    """The URIs of a leaf."""
    (leaf, *_) = x509.load_pem_x509_certificates(svid.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def issuer_key(svid: Path) -> str:
    """The key identifier of the CA that issued an SVID."""
    (leaf, *_) = x509.load_pem_x509_certificates(svid.read_bytes())
    found = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    return (found.value.key_identifier or b"").hex()


def _fetch(address: str, kind: str, *asked: str) -> str:
    assert AGENT is not None
    path = address.removeprefix("unix://")
    command = [AGENT, "api", "fetch", kind, "-socketPath", path, *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def _running(program: Program, settings: str) -> Iterator[None]:
    """Write a program's settings, and end it in the end."""
    config = program.folder / f"{program.name}.conf"
    config.write_text(settings, encoding="utf-8")
    try:
        yield
    finally:
        program.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
