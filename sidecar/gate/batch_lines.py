"""The lines of a batch file (JSON Lines): each is a request, and is read like one.

A line that some reader would cut in two is refused: ``str.splitlines`` and text files with
universal newlines also end a line at a lone carriage return and at U+0085, U+2028 and U+2029, and
what stands between two of those could be a request that nobody looked at.
"""

from __future__ import annotations

import json
from typing import Any

from sidecar.core import strict_json
from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate.doors import APIS
from sidecar.gate.extract import extract
from sidecar.gate.http_request import HttpRequest

MAX_LINE_BYTES = 1 << 20
MAX_LINES = 50_000
MAX_DIFFERENT = 64
"""How many calls that differ in anything but their content a file may hold."""

_KEYS = frozenset({"custom_id", "method", "url", "body"})
_EMPTY = frozenset({b"", b"\r"})
_LINE_ENDS = (b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9")


class Lines:
    """Reads a file as it comes; keeps at most one line of it.

    Args:
        provider: Whose manifests name the models.
        api: Which table of operations the upstream has.

    Attributes:
        calls: Every different call, with the number (from 1) of the first line that makes it.
    """

    def __init__(self, provider: str, api: str) -> None:
        self.calls: dict[Call, int] = {}
        self._provider = provider
        self._api = api
        self._rest = b""
        self._number = 0

    def feed(self, data: bytes) -> None:
        """Read on.

        Args:
            data: The next bytes; cut anywhere.

        Raises:
            AdmissibilityError: A line is refused; the message says which.
        """
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._line(line)
        if len(self._rest) > MAX_LINE_BYTES:
            raise self._long()

    def close(self) -> None:
        """Read what stands after the last line end.

        Raises:
            AdmissibilityError: It is refused, or there was no line at all.
        """
        if self._rest:
            self._line(self._rest)
        if not self.calls:
            raise AdmissibilityError(Reason.MALFORMED_REQUEST, "the batch file has no lines")

    def _line(self, line: bytes) -> None:
        self._number += 1
        if self._number > MAX_LINES:
            raise AdmissibilityError(
                Reason.BODY_INCOMPLETE, f"the batch file has more than {MAX_LINES} lines"
            )
        if len(line) > MAX_LINE_BYTES:
            raise self._long()
        if line in _EMPTY:
            return
        try:
            call = self._call(line.removesuffix(b"\r"))
        except AdmissibilityError as error:
            raise AdmissibilityError(
                error.reason, f"line {self._number} of the batch file: {error.message}"
            ) from error
        self.calls.setdefault(call, self._number)
        if len(self.calls) > MAX_DIFFERENT:
            raise AdmissibilityError(
                Reason.MALFORMED_REQUEST,
                f"line {self._number} of the batch file: more than {MAX_DIFFERENT} calls that"
                " differ in operation, models or kinds of tools; make it several files",
            )

    def _call(self, line: bytes) -> Call:
        if any(end in line for end in _LINE_ENDS):
            raise _malformed("a character that ends a line for some readers; escape it")
        try:
            value = strict_json.loads_object(line, max_bytes=MAX_LINE_BYTES)
        except strict_json.StrictJsonError as error:
            raise _malformed(str(error)) from error
        if set(value) != _KEYS or not isinstance(value["custom_id"], str):
            raise _malformed("not custom_id, method, url and body, and nothing else")
        call = extract(self._request(value), max_bytes=MAX_LINE_BYTES)
        if call.references:
            raise AdmissibilityError(
                Reason.OBJECT_UNREGISTERED,
                f"a {call.references[0].kind} cannot be built on from within a batch",
            )
        if call.carrier or call.tuned or not call.named:
            raise AdmissibilityError(
                Reason.UNSUPPORTED_OPERATION, f"{call.operation} runs no model, so not in a batch"
            )
        return call

    def _request(self, value: dict[str, Any]) -> HttpRequest:
        """The request that the line stands for; its body has one reading, so writing it is safe."""
        if not (
            value["method"] == "POST"
            and isinstance(value["url"], str)
            and isinstance(value["body"], dict)
        ):
            raise _malformed("method is not POST, url not a path, or body not an object")
        body = json.dumps(value["body"], ensure_ascii=False, separators=(",", ":")).encode()
        return HttpRequest(
            method="POST",
            path=self._path(value["url"]),
            headers=(("content-type", "application/json"), ("content-length", str(len(body)))),
            raw_body=body,
            provider=self._provider,
            api=self._api,
        )

    def _path(self, url: str) -> str:
        api = APIS.get(self._api)
        return url if api is None else api.line(url)

    def _long(self) -> AdmissibilityError:
        return AdmissibilityError(
            Reason.BODY_INCOMPLETE,
            f"the batch file has a line of more than {MAX_LINE_BYTES} bytes",
        )


def _malformed(why: str) -> AdmissibilityError:
    return AdmissibilityError(Reason.MALFORMED_REQUEST, why)
