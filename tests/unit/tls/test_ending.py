"""A relay or binder whose certificate ends says so in its own log, before and after, once each."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.core.window import rfc3339
from sidecar.tls import server
from sidecar.tls.server import ServerCertificate
from tests.support.https_server import certificate
from tests.support.simulator.svid import Issuer, pem


def test_a_certificate_that_ends_is_logged_once_before_and_once_after(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    issuer, cas = Issuer(), tmp_path / "clients.pem"
    cas.write_text(pem(issuer.root(now - timedelta(days=400))))
    chain = certificate(tmp_path, issuer, "server.pem", now - timedelta(minutes=50))
    monkeypatch.setattr(server, "RELOAD_SECONDS", 0.001)

    async def follow() -> None:
        pair = ServerCertificate(chain, chain, cas)
        task = asyncio.create_task(pair.follow(ssl.create_default_context()))

        async def logged(count: int) -> None:
            for _ in range(20_000):
                if len(caplog.messages) >= count:
                    return
                await asyncio.sleep(0.001)

        await logged(2)
        certificate(tmp_path, issuer, "new.pem", now - timedelta(hours=2)).replace(chain)
        await logged(3)
        certificate(tmp_path, issuer, "new.pem", now).replace(chain)
        cas.write_text(pem(issuer.root(now)))
        await asyncio.sleep(0.05)
        task.cancel()

    asyncio.run(asyncio.wait_for(follow(), 60))
    renew = "put a renewed one in its place"
    refused = f"clients refuse this server; {renew}"
    assert caplog.messages == [
        f"{chain} ends at {rfc3339(now + timedelta(minutes=10))}: then {refused}",
        f"{cas} ended at {rfc3339(now - timedelta(days=35))}: "
        f"this server refuses every client; {renew}, and restart",
        f"{chain} ended at {rfc3339(now - timedelta(hours=1))}: {refused}",
    ]
