"""What passes beside the small calls: the largest bodies, batch files and other uploads.

Uploads all have one size, so that what is read of them is all they differ in.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bench.stand import FILES_PATH
from tests.bench.wrk import Question, VoidError

LARGEST_BODY = 20 << 20
UPLOAD = 64 << 20
BODIES_PER_SECOND = 3.5
"""Just below what the reference configuration lets in of the largest bodies."""

SHORT_LINES = 50_000
"""As many as a batch file may have."""

LONG_LINES = 65
"""As few as it may have at this size: each is nearly a mebibyte, the longest that is read."""

_BOUNDARY = "0123456789abcdef"
_FORM = f"multipart/form-data; boundary={_BOUNDARY}"


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of large request.

    Attributes:
        name: In the table.
        path: Where it is posted.
        content_type: Of its body.
        body: Always the same.
        per_second: How many are begun in a second at most; null for one after the other.
    """

    name: str
    path: str
    content_type: str
    body: bytes = field(repr=False)
    per_second: float | None = None


def loads(small: Question) -> tuple[Load, ...]:
    """Everything that is measured beside ``small``, whose model is admitted."""
    call, short = json.loads(small.body), _lines(small, SHORT_LINES)
    return (
        Load(
            "bodies of 20 MiB",
            small.path,
            "application/json",
            _padded(call, LARGEST_BODY),
            BODIES_PER_SECOND,
        ),
        _upload(f"batch files of {SHORT_LINES:,} lines", "batch", short),
        _upload(f"batch files of {LONG_LINES} lines", "batch", _lines(small, LONG_LINES)),
        _upload("uploads that are not read", "fine-tune", short),
    )


def refused(small: Question) -> Load:
    """A batch file whose last line calls a model that nobody bound."""
    call = {**json.loads(small.body), "model": "ft:of-nobody"}
    unbound = Question(small.path, json.dumps(call), small.credential_header, small.credential)
    content = _lines(small, LONG_LINES) + _lines(unbound, 1, 1 << 10)
    return _upload("a batch file that is refused", "batch", content)


def _upload(name: str, purpose: str, content: bytes) -> Load:
    begin, disposition = f"--{_BOUNDARY}\r\n", "Content-Disposition: form-data; name="
    head = (
        f'{begin}{disposition}"purpose"\r\n\r\n{purpose}\r\n'
        f'{begin}{disposition}"file"; filename="lines.jsonl"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    end = f"\r\n--{_BOUNDARY}--\r\n"
    return Load(name, FILES_PATH, _FORM, head.encode() + content + end.encode())


def _lines(small: Question, number: int, size: int = UPLOAD) -> bytes:
    """So many lines, in so many bytes, each with the call of ``small``."""
    number_of = f"line-{{:0{len(str(number))}}}".format  # of one length, so that all lines are
    value = {"method": "POST", "url": small.path, "body": json.loads(small.body)}
    first = _padded({"custom_id": number_of(0), **value}, size // number - 1) + b"\n"
    before, after = first.split(number_of(0).encode(), 1)
    return b"".join(before + number_of(line).encode() + after for line in range(number))


def _padded(value: dict[str, object], size: int) -> bytes:
    """As JSON of exactly this length; what is too short gets a ``user`` in its call."""
    inner = value.get("body", value)
    assert isinstance(inner, dict)
    spare = size - len(json.dumps(_with_user(value, "")))
    assert spare >= 0
    return json.dumps(_with_user(value, "x" * spare)).encode("ascii")


def _with_user(value: dict[str, object], user: str) -> dict[str, object]:
    call = value.get("body")
    if isinstance(call, dict):
        return {**value, "body": {**call, "user": user}}
    return {**value, "user": user}


@dataclass
class Senders:
    """Clients that send one load until they are stopped.

    Attributes:
        port: Of Envoy.
        credential: The header's name and its value.
        load: What they send.
        clients: How many.
        passed: Bodies that were answered with 200.
        seconds: How long it took all in all, to the last answer.
        late: Bodies for which the gate had not time enough.
        wrong: What else happened; it voids the run.
    """

    port: int
    credential: tuple[str, str]
    load: Load
    clients: int
    passed: int = 0
    seconds: float = 0.0
    late: int = 0
    wrong: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Send for as long as the context lasts.

        Raises:
            VoidError: Something but an answer in time, or a denial for want of time.
        """
        began = time.monotonic()
        threads = [threading.Thread(target=self._run) for _ in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()
            self.seconds = time.monotonic() - began
        if self.wrong:
            raise VoidError(f"{self.load.name}: {self.wrong[0]}")

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            with contextlib.closing(connection):
                while not self.stopped.is_set() and not self.wrong:
                    self._once(connection)
        except (OSError, http.client.HTTPException) as error:
            self.wrong.append(repr(error))

    def _once(self, connection: http.client.HTTPConnection) -> None:
        began = time.monotonic()
        status, text = posted(connection, self.load, self.credential)
        if status == http.client.OK:
            self.passed += 1
        elif "deadline_exceeded" in text:
            self.late += 1
        else:
            self.wrong.append(f"{status} {text[:300]}")
        if self.load.per_second is not None:
            pause = began + self.clients / self.load.per_second - time.monotonic()
            self.stopped.wait(max(0.0, pause))


def posted(
    connection: http.client.HTTPConnection, load: Load, credential: tuple[str, str]
) -> tuple[int, str]:
    """Send it once; status and text of the answer."""
    name, value = credential
    headers = {"content-type": load.content_type, name: value}
    connection.request("POST", load.path, load.body, headers)
    reply = connection.getresponse()
    return reply.status, reply.read().decode("utf-8", errors="replace")
