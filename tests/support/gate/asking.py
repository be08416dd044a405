"""Step 0 asked about one request: the call it makes, or why it is refused."""

from __future__ import annotations

import json
from typing import Any

from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract import check_request
from sidecar.extract.extractor import ExtractOptions, extract
from tests.support.gate import forms
from tests.support.gate.requests import HEADER, Lines, as_check_request

Outcome = Call | tuple[Reason, str]
ARN = "arn:aws:bedrock:eu-west-1:123456789012"
DIGEST = "5f" * 32


def ask(
    message: Any,
    opened: frozenset[str] = frozenset(),
    *,
    max_bytes: int = 1 << 16,
    ignore_body_model: bool = False,
) -> Outcome:
    """The call, or the refusal with its whole message."""
    try:
        request = check_request.read(message, credential_header=HEADER)
        return extract(request, ExtractOptions(max_bytes, opened, ignore_body_model))
    except AdmissibilityError as error:
        return error.reason, error.message


def post(api: str, path: str, body: Any, headers: Lines | None = None) -> Outcome:
    content = json.dumps(body).encode()
    return ask(as_check_request(path=path, body=content, provider=api, headers=headers))


def get(api: str, path: str, **changes: Any) -> Outcome:
    opened = changes.pop("opened", frozenset())
    return ask(
        as_check_request(
            **{"method": "GET", "path": path, "body": b"", "provider": api, **changes}
        ),
        opened,
    )


def form(path: str, *parts: tuple[str, str], api: str = "openai") -> Outcome:
    body = forms.form(
        *(
            forms.part(f"Content-Disposition: form-data; {name}", text.encode())
            for name, text in parts
        )
    )
    return ask(
        as_check_request(
            path=path,
            body=body,
            provider=api,
            drop=("content-type",),
            headers=[("content-type", forms.TYPE)],
        )
    )


def ambiguous(why: str) -> Outcome:
    return Reason.AMBIGUOUS_MODEL, why
