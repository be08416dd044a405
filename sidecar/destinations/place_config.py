"""Reads where a configuration file publishes to, and how the two authenticate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from sidecar.destinations import places
from sidecar.destinations.destination import Destination
from sidecar.destinations.places import PlaceOptions
from sidecar.formats.config_file import STRICT, below

_Text = Annotated[str, Field(min_length=1, max_length=512)]


class _Strict(BaseModel):
    model_config = STRICT


class PlaceEntry(_Strict):
    """A place that is published to, as for `admit publish --to`."""

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


@dataclass(frozen=True, slots=True)
class PlaceConfig:
    """A place and how it is reached; see ``PlaceEntry``."""

    name: str
    options: PlaceOptions

    def open(self, folder: str = "") -> Destination:
        """Return the place, or a folder in it; does not access it yet.

        Raises:
            PlaceNameError: It is no place.
        """
        return places.open_place(f"{self.name}/{folder}" if folder else self.name, self.options)


def place_config(entry: PlaceEntry, folder: Path) -> PlaceConfig:
    """Return a place; relative paths are below ``folder``.

    Raises:
        PlaceNameError: It is no place, or has an option of another one.
    """
    config = PlaceConfig(
        entry.place if "://" in entry.place else str(folder / entry.place),
        PlaceOptions(
            endpoint=entry.endpoint_url,
            ca=below(folder, entry.ca),
            certificate=below(folder, entry.client_certificate),
            key=below(folder, entry.client_key),
            credentials=below(folder, entry.credentials_file),
            nkey=below(folder, entry.nkey_file),
            user=below(folder, entry.user_file),
        ),
    )
    config.open("name").close()  # names what is wrong, at the start
    return config
