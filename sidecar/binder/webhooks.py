"""Verifies a webhook of OpenAI and reads which job it is about.

The signature is the SDK's to verify (Standard Webhooks: HMAC over id, time and bytes, within five
minutes). The body is parsed strictly here, after that: the SDK parses with ``json.loads``, which
keeps the last of two keys. Nothing of the body but the job's id is used; the job is fetched again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sidecar.binder import secrets
from sidecar.formats.json_model import JsonModelError, read_json

MAX_BODY_BYTES = 64 << 10
SUCCEEDED = "fine_tuning.job.succeeded"
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_DELIVERY = re.compile(r"[\x21-\x7e]{1,256}")
_JOB = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


class WebhookError(Exception):
    """A request is no webhook that is taken.

    Attributes:
        status: The HTTP status that says so.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook whose signature was verified.

    Attributes:
        id: Of the delivery; the same when it is sent again.
        kind: Type of the event.
        job: The job that it is about; ``None`` where the event is about something else.
    """

    id: str
    kind: str
    job: str | None


class _Data(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    id: Annotated[str, Field(pattern=_JOB)]


class _Event(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    type: Annotated[str, Field(min_length=1, max_length=128)]


class _JobEvent(_Event):
    data: _Data


class WebhookVerifier:
    """Verifies the webhooks of one account.

    Args:
        files: The signing secrets; read at each webhook, so that one is replaced without a restart.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        import openai  # noqa: PLC0415 - an optional extra, and half a second of a start

        self._files = tuple(files)
        # Only its verification is used, which calls nothing.
        self._webhooks = openai.OpenAI(api_key="unused").webhooks
        self._mismatch = openai.InvalidWebhookSignatureError

    def check(self) -> None:
        """Read every secret.

        Raises:
            BinderError: One cannot be read.
        """
        for path in self._files:
            secrets.from_file(path)

    def verified(self, body: bytes, headers: Mapping[str, list[str]]) -> Delivery:
        """Return what a request delivers.

        Args:
            body: The request's bytes.
            headers: Lower-case name → values.

        Raises:
            WebhookError: A header is missing or repeated; the signature is of other bytes or of
                another secret; it is late; or the body is not what was agreed.
            BinderError: A secret cannot be read.
        """
        given = {name: _single(name, headers) for name in HEADERS}
        if not any(self._matches(body, given, path) for path in self._files):
            raise WebhookError(401, "the signature is not of these bytes, or is late")
        return _read(body, given["webhook-id"])

    def _matches(self, body: bytes, given: dict[str, str], path: Path) -> bool:
        secret = secrets.from_file(path).value
        try:
            self._webhooks.verify_signature(body, given, secret=secret)
        except self._mismatch:
            return False
        except (ValueError, TypeError) as error:
            # ValueError has UnicodeDecodeError of the body and binascii.Error of the secret;
            # TypeError is compare_digest's for text that is not ASCII.
            raise WebhookError(400, f"cannot be verified: {type(error).__name__}") from None
        return True


def _single(name: str, headers: Mapping[str, list[str]]) -> str:
    found = headers.get(name, [])
    if len(found) != 1:
        raise WebhookError(400, f"header {name}: is given {len(found)} times, expected once")
    if name == "webhook-id" and not _DELIVERY.fullmatch(found[0]):
        raise WebhookError(400, "header webhook-id: is not 1 to 256 printable ASCII characters")
    return found[0]


def _read(body: bytes, delivery: str) -> Delivery:
    try:
        kind = read_json(_Event, body, max_bytes=MAX_BODY_BYTES).type
        if not kind.startswith("fine_tuning.job."):
            return Delivery(delivery, kind, None)
        job = read_json(_JobEvent, body, max_bytes=MAX_BODY_BYTES).data.id
    except JsonModelError as error:
        raise WebhookError(400, f"body: {error}") from error
    return Delivery(delivery, kind, job)
