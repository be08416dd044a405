"""Reads ``relay.yaml``; an error is one line with file, key and problem."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from sidecar.destinations.place_config import PlaceConfig, PlaceEntry, place_config
from sidecar.destinations.places import PlaceNameError
from sidecar.formats.addresses import HostPort, split_address
from sidecar.formats.config_file import STRICT, ConfigFileError, below, read_config
from sidecar.trust.config_file import SAFE_NAME, FileError, SourceEntry, as_mapping
from sidecar.trust.source_config import DirectorySourceConfig, SourceConfig, source_config

_Text = Annotated[str, Field(min_length=1, max_length=512)]
_Name = Annotated[str, Field(pattern=SAFE_NAME)]
_Source = Annotated[SourceEntry, BeforeValidator(as_mapping)]
_Sources = Annotated[dict[_Name, _Source], Field(max_length=256)]


class _Strict(BaseModel):
    model_config = STRICT


class RelayConfigError(Exception):
    """``relay.yaml`` cannot be used; the message is one line."""


class ServeEntry(_Strict):
    """Where and how gates are served over HTTPS."""

    address: HostPort
    """`HOST:PORT` to listen on; an IPv6 address is in brackets."""
    certificate: _Text
    """The relay's certificate chain (PEM); read again when it changes."""
    key: _Text
    """Its private key (PEM)."""
    client_ca: _Text | None = None
    """PEM certificates of the CAs whose clients are served; without it, every client is."""
    max_waiting: Annotated[int, Field(ge=0, le=1_000_000)] = 20_000
    """Requests that may wait for a change at once; one more is answered at once."""


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
    publish: PlaceEntry | None = None
    """Publishes to a folder, a store or NATS."""
    admin: HostPort | None = None
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
    publish: PlaceConfig | None
    admin: tuple[str, int] | None


def load(path: Path) -> RelayConfig:
    """Read ``relay.yaml``; paths in it are relative to its folder.

    Raises:
        RelayConfigError: On anything wrong with it.
    """
    try:
        return _config(read_config(path, RelayFile), path.parent)
    except ConfigFileError as error:
        raise RelayConfigError(str(error)) from error
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
            *split_address(serve.address),
            folder / serve.certificate,
            folder / serve.key,
            below(folder, serve.client_ca),
            serve.max_waiting,
        ),
        None if file.publish is None else place_config(file.publish, folder),
        None if file.admin is None else split_address(file.admin),
    )


def _sources(
    entries: dict[str, SourceEntry], folder: Path, place: str
) -> tuple[tuple[str, SourceConfig], ...]:
    return tuple(
        (name, source_config(entry, folder, f"{place}.{name}")) for name, entry in entries.items()
    )
