"""Reads and validates ``sidecar.yaml``; an error is one line with file, key and problem."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from sidecar.durable.files import read_bounded
from sidecar.formats import faults
from sidecar.formats.addresses import HostPort, checked_address, split_address
from sidecar.formats.config_file import ConfigFileError, parse_yaml
from sidecar.gate.authorization import Limits
from sidecar.gate.leases import MAX_LEASES
from sidecar.gate.settings import Settings
from sidecar.opa.bundle import Folder, PolicySource, SignedFile
from sidecar.opa.client import UNIX, Address
from sidecar.providers import shut_operations

MAX_CONFIG_BYTES = 1 << 20
MAX_WORKERS = 64
_HEADER = re.compile(r"[a-z0-9-]{1,64}")
_RESERVED = frozenset(
    {"authorization", "connection", "content-encoding", "content-length", "content-type", "cookie"}
    | {"host", "transfer-encoding", "upgrade", "x-forwarded-client-cert"}
)


class ConfigError(Exception):
    """``sidecar.yaml`` cannot be used; the message is one line with file, key and problem."""


_MAX_SOCKET_BYTES = 100
"""Longest path of a socket, in bytes; the kernel's limit is 107."""


def _header(name: str) -> str:
    if not _HEADER.fullmatch(name.lower()) or name.lower() in _RESERVED:
        raise ValueError("must be a header name of [a-z0-9-] that HTTP and Envoy do not use")
    return name.lower()


def _engine(url: str) -> str:
    if url.startswith(UNIX + "/"):
        return url
    if not url.startswith("http://"):
        raise ValueError("must be unix:///PATH or http://HOST:PORT")
    split_address(url.removeprefix("http://").rstrip("/"))
    return url


def _shut(name: str) -> str:
    if name not in shut_operations():
        raise ValueError(
            f"{name} is not an operation that is closed by default;"
            " `admit docs operations` lists them"
        )
    return name


def _listen_address(address: str) -> str:
    if not address.startswith(UNIX):
        return checked_address(address)
    path = address.removeprefix(UNIX)
    if not path.startswith("/") or len(path.encode()) > _MAX_SOCKET_BYTES:
        raise ValueError(f"must be unix:///PATH of at most {_MAX_SOCKET_BYTES} bytes")
    return address


Listen = Annotated[str, AfterValidator(_listen_address)]


class _Strict(BaseModel):
    """A model that rejects unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ManagedOpa(_Strict):
    """An OPA that the gate starts itself: its program, and the folder of its socket."""

    binary: Path | None = None
    """The OPA program to start, instead of the pinned one."""
    directory: Path | None = None
    """Where to keep OPA's socket instead of the temporary folder; mode 0700, this user's alone."""


class SignedPolicies(_Strict):
    """A signed policy bundle, and the public key (PEM) that verifies it."""

    bundle: Path
    """The signed bundle, as `admit policy build` writes it."""
    verification_key: Path
    """The public key (PEM) that must have signed the bundle."""


class OpaConfig(_Strict):
    """Either ``managed``, or the ``address`` of an OPA with the ``revision`` it must have."""

    managed: ManagedOpa | None = None
    """The gate starts OPA on a Unix socket of its own and keeps it running."""
    address: Annotated[str, AfterValidator(_engine)] | None = None
    """An OPA that the gate does not start, instead of `managed`: `unix:///path` or
    `http://HOST:PORT`."""
    revision: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The policy revision that the answers of the OPA at `address` must carry."""

    @model_validator(mode="after")
    def _either(self) -> OpaConfig:
        if (self.managed is None) == (self.address is None):
            raise ValueError("give either managed or address")
        if (self.address is None) != (self.revision is None):
            raise ValueError("give address together with revision, and revision only with address")
        return self

    @property
    def remote(self) -> Address | None:
        """Return the address of an OPA that the gate does not start; ``None`` if managed."""
        if self.address is None or self.revision is None:
            return None
        return Address(self.address, self.revision)


class RegistrationSettings(_Strict):
    """Registration of stored objects: folder, key and lifetime."""

    folder: Path
    """Folder of the registrations."""
    key: Path
    """The Ed25519 key that signs registrations; created with mode 0600 if it does not exist."""
    expires_days: Annotated[int, Field(ge=1, le=366)] = 30
    """How many days a registration lasts."""
    max_batch_bytes: Annotated[int, Field(ge=1 << 16, le=256 << 20)] = 20 << 20
    """The longest upload of a batch file, in bytes."""
    unregistered_inputs: Literal["refuse", "pass"] = "refuse"
    """Whether a call may name as input a file, vector store or container that is registered for no
    environment, such as one uploaded past the gate. One of another environment is refused either
    way; with `pass`, registrations of such objects are kept after they expire, to know whose."""

    @property
    def passes_unregistered_inputs(self) -> bool:
        """Return whether inputs that are registered for no environment pass."""
        return self.unregistered_inputs == "pass"


def _form(value: object) -> str:
    return "bundle" if isinstance(value, dict | SignedPolicies) else "folder"


PolicySettings = Annotated[
    Annotated[Path, Tag("folder")] | Annotated[SignedPolicies, Tag("bundle")],
    Discriminator(_form),
]
"""A folder of policies (text), or a signed bundle (mapping); one error message for either."""


class SidecarConfig(_Strict):
    """The whole file. Every path is relative to the file's folder."""

    listen: Listen = "127.0.0.1:9191"
    """Where Envoy calls the gate (gRPC, plaintext): `unix:///PATH`, a socket for its owner alone,
    or `HOST:PORT` on loopback or on a network that only Envoy can reach. Whoever can write to it
    can claim any client certificate. Port 0 lets the kernel choose."""
    metrics: HostPort = "127.0.0.1:9464"
    """HTTP address of `/metrics`, `/status` and `/healthz`. Read-only, but shows the names of
    authorities."""
    trust: Path
    """The operator's `trust.yaml`."""
    audience: Annotated[str, Field(min_length=1, max_length=256)] = "admissibility-gate"
    """The audience (`aud`) that JWT-SVIDs must name."""
    credential_header: Annotated[str, AfterValidator(_header)] = "x-environment-credential"
    """The header that carries a JWT-SVID. Envoy's `decoder_header_mutation_rules` must let the gate
    remove it."""
    gate_name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$")] = (
        "admissibility"
    )
    """The name of this gate in the dynamic metadata of an allow, which the seal in Envoy's
    configuration requires. Give two gates that one Envoy asks different names."""
    policies: PolicySettings | None = None
    """For a managed OPA: the folder of the policies, or a signed bundle with its public key."""
    opa: OpaConfig = OpaConfig(managed=ManagedOpa())
    """The policy engine: either `managed`, or `address` with `revision`."""
    deadline_ms: Annotated[int, Field(ge=10, le=60_000)] = 1000
    """A decision that takes longer is a denial. Keep it below the `timeout` of Envoy's
    `grpc_service`."""
    max_concurrent: Annotated[int, Field(ge=1, le=65_536)] = 256
    """Requests in flight, most of which wait for their turn; further ones are refused at once."""
    stop_seconds: Annotated[int, Field(ge=0, le=3600)] = 60
    """How long uploads and answers in flight may take after SIGTERM. Keep it below Envoy's drain
    time and the grace period of the pod or container; a second signal ends at once."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 << 20)] = 26 << 20
    """The longest request body that is read. Not below Envoy's `max_request_bytes`."""
    max_body_bytes_in_flight: Annotated[int, Field(ge=1024, le=16 << 30)] = 256 << 20
    """Bodies of all requests in flight together; beyond it the reason is `overloaded`. The gate
    holds a body about twice while it decides, so plan for twice as much memory."""
    max_leases: Annotated[int, Field(ge=0, le=1 << 20)] = MAX_LEASES
    """The most decisions that are kept for reuse while nothing they rest on changes. 0 turns leases
    off: OPA is asked about each call."""
    max_credentials: Annotated[int, Field(ge=0, le=1 << 20)] = MAX_LEASES
    """The most verified credentials that are kept, each until it expires or the keys of its trust
    domain change. 0 verifies the credential of each call."""
    open_operations: tuple[Annotated[str, AfterValidator(_shut)], ...] = ()
    """Operations that are closed by default and opened here, by name."""
    azure_body_model: Literal["refuse", "ignore"] = "refuse"
    """What happens to `model` in a body where Azure's path names a deployment and the two differ.
    Azure runs the deployment. `ignore` does so too and logs the name as `ignored`; `refuse` answers
    400 with both names."""
    registration: RegistrationSettings | None = None
    """Remembers objects created through the gate, so that later calls may build on them; off if
    absent."""
    decision_log: Annotated[str, Field(min_length=1)] = "-"
    """A file to append decisions to, or `-` for standard output. Opened again when it was renamed
    or removed; while it cannot be written, nothing is admitted."""
    facts_log: Path | None = None
    """A file to append the facts of every policy query to, for `admit policy diff`; not written if
    absent."""
    status_folder: Path | None = None
    """A folder to write the signed status to, for `admit fleet`; gates may share it. Not written if
    absent; `/status/signed` serves it in any case."""
    ready_file: Path | None = None
    """Written once the gate is ready: JSON with `pid`, `listen` and `metrics` as bound; removed at
    the end."""
    reuse_port: bool = False
    """Share the port with another gate (`SO_REUSEPORT`), for a restart without a gap."""
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] = 1
    """Processes that answer Envoy. With 1 the gate is one process. With more they share the port,
    and one further process follows the authorities for all of them; limits hold for each. SIGHUP
    then restarts them one by one."""

    @model_validator(mode="after")
    def _listens_once(self) -> SidecarConfig:
        for name, shared in (("reuse_port", self.reuse_port), ("workers", self.workers > 1)):
            if shared and self.listen.startswith(UNIX):
                raise ValueError(f"{name} needs HOST:PORT in listen, which is a Unix socket")
        return self

    @model_validator(mode="after")
    def _has_room(self) -> SidecarConfig:
        if self.max_body_bytes_in_flight < self.max_body_bytes:
            raise ValueError("max_body_bytes_in_flight is less than one body of max_body_bytes")
        return self

    @model_validator(mode="after")
    def _has_policies(self) -> SidecarConfig:
        if self.opa.managed is not None and self.policies is None:
            raise ValueError(
                "a managed OPA needs `policies`: a folder, such as `admit policy copy` makes"
            )
        if self.opa.managed is None and isinstance(self.policies, SignedPolicies):
            raise ValueError("an OPA at `address` verifies its own bundle; remove it from policies")
        return self

    @property
    def shares_port(self) -> bool:
        """Return whether other processes listen on the same port."""
        return self.reuse_port or self.workers > 1

    @property
    def source(self) -> PolicySource | None:
        """Return the source of a managed OPA's policies; ``None`` without one."""
        if isinstance(self.policies, SignedPolicies):
            return SignedFile(self.policies.bundle, self.policies.verification_key)
        return None if self.policies is None else Folder(self.policies)

    @property
    def settings(self) -> Settings:
        """Return the settings of the request path."""
        return Settings(
            self.audience,
            self.credential_header,
            self.max_body_bytes,
            frozenset(self.open_operations),
            self.gate_name,
            ignore_body_model=self.azure_body_model == "ignore",
            max_leases=self.max_leases,
            max_credentials=self.max_credentials,
        )

    @property
    def limits(self) -> Limits:
        """Return the limits of the gRPC server."""
        slots = max(16, 8 * (os.cpu_count() or 1))
        return Limits(self.deadline_ms / 1000, self.max_concurrent, slots)


def load(path: Path, workers: int | None = None) -> SidecarConfig:
    """Read ``sidecar.yaml``.

    Args:
        path: The file.
        workers: ``workers``, instead of what the file says.

    Raises:
        ConfigError: It cannot be read, is not YAML, or has a value that is not allowed.
    """
    try:
        value = parse_yaml(read_bounded(path, MAX_CONFIG_BYTES), begins="trust: trust.yaml")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ConfigFileError as error:
        raise ConfigError(f"{path}: {error}") from error
    if workers is not None:
        value = {**value, "workers": workers}
    try:
        config = SidecarConfig.model_validate(value)
    except ValidationError as error:
        raise ConfigError(f"{path}: {faults.fault(error, SidecarConfig)}") from error
    return _resolved(config, path.absolute().parent)


def _resolved(config: SidecarConfig, folder: Path) -> SidecarConfig:
    changes: dict[str, Any] = {"trust": folder / config.trust}
    if isinstance(config.policies, SignedPolicies):
        changes["policies"] = SignedPolicies(
            bundle=folder / config.policies.bundle,
            verification_key=folder / config.policies.verification_key,
        )
    elif config.policies is not None:
        changes["policies"] = folder / config.policies
    for name in ("ready_file", "facts_log", "status_folder"):
        if getattr(config, name) is not None:
            changes[name] = folder / getattr(config, name)
    if config.decision_log != "-":
        changes["decision_log"] = str(folder / config.decision_log)
    if config.registration is not None:
        held = config.registration
        changes["registration"] = held.model_copy(
            update={"folder": folder / held.folder, "key": folder / held.key}
        )
    if config.opa.managed is not None:
        managed = config.opa.managed
        places = {
            name: None if value is None else folder / value
            for name, value in (("binary", managed.binary), ("directory", managed.directory))
        }
        changes["opa"] = config.opa.model_copy(update={"managed": ManagedOpa(**places)})
    return config.model_copy(update=changes)
