"""Speaking to a gateway byte for byte, and seeing both what came back and what went upstream.

A refusal is only half of what has to hold: the other half is that nothing reached the provider. So
every exchange is followed by a probe, an admitted call with a number of its own; what the upstream
got between the two is what the exchange let through. The probe also shows that the gateway still
works, so that no refusal is one because everything is refused.
"""

from __future__ import annotations

import itertools
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from admissibility_devtools.demo.caller import CREDENTIAL_HEADER
from admissibility_devtools.demo.upstream import ReceivedRequest, StandInUpstream
from tests.support.site.envoy import Answer, exchange, request_bytes

T = TypeVar("T")

CHAT = "/v1/chat/completions"
JSON_TYPE = ("Content-Type", "application/json")
PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.02
_NUMBERS = itertools.count()

Lines = list[tuple[str, str]]
Verdict = tuple[int, str]
"""Status, and the reason code; ``admitted``, or empty where Envoy itself answered."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One exchange: what the client was told, and every request that reached the upstream.

    ``id`` finds the decision in the log; it is another one each time, so it is not compared.
    """

    verdict: Verdict
    reached: tuple[ReceivedRequest, ...]
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Talk:
    """A gateway's port with everything a well-formed call needs.

    Attributes:
        port: Of Envoy's listener.
        upstream: What stands in for the provider behind it.
        model: An admitted model, for probes.
        credential: The header line with a JWT-SVID; none over mTLS.
        tls: For a listener with TLS.
    """

    port: int
    upstream: StandInUpstream
    model: str
    credential: Lines = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    @property
    def lines(self) -> Lines:
        """The header lines of an ordinary call."""
        return [*self.credential, JSON_TYPE]

    def raw(self, request: bytes) -> Answer:
        """Send bytes as they are."""
        return exchange(self.port, request, self.tls)

    def call(
        self,
        body: bytes | None = None,
        *,
        method: str = "POST",
        target: str = CHAT,
        lines: Lines | None = None,
    ) -> Answer:
        """Send one request: an ordinary one, but for what is given."""
        content = self.body() if body is None else body
        headers = self.lines if lines is None else lines
        return self.raw(request_bytes(method, target, headers, content))

    def body(self, **changes: object) -> bytes:
        """The body of an ordinary call, with changes."""
        messages = [{"role": "user", "content": "hello"}]
        return json.dumps({"model": self.model, "messages": messages, **changes}).encode()

    def verdict(self) -> Verdict:
        """What an ordinary call is told."""
        return told(self.call())

    def forwarded(self, body: bytes) -> ReceivedRequest:
        """An ordinary call with this body as it reaches the upstream, its headers by name."""
        headers = (
            ("authorization", f"Bearer {self.upstream.api_key}"),
            ("content-length", str(len(body))),
            ("content-type", "application/json"),
            ("host", "gateway.example"),
        )
        return ReceivedRequest("POST", CHAT, headers, body)

    def seen(self, exchanged: Callable[[], Answer]) -> Seen:
        """Exchange something, then probe."""
        mark = len(self.upstream.received)
        answer = exchanged()
        probe = self.body(user=f"probe-{next(_NUMBERS)}")
        assert told(self.call(probe)) == (200, "admitted")
        *reached, last = self.upstream.received[mark:]
        assert last.body == probe
        return Seen(told(answer), tuple(reached), decision_id(answer))


def with_sorted_headers(received: ReceivedRequest) -> ReceivedRequest:
    """A received request whose headers are in order of their names."""
    return replace(received, headers=tuple(sorted(received.headers)))


def told(answer: Answer) -> Verdict:
    """What an answer says; the gate's own answers must say the same in head and body."""
    reason = answer.headers.get("x-admissibility-reason")
    identified = "x-admissibility-decision-id" in answer.headers
    if reason is None:
        return answer.status, "admitted" if identified else ""
    assert identified
    assert json.loads(answer.body)["error"]["code"] == reason
    return answer.status, reason


def decision_id(answer: Answer) -> str:
    """Of the gate's decision; empty where it made none."""
    return answer.headers.get("x-admissibility-decision-id", "")


def message(answer: Answer) -> str:
    """The sentence a denial shows to a person."""
    return str(json.loads(answer.body)["error"]["message"])


def credential_line(token: str) -> Lines:
    """The header line that carries a JWT-SVID."""
    return [(CREDENTIAL_HEADER, token)]


def until(ask: Callable[[], T], expected: T) -> T:
    """Ask until the answer is ``expected`` or patience ends; the caller compares the last one.

    For what changes in another process, which tells nobody: the gate's trust state, a log file.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    answer = ask()
    while answer != expected and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        answer = ask()
    return answer


def chunked(talk: Talk, body: bytes) -> bytes:
    """An ordinary call with its body in two chunks, and no length."""
    half = len(body) // 2
    parts = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:half], body[half:], b""))
    return head(talk, "POST", CHAT, [("Transfer-Encoding", "chunked")]) + parts


def head(talk: Talk, method: str, target: str, lines: Lines) -> bytes:
    """A request's head with an ordinary call's headers; closes, where nothing else is asked for."""
    found = [("Host", "gateway.example"), *talk.lines, *lines]
    if "Connection" not in dict(lines):
        found.append(("Connection", "close"))
    text = "".join(f"{name}: {value}\r\n" for name, value in found)
    return f"{method} {target} HTTP/1.1\r\n{text}\r\n".encode("latin-1")
