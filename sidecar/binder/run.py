"""The binder's composition root: workers, webhooks and admin endpoint, until a signal."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from sidecar.authority import home as authority
from sidecar.authority.open_home import Home
from sidecar.binder.accounts import open_deployments, open_source
from sidecar.binder.binder import Binder, BindingSettings
from sidecar.binder.config import AccountConfig, BinderConfig
from sidecar.binder.deployments import DeploymentKeeper, KeeperSettings
from sidecar.binder.errors import BinderError
from sidecar.binder.job_records import JobRecords
from sidecar.binder.kept_source import KeptSource
from sidecar.binder.metrics import BinderMetrics
from sidecar.binder.publishing import HomePublisher
from sidecar.binder.rounds import Rounds, RoundStatus
from sidecar.binder.service import BinderService
from sidecar.binder.webhook_server import WebhookServer
from sidecar.binding.deployments import DeploymentSource
from sidecar.daemon.admin import AdminServer
from sidecar.daemon.lifetime import run_until_signal

log = logging.getLogger("sidecar.binder")

STOP_SECONDS = 20.0
"""How long work at hand may take after a signal; what is not done then is done by the next one."""

PUBLISH_SECONDS = 10.0
"""How long each publication may take after that."""

FORGET_SECONDS = 3600.0

RETRY_SECONDS = 10.0
"""How soon what could not be published is tried again."""


class RunningBinder:
    """A binder from ``start`` to ``stop``; used inside one event loop.

    Args:
        config: From ``config.load``.

    Raises:
        BinderError: The home cannot be used, an extra is missing, or a credential is.
        AuthorityError: The home cannot be read.
        SourceError: An account cannot be reached as it is configured.
    """

    def __init__(self, config: BinderConfig) -> None:
        self._config = config
        with_jobs = tuple(each for each in config.accounts if each.has_jobs)
        for account in with_jobs:
            open_source(account).close()  # names what is wrong at the start; asks nothing
        self._state = JobRecords(config.state)
        self._metrics = BinderMetrics(with_jobs)
        binder = Binder(_settings(config), self._state, _now)
        self._keepers = [_keeper(each, config, binder.settings.home) for each in config.accounts]
        self._kept = [
            Rounds(
                "deployments",
                account.provider,
                account.deployments.check_seconds,
                partial(self._keep, keeper, source),
                source.close,
            )
            for account, keeper in zip(config.accounts, self._keepers, strict=True)
            if keeper is not None and account.deployments is not None
            for source in (KeptSource(partial(open_deployments, account, account.deployments)),)
        ]
        self._published = _publications(config, binder.settings.home, self._keepers)
        self.service = BinderService(
            binder, with_jobs, config.workers, open_source, _now, self._metrics, self._publish
        )
        self._metrics.follow(self.statuses)
        self._webhooks: WebhookServer | None = None
        self._admin = AdminServer(self._health, self._ready, self._metrics.render)
        self._forgetting: asyncio.Task[None] | None = None
        self.port = 0
        self.admin_port = 0

    def statuses(self) -> list[RoundStatus]:
        """Return how each repeated work goes."""
        return [each.status for each in (*self.service.rounds, *self._kept, *self._published)]

    async def start(self) -> None:
        """Listen and begin; returns once it listens.

        Raises:
            BinderError: An address, certificate or key cannot be used.
        """
        try:
            await self._start_webhooks()
            if self._config.admin is not None:
                self.admin_port = await self._admin.start(*self._config.admin)
        except OSError as error:
            await self.stop()
            raise BinderError(f"cannot listen: {error.strerror or error}") from error
        self.service.start()
        for each in (*self._kept, *self._published):
            each.start()
        self._forgetting = asyncio.create_task(self._forget())

    async def stop(self) -> None:
        """Take nothing new, end what is at hand, and stop listening."""
        self.service.request_stop()
        for each in self._kept:
            each.request_stop()
        if self._forgetting is not None:
            self._forgetting.cancel()
        if self._webhooks is not None:
            await self._webhooks.stop()
        if not await asyncio.to_thread(self._join):
            log.error("work at hand did not end; the next binder does it again")
        await self._admin.stop()

    def _join(self) -> bool:
        end = time.monotonic() + STOP_SECONDS
        ended = [each.join(max(0.0, end - time.monotonic())) for each in self._kept]
        ended.append(self.service.join(max(0.0, end - time.monotonic())))
        for each in self._published:  # publish what was bound last, too
            each.request_stop()
        ended += [each.join(PUBLISH_SECONDS) for each in self._published]
        return all(ended)

    def _publish(self) -> None:
        for each in self._published:
            each.wake()

    def _keep(self, keeper: DeploymentKeeper, kept: KeptSource[DeploymentSource]) -> None:
        """Keep the deployments of an account for one round."""
        try:
            with kept.asked() as source:
                keeper.round(source)
        finally:
            self._publish()

    def summary(self) -> str:
        """Return what is bound and where the binder listens, in one line."""
        names = ", ".join(each.provider for each in self._config.accounts)
        parts = [f"binder: binds jobs of {names} into {self._config.out}"]
        webhooks = self._config.webhooks
        if webhooks is not None:
            scheme = "http" if webhooks.certificate is None else "https"
            parts.append(f"webhooks on {scheme}://{webhooks.host}:{self.port}")
        if self._config.admin is not None:
            parts.append(f"admin on http://{self._config.admin[0]}:{self.admin_port}")
        return ", ".join(parts)

    async def _start_webhooks(self) -> None:
        config = self._config.webhooks
        if config is None:
            return
        from sidecar.binder.webhooks import WebhookVerifier  # noqa: PLC0415 - an optional extra

        verifiers = {
            each.provider: WebhookVerifier(each.webhook_secrets)
            for each in self._config.accounts
            if each.webhook_secrets
        }
        for each in verifiers.values():
            each.check()
        self._webhooks = WebhookServer(
            config, verifiers, self._state, self.service.enqueue, self._metrics
        )
        self.port = await self._webhooks.start()

    async def _forget(self) -> None:
        while True:
            await asyncio.to_thread(self._state.forget_webhooks)
            await asyncio.sleep(FORGET_SECONDS)

    def _health(self) -> tuple[bool, dict[str, object]]:
        """Return whether every thread runs, and the state of each account."""
        deployments = [
            {"name": kept.name, "model": kept.model, "reason": kept.reason or None}
            for keeper in self._keepers
            if keeper is not None
            for kept in keeper.kept
        ]
        rounds = [_plain(each) for each in self.statuses()]
        state = {**self.service.state(), "rounds": rounds, "deployments": deployments}
        others = all(each.is_alive() for each in (*self._kept, *self._published))
        return self.service.is_alive() and others, state

    def _ready(self) -> bool:
        """Return whether everything was read, well or not."""
        return all(each.done for each in self.statuses())


def run(config: BinderConfig, started: Callable[[RunningBinder], None] = lambda _: None) -> None:
    """Run a binder until SIGTERM or SIGINT.

    Args:
        config: From ``config.load``.
        started: Called once it listens.

    Raises:
        BinderError: Something that it names cannot be used.
    """
    run_until_signal(lambda: RunningBinder(config), started)


def _now() -> datetime:
    return datetime.now(UTC)


def _settings(config: BinderConfig) -> BindingSettings:
    for folder in config.evidence:
        if not folder.is_dir():
            raise BinderError(f"evidence: {folder} is not a folder")
    return BindingSettings(
        home=authority.load(config.home),
        out=config.out,
        blobs=config.blobs,
        evidence=config.evidence,
        submissions=config.submissions,
        validity=config.validity,
        roles=config.roles,
        classes=config.classes,
        declarations=config.declarations,
    )


def _keeper(
    account: AccountConfig, config: BinderConfig, producer: Home
) -> DeploymentKeeper | None:
    """Return what keeps an account's deployments bound; ``None`` if nothing is to be."""
    kept = account.deployments
    if kept is None:
        return None
    open_deployments(account, kept).close()  # names what is wrong at the start; asks nothing
    settings = KeeperSettings(
        authority.load(kept.home), kept.out, config.evidence, producer, kept.validity
    )
    return DeploymentKeeper(settings, _now)


def _publications(
    config: BinderConfig, home: Home, keepers: list[DeploymentKeeper | None]
) -> list[Rounds]:
    """Return what publishes each home that is to be published."""
    given = [(home, config.out, config.publish)]
    for account, keeper in zip(config.accounts, keepers, strict=True):
        kept = account.deployments
        if kept is not None and keeper is not None:
            given.append((keeper.home, kept.out, kept.publish))
    return [
        Rounds(
            "publication",
            each.name,
            to.check_seconds,
            HomePublisher(each, out, to.place, _now).round,
            retry=RETRY_SECONDS,
        )
        for each, out, to in given
        if to is not None
    ]


def _plain(status: RoundStatus) -> dict[str, object]:
    age = status.age()
    return {
        "provider": status.provider,
        "what": status.what,
        "age_seconds": None if age is None else round(age, 3),
        "problem": status.problem or None,
    }
