"""The upstream of a benchmark: a second real Envoy that answers by itself.

A stand-in in Python would be the bottleneck and hide what the gate costs. This one answers a chat
completion and an upload from memory, and only to the key that the gateway injects, so a call that
reached it without passing the gateway's filters is a 401 and voids the run.
"""

from __future__ import annotations

import json

from admissibility_devtools.tools.envoy_config import LISTENER

STAT_PREFIX = "provider"
MAX_BODY_BYTES = 1 << 20
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_CHAT = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 0,
    "model": "any",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Your refund is on its way."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
}
_FILE = {"id": "file-bench", "object": "file", "created_at": 0, "status": "processed"}
_ANSWERS = {"/v1/chat/completions": _CHAT, "/v1/files": _FILE}


def configuration(api_key: str, max_body_bytes: int = MAX_BODY_BYTES) -> str:
    """A whole Envoy bootstrap that answers 200 to ``api_key`` and 401 to everybody else."""
    manager = {
        "@type": f"type.googleapis.com/{_HCM}",
        "stat_prefix": STAT_PREFIX,
        "route_config": {"virtual_hosts": [_host(api_key)]},
        "http_filters": [
            # Without it Envoy answers before it has read the body, and then hangs up.
            _filter("buffer", "buffer.v3.Buffer", max_request_bytes=max_body_bytes),
            _filter("router", "router.v3.Router", suppress_envoy_headers=True),
        ],
    }
    connection = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": manager,
    }
    listener = {
        "name": LISTENER,
        "address": _loopback(),
        "filter_chains": [{"filters": [connection]}],
    }
    bootstrap = {
        "admin": {"address": _loopback()},
        "static_resources": {"listeners": [listener]},
    }
    return json.dumps(bootstrap)  # JSON is YAML


def _host(api_key: str) -> dict[str, object]:
    key = {"name": "authorization", "string_match": {"exact": f"Bearer {api_key}"}}
    known = [_route(path, answer, key) for path, answer in _ANSWERS.items()]
    unknown = {"match": {"prefix": "/"}, "direct_response": {"status": 401}}
    return {"name": "any", "domains": ["*"], "routes": [*known, unknown]}


def _route(path: str, answer: object, key: object) -> dict[str, object]:
    return {
        "match": {"path": path, "headers": [key]},
        "direct_response": {"status": 200, "body": {"inline_string": json.dumps(answer)}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": "application/json"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }


def _filter(name: str, kind: str, **settings: object) -> dict[str, object]:
    typed = {"@type": f"type.googleapis.com/envoy.extensions.filters.http.{kind}", **settings}
    return {"name": f"envoy.filters.http.{name}", "typed_config": typed}


def _loopback() -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
