"""Receives webhooks over HTTP or HTTPS at ``/webhooks/ACCOUNT``.

A webhook is answered once its job is on disk: what was answered with 200 is never lost, and what
was not is sent again, or found by listing. One that comes again is answered with 200 and changes
nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from aiohttp import web

from sidecar.binder.config import WebhooksConfig
from sidecar.binder.errors import BinderError
from sidecar.binder.job_records import JobRecords
from sidecar.binder.metrics import BinderMetrics
from sidecar.binder.webhooks import (
    MAX_BODY_BYTES,
    SUCCEEDED,
    Delivery,
    WebhookError,
    WebhookVerifier,
)
from sidecar.observe.json_lines import event
from sidecar.tls.server import ServerCertificate

log = logging.getLogger("sidecar.binder")

BODY_SECONDS = 10.0
"""How long a request may take to arrive: a slow sender holds one connection, no more."""


class WebhookServer:
    """The server; used inside one event loop.

    Args:
        config: Where to listen.
        verifiers: Account → what verifies its webhooks.
        state: Remembers deliveries.
        enqueue: Called with account and job, on a thread; returns once the job is on disk.
        metrics: Counts webhooks.
    """

    def __init__(
        self,
        config: WebhooksConfig,
        verifiers: Mapping[str, WebhookVerifier],
        state: JobRecords,
        enqueue: Callable[[str, str], bool],
        metrics: BinderMetrics,
    ) -> None:
        self._config = config
        self._verifiers = verifiers
        self._state = state
        self._enqueue = enqueue
        self._metrics = metrics
        self._following: asyncio.Task[None] | None = None
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes([web.post("/webhooks/{account}", self._post)])
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> int:
        """Listen; return the port.

        Raises:
            OSError: The address cannot be used, or a certificate or key cannot be read.
        """
        context = None
        if self._config.certificate is not None and self._config.key is not None:
            pair = ServerCertificate(self._config.certificate, self._config.key)
            context = pair.context()
            self._following = asyncio.create_task(pair.follow(context))
        await self._runner.setup()
        config = self._config
        await web.TCPSite(self._runner, config.host, config.port, ssl_context=context).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Answer what has arrived, and stop listening."""
        if self._following is not None:
            self._following.cancel()
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        verifier = self._verifiers.get(account)
        if verifier is None:
            return _answer(404, "no account of this name receives webhooks")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.read()
            headers = {name.lower(): request.headers.getall(name) for name in request.headers}
            delivery = verifier.verified(body, headers)
            text = await asyncio.to_thread(self._take, account, delivery)
        except TimeoutError:
            return self._refused(account, 408, "the body did not arrive in time")
        except web.HTTPRequestEntityTooLarge:
            return self._refused(account, 413, f"is larger than {MAX_BODY_BYTES} bytes")
        except WebhookError as error:
            return self._refused(account, error.status, str(error))
        except (BinderError, OSError) as error:
            # Answer an error, so that the sender retries, without details of this machine.
            log.warning("a webhook of %s cannot be taken: %s", account, error)
            self._metrics.webhook(account, "failed")
            return _answer(503, "cannot be taken now; send it again")
        self._metrics.webhook(account, text)
        return _answer(200, text)

    def _take(self, account: str, delivery: Delivery) -> str:
        """Put the job on disk, then the delivery: a crash between them repeats what is harmless."""
        if self._state.has_webhook(f"{account} {delivery.id}"):
            return "known"
        text = "ignored"
        if delivery.job is not None:
            log.info(
                "webhook: job %s of %s: %s",
                delivery.job,
                account,
                delivery.kind,
                extra=event("webhook", provider=account, job=delivery.job, kind=delivery.kind),
            )
            if delivery.kind == SUCCEEDED:
                self._enqueue(account, delivery.job)
                text = "taken"
        self._state.take_webhook(f"{account} {delivery.id}")
        return text

    def _refused(self, account: str, status: int, message: str) -> web.Response:
        log.warning(
            "a webhook of %s is refused with %d: %s",
            account,
            status,
            message,
            extra=event("webhook_refused", provider=account, status=status, reason=message),
        )
        self._metrics.webhook(account, "refused")
        return _answer(status, message)


def _answer(status: int, message: str) -> web.Response:
    if status == 200:
        return web.json_response({"status": message})
    return web.json_response({"error": {"message": message}}, status=status)
