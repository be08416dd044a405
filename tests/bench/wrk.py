"""One run of ``wrk``: the load, and what it measured, as one value.

``wrk`` keeps a number of connections busy, each with one call at a time, and is told what to send
by a small script; the same script writes the measurement as JSON when it is done. Times in ``wrk``
are in microseconds.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

MARK = "measured:"
NUMBER = "<number>"
_SPARE_SECONDS = 30.0
_SCRIPT = """\
wrk.method = "POST"
wrk.path = %(path)s
wrk.headers["content-type"] = "application/json"
wrk.headers[%(header)s] = %(credential)s

-- Each body is another one, as in use: nothing may be answered from the bytes of the one before.
local number = 0
local before, after = %(before)s, %(after)s
request = function()
  number = number + 1
  return wrk.format(nil, nil, nil, before .. number .. after)
end

done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '%(mark)s{"requests":%%d,"microseconds":%%d,"p50":%%d,"p99":%%d,' ..
    '"failed":{"connect":%%d,"read":%%d,"write":%%d,"status":%%d,"timeout":%%d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
"""


class VoidError(Exception):
    """A measurement that counts for nothing, and why."""


@dataclass(frozen=True, slots=True)
class Question:
    """What every call sends; in place of ``NUMBER``, the body has the number of the call."""

    path: str
    body: str
    credential_header: str
    credential: str

    def script(self) -> str:
        """The script for ``wrk``. JSON strings of printable ASCII are Lua strings."""
        before, _, after = self.body.partition(NUMBER)
        parts = {
            "path": self.path,
            "before": before,
            "after": after,
            "header": self.credential_header,
            "credential": self.credential,
        }
        if not all(text.isascii() and text.isprintable() for text in parts.values()):
            raise ValueError("only printable ASCII can be put into the script")
        quoted = {name: json.dumps(text) for name, text in parts.items()}
        return _SCRIPT % {**quoted, "mark": MARK}


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement.

    Attributes:
        requests: Calls that were answered.
        per_second: Of them, in each second.
        p50: Median time of a call, milliseconds.
        p99: Time within which 99 of 100 calls were answered, milliseconds.
    """

    requests: int
    per_second: float
    p50: float
    p99: float


def measure(
    url: str, question: Question, *, connections: int, seconds: float, folder: Path
) -> Measured:
    """Send ``question`` over and over, and wait for the end.

    Args:
        url: ``http://host:port``.
        question: What to send.
        connections: How many calls are under way at any time.
        seconds: For how long; whole seconds.
        folder: Where the script is written.

    Raises:
        VoidError: One reply was not a success, or none came, or ``wrk`` failed.
    """
    script = folder / "load.lua"
    script.write_text(question.script(), encoding="ascii")
    script.chmod(0o600)  # it holds a credential
    command = [
        *("wrk", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{seconds:.0f}s", "--timeout", "5s", "--script", str(script), url),
    ]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + _SPARE_SECONDS, check=False
    )
    if ended.returncode != 0:
        raise VoidError(f"wrk ended with {ended.returncode}: {ended.stderr.strip()[-500:]}")
    return read(ended.stdout)


def read(text: str) -> Measured:
    """Read what the script wrote.

    Raises:
        VoidError: It wrote nothing, or something failed: a measurement over errors says nothing.
    """
    told = [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]
    if len(told) != 1:
        raise VoidError(f"wrk told nothing: {text.strip()[-500:]}")
    value = json.loads(told[0])
    failed = {kind: number for kind, number in value["failed"].items() if number}
    if failed:
        raise VoidError(f"of {value['requests']} calls some failed: {failed}")
    if not value["requests"]:
        raise VoidError("not one call was answered")
    return Measured(
        requests=value["requests"],
        per_second=value["requests"] / (value["microseconds"] / 1e6),
        p50=value["p50"] / 1e3,
        p99=value["p99"] / 1e3,
    )
