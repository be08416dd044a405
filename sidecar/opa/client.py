"""Queries OPA: facts in, a verdict of exactly one shape out.

One path, strict built-in errors, no redirect, no proxy from the environment, a capped reply. Any
reply that is not a well-formed verdict with this query's nonce is ``policy_unavailable``: OPA
answers 200 without a result where a rule is undefined.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from sidecar.core import verdict
from sidecar.core.facts import Facts, to_input
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.verdict import MAX_VERDICT_BYTES, Verdict

DECISION = "/v1/data/admission/decision?strict-builtin-errors=true"
HEALTH = "/health"
UNIX = "unix://"
_CONNECT_SECONDS = 1.0
_HEALTH_SECONDS = 1.0


class PolicyEngine(Protocol):
    """Evaluates the policies."""

    def identity(self) -> object | None:
        """Return an object that is another one after each change of the policies.

        ``None`` where a change is not noticed at once, so that no decision may be reused.
        """
        ...

    async def ask(self, facts: Facts) -> Verdict:
        """Return the verdict, or raise ``AdmissibilityError``."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """The address of an OPA, and the policy revision that its verdicts must have.

    ``url`` is ``unix:///path/of/socket`` or ``http://host:port``.
    """

    url: str
    revision: str

    @property
    def socket(self) -> str | None:
        """Return the path of the Unix socket; ``None`` for TCP."""
        return self.url.removeprefix(UNIX) if self.url.startswith(UNIX) else None

    @property
    def base(self) -> str:
        """Return the URL that request paths are appended to."""
        return "http://opa" if self.socket is not None else self.url.rstrip("/")


class Opa:
    """A client with one session; create and close it inside the event loop."""

    def __init__(self, address: Address, *, connections: int) -> None:
        self._address = address
        self._session = aiohttp.ClientSession(
            connector=_connector(address, connections),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    def identity(self) -> None:
        """Return ``None``: the policies of an OPA at an address may change at any time."""

    async def ask(self, facts: Facts) -> Verdict:
        """Query the verdict on ``facts``.

        Raises:
            AdmissibilityError: ``policy_unavailable``.
        """
        body = json.dumps({"input": to_input(facts)}).encode()
        try:
            status, answer = await self._post(body)
        except (aiohttp.ClientError, OSError) as error:
            raise _unavailable(f"no answer ({type(error).__name__})") from error
        if status != 200:
            raise _unavailable(f"it answered {status}")
        return verdict.read(
            answer,
            nonce=facts.nonce,
            revision=self._address.revision,
            jurisdictions=facts.environment.jurisdictions,
        )

    async def healthy(self) -> bool:
        """Return whether OPA's health check passes, with its bundle loaded."""
        try:
            async with self._session.get(
                self._address.base + HEALTH,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=_HEALTH_SECONDS),
            ) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        try:
            return await self._post_once(body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # A pooled connection to an OPA that has restarted. A query changes nothing, so it is
            # sent again once.
            return await self._post_once(body)

    async def _post_once(self, body: bytes) -> tuple[int, bytes]:
        async with self._session.post(
            self._address.base + DECISION,
            data=body,
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
        ) as reply:
            parts = bytearray()
            async for part in reply.content.iter_any():
                parts += part
                if len(parts) > MAX_VERDICT_BYTES:
                    raise _unavailable("the answer is too long")
            return reply.status, bytes(parts)


def _connector(address: Address, connections: int) -> aiohttp.BaseConnector:
    if address.socket is not None:
        return aiohttp.UnixConnector(address.socket, limit=connections)
    return aiohttp.TCPConnector(limit=connections)


def _unavailable(why: str) -> AdmissibilityError:
    return AdmissibilityError(Reason.POLICY_UNAVAILABLE, f"policy engine: {why}")
