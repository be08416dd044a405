"""Where a repository or evidence is read from, as ``trust.yaml`` configures it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sidecar.jetstream import config as jetstream
from sidecar.jetstream.config import NatsConfig
from sidecar.trust.config_file import FileError, SourceEntry

ENVIRONMENT = "environment"
_TLS = ("ca", "client_certificate", "client_key")
_HTTPS_ONLY = ("bearer_file", "proxy")
_NATS_LOGINS = ("credentials_file", "nkey_file", "user_file")


@dataclass(frozen=True, slots=True)
class DirectorySourceConfig:
    """A folder: a repository with ``metadata/`` and ``targets/``, or evidence."""

    path: Path


@dataclass(frozen=True, slots=True)
class HttpsSourceConfig:
    """Static files on a web server or object store.

    Attributes:
        url: Of the folder, without a slash at its end.
        ca: PEM certificates that replace the system's CAs.
        certificate: The client's chain, PEM, for mutual TLS.
        key: The client's private key, PEM.
        bearer: File with a bearer token; read again for each request.
        proxy: URL of an HTTP proxy, ``environment`` for what the environment names, or None.
    """

    url: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    bearer: Path | None = None
    proxy: str | None = None


SourceConfig = DirectorySourceConfig | HttpsSourceConfig | NatsConfig


def source_config(entry: SourceEntry, folder: Path, place: str) -> SourceConfig:
    """Return the source of one entry.

    Args:
        entry: Of the file.
        folder: What its paths are relative to.
        place: Of the entry in the file, for errors.

    Raises:
        FileError: Not exactly one kind of source, a URL that cannot be used, or an option that the
            kind does not have.
    """
    if (entry.directory is None) == (entry.url is None):
        found = "neither directory nor url" if entry.url is None else "both directory and url"
        raise FileError(f"{place}: has {found}; give exactly one")
    if entry.directory is not None:
        _refuse(entry, (*_TLS, *_HTTPS_ONLY, *_NATS_LOGINS), place, "only a url has it")
        return DirectorySourceConfig(folder / entry.directory)
    assert entry.url is not None
    if (entry.client_certificate is None) != (entry.client_key is None):
        raise FileError(f"{place}: client_certificate and client_key go together; give both")
    if jetstream.is_nats(entry.url):
        return _nats(entry, entry.url, folder, place)
    _refuse(entry, _NATS_LOGINS, place, "only a url of NATS has it")
    return HttpsSourceConfig(
        url=_https(entry.url, place),
        ca=_below(folder, entry.ca),
        certificate=_below(folder, entry.client_certificate),
        key=_below(folder, entry.client_key),
        bearer=_below(folder, entry.bearer_file),
        proxy=None if entry.proxy is None else _proxy(entry.proxy, place),
    )


def _refuse(entry: SourceEntry, names: tuple[str, ...], place: str, why: str) -> None:
    for name in names:
        if getattr(entry, name) is not None:
            raise FileError(f"{place}.{name}: {why}; leave it out")


def _nats(entry: SourceEntry, url: str, folder: Path, place: str) -> NatsConfig:
    _refuse(entry, _HTTPS_ONLY, place, "only a url of HTTPS has it")
    try:
        found = jetstream.parse(url)
    except ValueError as error:
        raise FileError(f"{place}.url: {error}") from error
    if importlib.util.find_spec("nats") is None:
        raise FileError(
            f"{place}.url: {url!r} needs the Python module nats; run "
            "`python -m pip install 'admissibility-sidecar[nats]'` in this environment"
        )
    try:
        return jetstream.checked(
            replace(
                found,
                ca=_below(folder, entry.ca),
                certificate=_below(folder, entry.client_certificate),
                key=_below(folder, entry.client_key),
                credentials=_below(folder, entry.credentials_file),
                nkey=_below(folder, entry.nkey_file),
                user=_below(folder, entry.user_file),
            )
        )
    except ValueError as error:
        raise FileError(f"{place}: {error}") from error


def _below(folder: Path, name: str | None) -> Path | None:
    return None if name is None else folder / name


def _https(url: str, place: str) -> str:
    parts = _split(url)
    if (
        parts is None
        or parts.scheme != "https"
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise FileError(
            f"{place}.url: {url!r} is not https://HOST[:PORT]/PATH without user, query and fragment"
        )
    return url.rstrip("/")


def _proxy(url: str, place: str) -> str:
    if url == ENVIRONMENT:
        return url
    parts = _split(url)
    if parts is None or parts.scheme != "http" or parts.path.strip("/") or parts.query:
        # The URL may hold a password.
        raise FileError(
            f"{place}.proxy: is neither http://[USER:PASSWORD@]HOST:PORT nor {ENVIRONMENT!r}"
        )
    return url


def _split(url: str) -> SplitResult | None:
    """Split a URL of a host; None where it has none, or characters that no URL has."""
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if valid and url.isascii() and url.isprintable() and " " not in url else None
