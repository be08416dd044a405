"""Reads ``relay.yaml``; an error is one line with file, key and problem."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sidecar.core.wire import first_fault
from sidecar.destinations import places
from sidecar.destinations.places import PlaceNameError, PlaceOptions
from sidecar.formats import unique_keys
from sidecar.trust.config_file import SAFE_NAME, FileError, SourceEntry, as_mapping
from sidecar.trust.source_config import DirectorySourceConfig, SourceConfig, source_config

MAX_CONFIG_BYTES = 1 << 20
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})")

_Text = Annotated[str, Field(min_length=1, max_length=512)]
_Name = Annotated[str, Field(pattern=SAFE_NAME)]
_Address = Annotated[str, Field(pattern=_ADDRESS.pattern)]
_Source = Annotated[SourceEntry, BeforeValidator(as_mapping)]
_Sources = Annotated[dict[_Name, _Source], Field(max_length=256)]


class RelayConfigError(Exception):
    """``relay.yaml`` cannot be used; the message is one line."""


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class ServeEntry(_Strict):
    """Where and how gates are served over HTTPS."""

    address: _Address
    """`HOST:PORT` to listen on; an IPv6 address is in brackets."""
    certificate: _Text
    """The relay's certificate chain (PEM); read again when it changes."""
    key: _Text
    """Its private key (PEM)."""
    client_ca: _Text | None = None
    """PEM certificates of the CAs whose clients are served; without it, every client is."""
    max_waiting: Annotated[int, Field(ge=0, le=1_000_000)] = 20_000
    """Requests that may wait for a change at once; one more is answered at once."""


class PublishEntry(_Strict):
    """Where everything is published to besides, one folder for each name."""

    place: _Text
    """A folder, `s3://BUCKET/PREFIX` or `tls://HOST/BUCKET/FOLDER`."""
    endpoint_url: _Text | None = None
    """S3: URL of a store that is not AWS's."""
    ca: _Text | None = None
    """S3, NATS: PEM certificates of the CAs, instead of the system's."""
    client_certificate: _Text | None = None
    """NATS: the client's certificate chain (PEM)."""
    client_key: _Text | None = None
    """NATS: its private key (PEM)."""
    credentials_file: _Text | None = None
    """NATS: a `.creds` file."""
    nkey_file: _Text | None = None
    """NATS: file with an NKey seed."""
    user_file: _Text | None = None
    """NATS: file with `USER:PASSWORD`."""


class RelayFile(_Strict):
    """``relay.yaml``."""

    version: Literal[1]
    """Version of the format."""
    folder: _Text
    """Folder that holds what is forwarded. It can be removed while no relay runs."""
    repositories: _Sources = {}
    """Name → source of a TUF repository, as in `trust.yaml`. Gates read it at `/NAME`."""
    evidence: _Sources = {}
    """Name → source of evidence, as in `trust.yaml`. Gates read it at `/NAME/evidence`."""
    poll_seconds: Annotated[float, Field(ge=0.05, le=3600, allow_inf_nan=False)] = 5.0
    """Every source is read again after this many seconds at the latest."""
    stale_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 15.0
    """What could not be read for this long is answered with 503, so that gates notice."""
    serve: ServeEntry | None = None
    """Serves gates over HTTPS."""
    publish: PublishEntry | None = None
    """Publishes to a folder, a store or NATS."""
    admin: _Address | None = None
    """`HOST:PORT` of `/healthz`, `/readyz` and `/metrics`, without TLS; best on loopback."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.repositories and not self.evidence:
            raise ValueError("has neither repositories nor evidence; name one")
        if self.serve is None and self.publish is None:
            raise ValueError("has neither serve nor publish; give one")
        return self


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """See ``ServeEntry``."""

    host: str
    port: int
    certificate: Path
    key: Path
    client_ca: Path | None
    max_waiting: int


@dataclass(frozen=True, slots=True)
class PublishConfig:
    """See ``PublishEntry``."""

    place: str
    options: PlaceOptions


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """``relay.yaml``.

    Attributes:
        folder: Holds what is forwarded.
        repositories: Name and source of each.
        evidence: Name and source of each.
        poll_seconds: At the latest after this many seconds every source is read again.
        stale_seconds: What could not be read for this long is not served.
        serve: Over HTTPS.
        publish: Elsewhere besides.
        admin: Host and port of health and metrics.
    """

    folder: Path
    repositories: tuple[tuple[str, SourceConfig], ...]
    evidence: tuple[tuple[str, SourceConfig], ...]
    poll_seconds: float
    stale_seconds: float
    serve: ServeConfig | None
    publish: PublishConfig | None
    admin: tuple[str, int] | None


def load(path: Path) -> RelayConfig:
    """Read ``relay.yaml``; paths in it are relative to its folder.

    Raises:
        RelayConfigError: On anything wrong with it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise FileError(f"is larger than {MAX_CONFIG_BYTES} bytes")
        value = unique_keys.load(data)
        if not isinstance(value, dict):
            raise FileError("is not a mapping; it begins with 'version: 1'")
        return _config(RelayFile.model_validate(value), path.parent)
    except OSError as error:
        raise RelayConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise RelayConfigError(f"{path}: is not YAML: {line[:200]}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise RelayConfigError(f"{path}: is not YAML in UTF-8") from error
    except ValidationError as error:
        raise RelayConfigError(f"{path}: {first_fault(error, whole='file')}") from error
    except (FileError, PlaceNameError) as error:
        raise RelayConfigError(f"{path}: {error}") from error


def _config(file: RelayFile, folder: Path) -> RelayConfig:
    own = folder / file.folder
    repositories = _sources(file.repositories, folder, "repositories")
    evidence = _sources(file.evidence, folder, "evidence")
    for name, source in (*repositories, *evidence):
        if isinstance(source, DirectorySourceConfig) and own.resolve().is_relative_to(
            source.path.resolve()
        ):
            raise FileError(f"folder: {own} lies in the source of {name}; put it elsewhere")
    serve = file.serve
    return RelayConfig(
        own,
        repositories,
        evidence,
        file.poll_seconds,
        file.stale_seconds,
        None
        if serve is None
        else ServeConfig(
            *_split(serve.address, "serve.address"),
            folder / serve.certificate,
            folder / serve.key,
            None if serve.client_ca is None else folder / serve.client_ca,
            serve.max_waiting,
        ),
        None if file.publish is None else _publish(file.publish, folder),
        None if file.admin is None else _split(file.admin, "admin"),
    )


def _sources(
    entries: dict[str, SourceEntry], folder: Path, place: str
) -> tuple[tuple[str, SourceConfig], ...]:
    return tuple(
        (name, source_config(entry, folder, f"{place}.{name}")) for name, entry in entries.items()
    )


def _publish(entry: PublishEntry, folder: Path) -> PublishConfig:
    def below(name: str | None) -> Path | None:
        return None if name is None else folder / name

    place = entry.place if "://" in entry.place else str(folder / entry.place)
    options = PlaceOptions(
        endpoint=entry.endpoint_url,
        ca=below(entry.ca),
        certificate=below(entry.client_certificate),
        key=below(entry.client_key),
        credentials=below(entry.credentials_file),
        nkey=below(entry.nkey_file),
        user=below(entry.user_file),
    )
    places.open_place(f"{place}/name", options).close()  # names what is wrong, at the start
    return PublishConfig(place, options)


def _split(address: str, place: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[2]) > 65535:
        raise FileError(f"{place}: {address!r} is not HOST:PORT")
    return found[1].strip("[]"), int(found[2])
