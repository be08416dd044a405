"""What `envoy/registration.yaml` has that `envoy/jwt.yaml` has not, written a second time."""

from __future__ import annotations

from typing import Any

from tests.process.envoy.config import SEAL, Config

TYPES = "type.googleapis.com/envoy.extensions.filters.http."
EXT_AUTHZ, EXT_PROC = "envoy.filters.http.ext_authz", "envoy.filters.http.ext_proc"
BELOW = "/(v1|openai|openai/v1)/"
FILES = BELOW + "files"
CREATING = (
    BELOW + "(conversations|responses(/compact)?|batches|fine_tuning/jobs)",
    "/v1/(agents(/sessions)?|videos(/edits|/extensions|/[^/]+/remix)?)",
    BELOW + "(containers|vector_stores|uploads/[^/]+/complete|batches/[^/]+/cancel)",
    "/v1/(agents/environments(/templates)?|vaults(/[^/]+/credentials)?)",
)
UPLOADS = BELOW + "uploads"
NAMING = BELOW + "(batches|fine_tuning/jobs|responses)/[^/]+"
KEPT_FROM_IT = (
    *("authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key"),
    *("x-environment-credential", "cookie", "set-cookie"),
)
POST = [{"name": ":method", "string_match": {"exact": "POST"}}]
GET = [{"name": ":method", "string_match": {"exact": "GET"}}]
READABLE = [
    {
        "header": {"key": "accept-encoding", "value": "identity"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
]


def answer_shown(**request: str) -> Config:
    """The modes: the answer in full duplex, the request as given."""
    return {
        "request_header_mode": "SEND",
        **request,
        "response_header_mode": "SEND",
        "response_body_mode": "FULL_DUPLEX_STREAMED",
        "response_trailer_mode": "SEND",
    }


PROCESSOR: Config = {
    "@type": TYPES + "ext_proc.v3.ExternalProcessor",
    "stat_prefix": "registration",
    "grpc_service": {"envoy_grpc": {"cluster_name": "gate"}},
    "failure_mode_allow": False,
    "status_on_error": {"code": "ServiceUnavailable"},
    "processing_mode": answer_shown(request_body_mode="NONE", request_trailer_mode="SKIP"),
    "allow_mode_override": False,
    "message_timeout": "5s",
    "allow_content_length_header": True,
    "disable_immediate_response": False,
    "mutation_rules": {
        "disallow_all": True,
        "disallow_is_error": True,
        "allow_expression": {"regex": "x-admissibility-[a-z0-9-]+|content-type"},
    },
    "forward_rules": {
        "disallowed_headers": {
            "patterns": [{"exact": name, "ignore_case": True} for name in KEPT_FROM_IT]
        }
    },
    "metadata_options": {"forwarding_namespaces": {"untyped": [EXT_AUTHZ]}},
    "route_cache_action": "RETAIN",
}


def per_route(**more: Any) -> Config:
    return {"@type": TYPES + "ext_proc.v3.ExtProcPerRoute", **more}


def routes(uploads: Config, rest: Config) -> list[Config]:
    """The routes, from the two of `jwt.yaml`."""
    unread = uploads["typed_per_filter_config"][EXT_AUTHZ]
    checked = rest["typed_per_filter_config"][EXT_AUTHZ]
    onward = uploads["route"]
    read = answer_shown(request_body_mode="FULL_DUPLEX_STREAMED", request_trailer_mode="SEND")
    in_parts = {"safe_regex": {"regex": BELOW + "uploads/[A-Za-z0-9_-]+/parts"}}
    return [
        {
            "match": {"safe_regex": {"regex": FILES}, "headers": POST},
            "route": onward,
            "request_headers_to_add": READABLE,
            "typed_per_filter_config": {
                EXT_AUTHZ: unread,
                EXT_PROC: per_route(overrides={"processing_mode": read}),
            },
        },
        {
            "match": in_parts,
            "route": onward,
            "typed_per_filter_config": {
                EXT_AUTHZ: unread,
                EXT_PROC: per_route(disabled=True),
            },
        },
        {
            "match": {"safe_regex": {"regex": UPLOADS}, "headers": POST},
            "route": onward,
            "request_headers_to_add": READABLE,
            "typed_per_filter_config": {EXT_AUTHZ: unread},
        },
        *(
            {
                "match": {"safe_regex": {"regex": shown}, "headers": method},
                "route": onward,
                "request_headers_to_add": READABLE,
                "typed_per_filter_config": {EXT_AUTHZ: checked},
            }
            for shown, method in (*((each, POST) for each in CREATING), (NAMING, GET))
        ),
        {
            **rest,
            "typed_per_filter_config": {EXT_AUTHZ: checked, EXT_PROC: per_route(disabled=True)},
        },
    ]


def change(host: Config, http_filters: list[Config], gate: Config) -> None:
    """Make `jwt.yaml`'s virtual host, filters and gate cluster those of `registration.yaml`."""
    host["routes"] = routes(*host["routes"])
    behind = [each["name"] for each in http_filters].index(SEAL) + 1
    http_filters[behind:behind] = [{"name": EXT_PROC, "typed_config": PROCESSOR}]
    (options,) = gate["typed_extension_protocol_options"].values()
    options["explicit_http_config"]["http2_protocol_options"] |= {
        "initial_stream_window_size": 262144,
        "initial_connection_window_size": 1048576,
    }
