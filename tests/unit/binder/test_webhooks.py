"""Only a webhook that OpenAI signed, just now and once, names a job; everything else is a 4xx."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.binder.webhooks import Delivery, WebhookError, WebhookVerifier
from tests.support.provider.openai_jobs import WEBHOOK_SECRET, OpenAiJobs

BODY = OpenAiJobs().event("ftjob-1")
Headers = dict[str, list[str]]


def headers(body: bytes = BODY, at: int | None = None) -> Headers:
    return {name: [value] for name, value in OpenAiJobs.signed(body, at=at).items()}


@pytest.fixture
def verifier(tmp_path: Path) -> WebhookVerifier:
    (tmp_path / "old").write_text("whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA==")
    (tmp_path / "new").write_text(WEBHOOK_SECRET)
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    return WebhookVerifier([tmp_path / "old", tmp_path / "new"])


def test_a_signed_event_names_its_job(verifier: WebhookVerifier) -> None:
    expected = Delivery("wh_1", "fine_tuning.job.succeeded", "ftjob-1")
    assert verifier.verified(BODY, headers()) == expected
    other = json.dumps({"type": "batch.completed", "data": {"id": "batch_1"}}).encode()
    assert verifier.verified(other, headers(other)) == Delivery("wh_1", "batch.completed", None)


def changed(name: str, *values: str) -> Callable[[], Headers]:
    return lambda: {**headers(), name: list(values)}


@pytest.mark.parametrize(
    ("given", "status", "why"),
    [
        (changed("webhook-signature", "v1,AAAA"), 401, "not of these bytes"),
        (changed("webhook-signature", "v1,é"), 400, "cannot be verified: TypeError"),
        (changed("webhook-id", "wh_2"), 401, "not of these bytes"),
        (changed("webhook-id", "wh 2"), 400, "printable ASCII"),
        (changed("webhook-timestamp"), 400, "is given 0 times"),
        (changed("webhook-timestamp", "1", "1"), 400, "is given 2 times"),
        (changed("webhook-timestamp", "soon"), 401, "not of these bytes, or is late"),
        (lambda: headers(at=int(time.time()) - 301), 401, "is late"),
        (lambda: headers(at=int(time.time()) + 400), 401, "is late"),
    ],
)
def test_what_is_forged_late_or_incomplete_is_refused(
    verifier: WebhookVerifier, given: Callable[[], Headers], status: int, why: str
) -> None:
    with pytest.raises(WebhookError, match=why) as refused:
        verifier.verified(BODY, given())
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (BODY.replace(b'"data"', b'"data": {"id": "ftjob-2"}, "data"'), "duplicate|twice"),
        (b"\xef\xbb\xbf" + BODY, "byte-order mark"),
        (b"{}\xff", "UnicodeDecodeError"),
        (b"[" * 5000, "body: "),
        (b"", "body: "),
        (b"[]", "body: "),
        (BODY.replace(b"ftjob-1", b"../files"), "data.id"),
        (b'{"type": "fine_tuning.job.succeeded", "data": {}}', "data.id"),
        (b'{"type": 7}', "type"),
    ],
)
def test_a_signed_body_that_is_not_an_event_is_refused(
    verifier: WebhookVerifier, body: bytes, why: str
) -> None:
    try:
        signed = headers(body)
    except UnicodeDecodeError:
        signed = headers()
    with pytest.raises(WebhookError, match=why) as refused:
        verifier.verified(body, signed)
    assert refused.value.status == 400
