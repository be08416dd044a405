"""The table of destinations: which implementation publishes to which place."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.destinations.destination import Destination
from sidecar.destinations.directory import DirectoryDestination
from sidecar.destinations.nats_bucket import NatsDestination
from sidecar.destinations.s3 import S3Config, S3Destination
from sidecar.jetstream import config as jetstream

_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,62})(/[A-Za-z0-9!_.*'()/-]*)?")
_HTTP = frozenset({"http", "https"})


class PlaceNameError(Exception):
    """The place cannot be published to as it is named; the text is one line."""


@dataclass(frozen=True, slots=True)
class PlaceOptions:
    """How a publisher and a place authenticate; each applies to some places only.

    Attributes:
        endpoint: S3: URL of a store that is not AWS's.
        ca: S3 and NATS: PEM certificates that replace the system's CAs.
        certificate: NATS: the client's chain, PEM.
        key: NATS: its private key, PEM.
        credentials: NATS: a ``.creds`` file.
        nkey: NATS: file with an NKey seed.
        user: NATS: file with ``USER:PASSWORD``.
    """

    endpoint: str | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    credentials: Path | None = None
    nkey: Path | None = None
    user: Path | None = None


_FOR_S3 = frozenset({"endpoint", "ca"})
_FOR_NATS = frozenset({"ca", "certificate", "key", "credentials", "nkey", "user"})


def open_place(name: str, options: PlaceOptions = PlaceOptions()) -> Destination:
    """Return the place of a name; does not access it yet.

    Args:
        name: A folder, ``s3://BUCKET[/PREFIX]``, or ``tls://HOST[:PORT]/BUCKET[/FOLDER]``.
        options: See ``PlaceOptions``.

    Raises:
        PlaceNameError: It is none of these, has an option of another place, or needs a module that
            is not installed.
    """
    scheme = name.partition("://")[0] if "://" in name else ""
    if scheme in jetstream.SCHEMES:
        _check(options, _FOR_NATS, "NATS")
        _require("nats", "nats")
        return NatsDestination(_nats(name, options))
    if scheme == "s3":
        _check(options, _FOR_S3, "S3")
        _require("boto3", "s3")
        return S3Destination(_s3(name, options))
    if scheme:
        raise PlaceNameError(
            f"{scheme}:// is not a place to publish to; give a folder, s3://BUCKET/PREFIX or "
            "tls://HOST/BUCKET/FOLDER"
        )
    _check(options, frozenset(), "a folder")
    return DirectoryDestination(Path(name))


def _nats(name: str, options: PlaceOptions) -> jetstream.NatsConfig:
    if (options.certificate is None) != (options.key is None):
        raise PlaceNameError("a client's certificate and key go together; give both")
    try:
        return jetstream.checked(
            replace(
                jetstream.parse(name),
                ca=options.ca,
                certificate=options.certificate,
                key=options.key,
                credentials=options.credentials,
                nkey=options.nkey,
                user=options.user,
            )
        )
    except ValueError as error:
        raise PlaceNameError(str(error)) from error


def _s3(name: str, options: PlaceOptions) -> S3Config:
    found = _S3.fullmatch(name)
    if found is None:
        shown = "a URL that names a user" if "@" in name else repr(name)
        raise PlaceNameError(f"{shown} is not s3://BUCKET[/PREFIX]")
    if options.endpoint is not None:
        parts = urlsplit(options.endpoint)
        if parts.scheme not in _HTTP or not parts.hostname or "@" in parts.netloc or parts.query:
            raise PlaceNameError("the endpoint is not https://HOST[:PORT] without user and query")
    return S3Config(found[1], (found[2] or "").strip("/"), options.endpoint, options.ca)


def _check(options: PlaceOptions, known: frozenset[str], place: str) -> None:
    for name in PlaceOptions.__dataclass_fields__:
        if getattr(options, name) is not None and name not in known:
            raise PlaceNameError(f"the option for {name} is not one of {place}; leave it out")


def _require(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise PlaceNameError(
            f"this needs the Python module {module}; run `python -m pip install "
            f"'admissibility-sidecar[{extra}]'` in this environment"
        )
