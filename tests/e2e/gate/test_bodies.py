"""Bodies that two parsers could read differently, and every place in one that names a model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from admissibility_devtools.demo.authorities import LISTED_BASE, UNLISTED_BASE
from tests.support.site.talk import CHAT, Seen, Talk, Verdict

MALFORMED = (400, "malformed_request")
AMBIGUOUS = (400, "ambiguous_model")
UNSUPPORTED = (403, "unsupported_operation")


def refused(verdict: Verdict) -> Seen:
    return Seen(verdict, ())


GOOD = '"model": "@", "messages": []'
BODIES: dict[str, tuple[bytes, Verdict]] = {
    "empty": (b" ", MALFORMED),
    "not an object": (b'["@"]', MALFORMED),
    "truncated": (b'{"model": "@"', MALFORMED),
    "two values": (b'{"model": "@"}{"model": "@"}', MALFORMED),
    "duplicate key": (b'{"model": "gpt-4.1", "model": "@"}', MALFORMED),
    "duplicate key elsewhere": (b'{"model": "@", "user": {"a": 1, "a": 2}}', MALFORMED),
    "duplicate key, escaped": (b'{"model": "@", "m\\u006fdel": "gpt-4.1"}', MALFORMED),
    "case twin": (b'{"model": "@", "Model": "gpt-4.1"}', AMBIGUOUS),
    "width twin": ('{"model": "@", "ｍodel": "gpt-4.1"}'.encode(), AMBIGUOUS),
    "long s twin": ('{"model": "@", "mes\u017fages": [], "MODEL": "x"}'.encode(), AMBIGUOUS),
    "byte-order mark": (b'\xef\xbb\xbf{"model": "@"}', MALFORMED),
    "UTF-16": ('{"model": "@"}'.encode("utf-16"), MALFORMED),
    "UTF-16 without mark": ('{"model": "@"}'.encode("utf-16-le"), MALFORMED),
    "UTF-32": ('{"model": "@"}'.encode("utf-32"), MALFORMED),
    "not UTF-8": (b'{"model": "@", "user": "\xff\xfe"}', MALFORMED),
    "overlong": (b'{"model": "@", "user": "\xc0\xaf"}', MALFORMED),
    "lone surrogate": (b'{"model": "@", "user": "\\ud800"}', MALFORMED),
    "NaN": (b'{"model": "@", "temperature": NaN}', MALFORMED),
    "Infinity": (b'{"model": "@", "temperature": -Infinity}', MALFORMED),
    "out of range": (b'{"model": "@", "temperature": 1e999}', MALFORMED),
    "huge integer": (b'{"model": "@", "seed": ' + b"9" * 5000 + b"}", MALFORMED),
    "deep list": (b'{"model": "@", "x": ' + b"[" * 100 + b"]" * 100 + b"}", MALFORMED),
    "bottomless": (b'{"model": "@", "x": ' + b"[" * 200_000, MALFORMED),
    "comment": (b'{"model": "@" /* x */}', MALFORMED),
    "trailing comma": (b'{"model": "@",}', MALFORMED),
    "single quotes": (b"{'model': '@'}", MALFORMED),
    "no model": (b'{"messages": []}', MALFORMED),
    "null model": (b'{"model": null}', MALFORMED),
    "model is a list": (b'{"model": ["@"]}', MALFORMED),
    "model is a number": (b'{"model": 4}', MALFORMED),
    "model with a space": (b'{"model": "@ "}', MALFORMED),
    "model with a line feed": (b'{"model": "@\\n"}', MALFORMED),
    "empty model": (b'{"model": ""}', MALFORMED),
    "fallbacks": (f'{{{GOOD}, "fallbacks": ["gpt-4.1"]}}'.encode(), AMBIGUOUS),
    "models": (f'{{{GOOD}, "models": ["gpt-4.1"]}}'.encode(), AMBIGUOUS),
    "base_url": (f'{{{GOOD}, "api_base": "http://x.example"}}'.encode(), AMBIGUOUS),
    "lora": (f'{{{GOOD}, "lora_path": "x"}}'.encode(), AMBIGUOUS),
    "tool without a type": (f'{{{GOOD}, "tools": [{{}}]}}'.encode(), MALFORMED),
    "tools are an object": (f'{{{GOOD}, "tools": {{"model": "x"}}}}'.encode(), MALFORMED),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_two_parsers_could_read_differently_is_refused(talk: Talk, name: str) -> None:
    body, verdict = BODIES[name]
    for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
        body = body.replace("@".encode(encoding), talk.model.encode(encoding))
    assert talk.seen(lambda: talk.call(body)) == refused(verdict)


TOOL = {"type": "image_generation"}
DRAWN = {**TOOL, "model": LISTED_BASE}


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        (CHAT, {"moderation": {"model": "#"}}),
        (CHAT, {"tools": [DRAWN, {**TOOL, "model": "#"}]}),
        ("/v1/responses", {"tools": [{**TOOL, "model": "#"}]}),
        ("/v1/responses", {"tools": [{**DRAWN, "output_format": "svg", "svg": {"model": "#"}}]}),
        (
            "/v1/responses",
            {"input": [{"type": "mcp_list_tools", "tools": [{**TOOL, "model": "#"}]}]},
        ),
    ],
)
def test_every_model_that_a_body_names_is_authorised(
    talk: Talk, target: str, changes: dict[str, Any]
) -> None:
    """A nested base model that is listed passes, one that is not is refused."""

    def naming(model: str) -> bytes:
        text = json.dumps({"model": talk.model, **changes})
        return text.replace('"#"', json.dumps(model)).encode()

    unlisted = talk.seen(lambda: talk.call(naming(UNLISTED_BASE), target=target))
    assert unlisted == refused((403, "base_model_not_listed"))
    listed = talk.seen(lambda: talk.call(naming(LISTED_BASE), target=target))
    assert (listed.verdict, [r.body for r in listed.reached]) == (
        (200, "admitted"),
        [naming(LISTED_BASE)],
    )


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        ("/v1/responses", {"tools": [TOOL]}),
        ("/v1/responses", {"tools": [{**TOOL, "model": None}]}),
        ("/v1/responses", {"tools": [{**DRAWN, "output_format": "svg"}]}),
        ("/v1/responses", {"tools": [{**DRAWN, "output_format": "svg", "svg": {"model": None}}]}),
        ("/v1/responses", {"tools": [{"type": "namespace", "tools": [TOOL]}]}),
        ("/v1/responses", {"input": [{"type": "additional_tools", "tools": [TOOL]}]}),
        (CHAT, {"tools": [TOOL]}),
        ("/v1/images/generations", {"prompt": "x", "output_format": "svg"}),
        ("/v1/images/edits", {"prompt": "x", "output_format": "svg"}),
    ],
)
def test_a_model_that_the_provider_would_choose_by_itself_must_be_named(
    talk: Talk, target: str, changes: dict[str, Any]
) -> None:
    body = json.dumps({"model": talk.model, **changes}).encode()
    assert talk.seen(lambda: talk.call(body, target=target)) == refused((400, "ambiguous_model"))


@pytest.mark.parametrize(
    "key",
    [
        "safety_model",
        "modelName",
        "MODEL_UID",
        "speculative_draft_model",
        "lora_path",
        "agent",
        "agent_reference",
        "user_config",
        "kv_transfer_params",
        "session_params",
        "custom_logit_processor",
    ],
)
def test_a_key_by_which_some_server_runs_something_else_is_refused(talk: Talk, key: str) -> None:
    body = talk.body(**{key: {"name": "other", "type": "agent_reference"}})
    for target in (CHAT, "/v1/responses"):
        seen = talk.seen(lambda t=target: talk.call(body, target=t))  # type: ignore[misc]
        assert seen == refused((400, "ambiguous_model"))


UNREGISTERED = (403, "object_unregistered")


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"previous_response_id": "resp_1"}, UNREGISTERED),
        ({"conversation": "conv_1"}, UNREGISTERED),
        ({"conversation": {"id": "conv_1"}}, UNREGISTERED),
        ({"prompt": {"id": "pmpt_1"}}, UNSUPPORTED),
        ({"Previous_Response_ID": "resp_1"}, (400, "ambiguous_model")),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, UNREGISTERED),
        ({"input": [{"id": "msg_1"}]}, UNREGISTERED),
        ({"multi_agent": {"enabled": True}}, UNSUPPORTED),
        ({"multi_agent": {"enabled": 1}}, UNSUPPORTED),
    ],
)
def test_what_is_stored_upstream_cannot_name_a_model_for_the_caller(
    talk: Talk, changes: dict[str, Any], verdict: tuple[int, str]
) -> None:
    body = json.dumps({"model": talk.model, "input": "hello", **changes}).encode()
    assert talk.seen(lambda: talk.call(body, target="/v1/responses")) == refused(verdict)
