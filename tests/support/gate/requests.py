"""CheckRequests as Envoy 1.40.0 writes them with the reference configuration."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from sidecar._pb import ext_authz_pb2 as pb
from tests.support.simulator.constants import MODEL

HEADER = "x-environment-credential"
CHAT = "/v1/chat/completions"
Lines = list[tuple[str, str]]


def json_body(**changes: Any) -> bytes:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], **changes}
    return json.dumps(body).encode()


def as_check_request(
    *,
    method: str = "POST",
    path: str = CHAT,
    body: bytes | None = None,
    headers: Lines | None = None,
    drop: tuple[str, ...] = (),
    credential: str | None = None,
    provider: str | None = "openai",
    api: str | None = None,
    text_body: str = "",
    principal: str = "",
    certificate: str = "",
) -> pb.CheckRequest:
    """One question; ``headers`` come after the ordinary ones, ``drop`` leaves some of those out."""
    content = json_body() if body is None else body
    lines: Lines = [(":authority", "gateway.example"), (":path", path), (":method", method)]
    if content or text_body:
        size = len(content) or len(text_body.encode())
        lines += [("content-type", "application/json"), ("content-length", str(size))]
    if credential is not None:
        lines.append((HEADER, credential))
    lines = [line for line in lines if line[0] not in drop] + (headers or [])
    return pb.CheckRequest(
        attributes=pb.AttributeContext(
            source=pb.AttributeContext.Peer(
                principal=principal, certificate=quote(certificate, safe="")
            ),
            request=pb.AttributeContext.Request(
                http=pb.AttributeContext.HttpRequest(
                    id="1234",
                    method=method,
                    path=path,
                    host="gateway.example",
                    scheme="http",
                    protocol="HTTP/1.1",
                    size=len(content),
                    raw_body=content,
                    body=text_body,
                    header_map=pb.HeaderMap(
                        headers=[
                            pb.HeaderValue(key=name, raw_value=value.encode("latin-1"))
                            for name, value in lines
                        ]
                    ),
                )
            ),
            context_extensions={
                key: value
                for key, value in (("provider", provider), ("api", api))
                if value is not None
            },
        )
    )


def get_request(path: str, **changes: Any) -> pb.CheckRequest:
    """A request without a body."""
    return as_check_request(**{"method": "GET", "path": path, "body": b"", **changes})
