"""Reads ``binder.yaml``; an error is one line with file, key and problem."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sidecar.binder.config_file import AccountEntry, BinderFile, DeploymentsEntry, PublishEntry
from sidecar.binder.errors import BinderError
from sidecar.destinations.place_config import PlaceConfig, place_config
from sidecar.destinations.places import PlaceNameError
from sidecar.formats.addresses import split_address
from sidecar.formats.config_file import ConfigFileError, below, read_config


@dataclass(frozen=True, slots=True)
class PublishConfig:
    """See ``PublishEntry``."""

    place: PlaceConfig
    check_seconds: float


@dataclass(frozen=True, slots=True)
class DeploymentsConfig:
    """See ``DeploymentsEntry``."""

    home: Path
    out: Path
    names: tuple[str, ...]
    evidence: tuple[Path, ...]
    subscription: str
    resource_group: str
    resource: str
    endpoint_url: str | None
    validity: timedelta
    check_seconds: float
    publish: PublishConfig | None = None


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """See ``AccountEntry``; ``provider`` is the account's name."""

    provider: str
    api: str
    base_url: str | None
    api_version: str | None
    key_file: Path | None
    key_variable: str | None
    credential_file: Path | None
    region: str | None
    profile: str | None
    endpoint_url: str | None
    s3_endpoint_url: str | None
    poll_seconds: float
    lookback: timedelta
    webhook_secrets: tuple[Path, ...]
    deployments: DeploymentsConfig | None = None

    @property
    def has_jobs(self) -> bool:
        """Return whether there are jobs to bind."""
        return self.api != "ollama"


@dataclass(frozen=True, slots=True)
class WebhooksConfig:
    """See ``WebhooksEntry``; ``certificate`` and ``key`` are both given or both ``None``."""

    host: str
    port: int
    certificate: Path | None
    key: Path | None


@dataclass(frozen=True, slots=True)
class BinderConfig:
    """See ``BinderFile``; paths are resolved against its folder."""

    home: Path
    out: Path
    blobs: Path
    state: Path
    evidence: tuple[Path, ...]
    publish: PublishConfig | None
    submissions: Path | None
    validity: timedelta
    roles: tuple[str, ...]
    classes: tuple[str, ...]
    declarations: dict[str, str]
    accounts: tuple[AccountConfig, ...]
    workers: int
    webhooks: WebhooksConfig | None
    admin: tuple[str, int] | None


def load(path: Path) -> BinderConfig:
    """Read ``binder.yaml``; paths in it are relative to its folder.

    Raises:
        BinderError: On anything wrong with it.
    """
    try:
        return _config(read_config(path, BinderFile), path)
    except ConfigFileError as error:
        raise BinderError(str(error)) from error


def _config(file: BinderFile, path: Path) -> BinderConfig:
    folder = path.parent
    out = folder / file.out
    evidence = tuple(folder / each for each in file.evidence)
    webhooks = file.webhooks
    config = BinderConfig(
        home=folder / file.home,
        out=out,
        blobs=out if file.blobs is None else folder / file.blobs,
        state=folder / file.state,
        evidence=evidence,
        publish=_published(file.publish, path, "publish"),
        submissions=below(folder, file.submissions),
        validity=timedelta(days=file.days),
        roles=tuple(file.require_roles),
        classes=tuple(file.data_classes),
        declarations=dict(file.declarations),
        accounts=tuple(
            _account(name, each, path, out, evidence) for name, each in file.accounts.items()
        ),
        workers=file.workers,
        webhooks=None
        if webhooks is None
        else WebhooksConfig(
            *split_address(webhooks.address),
            below(folder, webhooks.certificate),
            below(folder, webhooks.key),
        ),
        admin=None if file.admin is None else split_address(file.admin),
    )
    _check_places(config, path)
    return config


def _check_places(config: BinderConfig, path: Path) -> None:
    """Refuse a place that is named twice: each publication would undo the other."""
    kept = (each.deployments for each in config.accounts if each.deployments is not None)
    given = (config.publish, *(each.publish for each in kept))
    names = [each.place.name.rstrip("/") for each in given if each is not None]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BinderError(f"{path}: publish: {twice[0]} is named twice; each home has its own")


def _published(entry: PublishEntry | None, path: Path, key: str) -> PublishConfig | None:
    if entry is None:
        return None
    try:
        return PublishConfig(place_config(entry, path.parent), entry.check_seconds)
    except PlaceNameError as error:
        raise BinderError(f"{path}: {key}: {error}") from error


def _account(
    name: str, entry: AccountEntry, path: Path, out: Path, evidence: tuple[Path, ...]
) -> AccountConfig:
    folder, kept = path.parent, entry.deployments
    key = f"accounts.{name}.deployments.publish"
    return AccountConfig(
        provider=name,
        api=entry.api,
        base_url=entry.base_url,
        api_version=entry.api_version,
        key_file=below(folder, entry.key_file),
        key_variable=entry.key_variable,
        credential_file=below(folder, entry.credential_file),
        region=entry.region,
        profile=entry.profile,
        endpoint_url=entry.endpoint_url,
        s3_endpoint_url=entry.s3_endpoint_url,
        poll_seconds=entry.poll_seconds,
        lookback=timedelta(days=entry.lookback_days),
        webhook_secrets=tuple(folder / each for each in entry.webhook_secret_files),
        deployments=None
        if kept is None
        else _kept(kept, folder, out, evidence, _published(kept.publish, path, key)),
    )


def _kept(
    entry: DeploymentsEntry,
    folder: Path,
    out: Path,
    evidence: tuple[Path, ...],
    publish: PublishConfig | None,
) -> DeploymentsConfig:
    return DeploymentsConfig(
        home=folder / entry.home,
        out=out if entry.out is None else folder / entry.out,
        names=tuple(entry.names),
        evidence=evidence,
        subscription=entry.subscription or "",
        resource_group=entry.resource_group or "",
        resource=entry.resource or "",
        endpoint_url=entry.endpoint_url,
        validity=timedelta(hours=entry.hours),
        check_seconds=entry.check_seconds,
        publish=publish,
    )
