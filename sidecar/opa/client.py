"""Queries OPA: facts in, a verdict of exactly one shape out.

Theory of operation. A query is sent at once while fewer than ``connections`` are under way; what
comes then waits, in order, for the first that ends. Questions that wait together go out together
where the policies have the entry point for several (``ask_several``), up to ``MAX_TOGETHER``; and
equal questions, which differ in time and nonce alone, are one question: it has the time of the
newest. Where several callers were seen, a question waits a few milliseconds for theirs
(``gathering``). So a call that waits is never answered by an evaluation that began before it
asked, and nothing is kept.

Each question has a nonce of its own, by which its answer is found; a question without a well-formed
answer is denied, and no other because of it: where a response to several as a whole cannot be read,
or OPA reports an error, each is asked by itself.

Two paths, strict built-in errors, no redirect, no proxy from the environment, a capped reply. Any
reply that is not a well-formed verdict with this query's nonce is ``policy_unavailable``: OPA
answers 200 without a result where a rule is undefined.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from sidecar.core import verdict
from sidecar.core.facts import Facts
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.verdict import MAX_ANSWER_BYTES, Verdict
from sidecar.opa.connection import Connection, connect
from sidecar.opa.gathering import GATHER_SECONDS, Gathering
from sidecar.opa.http_response import Response, ResponseError
from sidecar.opa.question import FactsWriter, one, several, whole

log = logging.getLogger("sidecar.opa.client")

DECISION = "/v1/data/admission/decision?strict-builtin-errors=true"
DECISIONS = "/v1/data/admission/batch/decisions?strict-builtin-errors=true"
HEALTH = "/health"
UNIX = "unix://"
QUERIES = max(1, (os.cpu_count() or 1) - 1)
"""Most queries of a managed OPA under way: it evaluates each on one core, and one is the gate's."""
MAX_TOGETHER = 16
"""Most questions of one query: OPA evaluates them one after the other."""
MAX_TOGETHER_CHARS = 1 << 20
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
    def host(self) -> tuple[str, int]:
        """Return host and port; those of the ``Host`` field where it is a socket."""
        if self.socket is not None:
            return "opa", 80
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80


@dataclass(slots=True, eq=False)
class _Question:
    """One question to the policies, and the calls that wait for its answer."""

    stem: str
    facts: Facts
    waiters: list[asyncio.Future[Verdict]] = field(default_factory=list)
    asked_by: asyncio.Task[None] | None = None
    beside: Sequence[_Question] = ()

    @property
    def abandoned(self) -> bool:
        """Return whether no call waits for it any more."""
        return all(waiter.done() for waiter in self.waiters)

    def text(self) -> str:
        """Return the facts as JSON."""
        return whole(self.stem, self.facts.now, self.facts.nonce)

    def settle(self, answer: Verdict | AdmissibilityError) -> None:
        """Give the answer to every waiting call."""
        for waiter in self.waiters:
            if waiter.done():
                continue
            if isinstance(answer, Verdict):
                waiter.set_result(answer)
            else:
                waiter.set_exception(AdmissibilityError(answer.reason, answer.message))


class Opa:
    """A client of one OPA; create, use and close it inside one event loop.

    Args:
        address: Where it listens.
        connections: The most queries under way, each on a connection of its own.
        gather_seconds: Longest wait for other callers' questions.
    """

    def __init__(
        self, address: Address, *, connections: int, gather_seconds: float = GATHER_SECONDS
    ) -> None:
        self._address = address
        self._most = connections
        self._together = 1
        self._writer = FactsWriter()
        self._waiting: dict[str, _Question] = {}
        self._queries: set[asyncio.Task[None]] = set()
        self._idle: list[Connection] = []
        self._gathering = Gathering(gather_seconds)
        self._callers = 0  # with waiting questions
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def identity(self) -> None:
        """Return ``None``: the policies of an OPA at an address may change at any time."""

    async def ask(self, facts: Facts) -> Verdict:
        """Query the verdict on ``facts``.

        Raises:
            AdmissibilityError: ``policy_unavailable``.
        """
        if self._closed:
            raise _unavailable("the client is closed")
        stem = self._writer.stem(facts)
        question = self._waiting.get(stem)
        if question is None:
            question = self._waiting[stem] = _Question(stem, facts)
        elif datetime.fromisoformat(question.facts.now) <= datetime.fromisoformat(facts.now):
            question.facts = facts
        waiter: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        question.waiters.append(waiter)
        self._callers += 1
        self._send()
        try:
            return await waiter
        except asyncio.CancelledError:
            # A query that nobody waits for would keep others from being sent.
            if question.asked_by is not None and all(each.abandoned for each in question.beside):
                question.asked_by.cancel()
            raise

    async def ask_several(self) -> bool:
        """Find out whether the policies answer several questions at once; they do from then on."""
        try:
            response = await self._exchange(_request(self._address, DECISIONS, several(())))
            known = response.status == 200 and json.loads(response.body) == {"result": {}}
        except (OSError, ResponseError, ValueError):
            return False
        self._together = MAX_TOGETHER if known else 1
        return known

    async def healthy(self) -> bool:
        """Return whether OPA's health check passes, with its bundle loaded."""
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                return (await self._exchange(_request(self._address, HEALTH, None))).status == 200
        except (OSError, ResponseError):
            return False

    async def close(self) -> None:
        """Close every connection; exchanges in flight fail."""
        self._closed = True
        self._wait_for_none()
        for query in self._queries:
            query.cancel()
        await asyncio.gather(*self._queries, return_exceptions=True)
        while self._waiting:
            self._waiting.popitem()[1].settle(_unavailable("the client is closed"))
        while self._idle:
            self._idle.pop().close()

    def _send(self) -> None:
        """Send waiting questions, up to the limit in flight, unless more are to gather first."""
        while self._waiting and len(self._queries) < self._most and not self._closed:
            if self._gathers():
                return
            questions = self._next()
            if questions:
                query = asyncio.create_task(self._query(questions), name="opa-query")
                self._queries.add(query)
                query.add_done_callback(functools.partial(self._ended, questions))
                for each in questions:
                    each.asked_by, each.beside = query, questions

    def _gathers(self) -> bool:
        """Return whether to wait for more questions; ``_send`` is called again when that ends."""
        if self._together == 1:
            return False
        loop = asyncio.get_running_loop()
        until = self._gathering.until(self._callers, loop.time())
        if until is None:
            self._wait_for_none()
            return False
        if self._timer is None:
            self._timer = loop.call_at(until, self._gathered)
        return True

    def _gathered(self) -> None:
        self._timer = None
        self._send()

    def _wait_for_none(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _next(self) -> list[_Question]:
        """Take the questions that waited longest, without the abandoned ones."""
        taken: list[_Question] = []
        size = 0
        while self._waiting and len(taken) < self._together and size < MAX_TOGETHER_CHARS:
            question = self._waiting.pop(next(iter(self._waiting)))
            self._callers -= len(question.waiters)
            if not question.abandoned:
                taken.append(question)
                size += len(question.stem)
        return taken

    def _ended(self, questions: Sequence[_Question], query: asyncio.Task[None]) -> None:
        self._queries.discard(query)
        answered = sum(len(each.waiters) for each in questions)
        self._gathering.ended(answered + self._callers, asyncio.get_running_loop().time())
        self._send()

    async def _query(self, questions: Sequence[_Question]) -> None:
        """Ask, and settle every question, whatever happens."""
        try:
            if len(questions) == 1 or not await self._together_answered(questions):
                for question in questions:
                    await self._alone(question)
        except AdmissibilityError as error:
            _settle(questions, error)
        except Exception:
            log.exception("the policies could not be asked")
            _settle(questions, AdmissibilityError(Reason.INTERNAL_ERROR, "the gate failed"))
        finally:
            _settle(questions, _unavailable("the query was given up"))

    async def _together_answered(self, questions: Sequence[_Question]) -> bool:
        """Ask several at once; return False if each has to be asked by itself."""
        asked = {each.facts.nonce: each.facts.environment.jurisdictions for each in questions}
        pairs = [(each.facts.nonce, each.text()) for each in questions]
        response = await self._sent(_request(self._address, DECISIONS, several(pairs)))
        if response.status != 200 or len(asked) < len(questions):
            return False
        revision = self._address.revision
        try:
            found = verdict.read_several(response.body, asked=asked, revision=revision)
        except AdmissibilityError:
            return False
        for question in questions:
            question.settle(found[question.facts.nonce])
        return True

    async def _alone(self, question: _Question) -> None:
        if question.abandoned:
            return
        try:
            response = await self._sent(_request(self._address, DECISION, one(question.text())))
            if response.status != 200:
                raise _unavailable(f"it answered {response.status}")
            found = verdict.read(
                response.body,
                nonce=question.facts.nonce,
                revision=self._address.revision,
                jurisdictions=question.facts.environment.jurisdictions,
            )
        except AdmissibilityError as error:
            question.settle(error)
        else:
            question.settle(found)

    async def _sent(self, request: bytes) -> Response:
        try:
            return await self._exchange(request)
        except ResponseError as error:
            raise _unavailable(f"the answer cannot be read: {error}") from error
        except OSError as error:
            raise _unavailable(f"no answer ({type(error).__name__})") from error

    async def _exchange(self, request: bytes) -> Response:
        try:
            return await self._exchange_once(request)
        except ConnectionError:
            # A kept connection to an OPA that has restarted. A query changes nothing, so it is sent
            # again once.
            return await self._exchange_once(request)

    async def _exchange_once(self, request: bytes) -> Response:
        connection = await self._connection()
        response = await connection.exchange(request)
        if connection.usable and not self._closed:
            self._idle.append(connection)
        return response

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return await connect(self._address.socket, *self._address.host, MAX_ANSWER_BYTES)


def _settle(questions: Sequence[_Question], error: AdmissibilityError) -> None:
    for question in questions:
        question.settle(error)


def _request(address: Address, path: str, body: bytes | None) -> bytes:
    """Return the bytes of a request."""
    host, port = address.host
    bracketed = f"[{host}]" if ":" in host else host
    name = host if address.socket is not None else f"{bracketed}:{port}"
    if body is None:
        return f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {name}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _unavailable(why: str) -> AdmissibilityError:
    return AdmissibilityError(Reason.POLICY_UNAVAILABLE, f"policy engine: {why}")
