"""Real Envoy shows the gate every path and body as it came, and passes it on as it came.

What has no route, is too large, or could be read in two ways reaches nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from admissibility_devtools.tools.envoy_config import Gated
from tests.process.envoy.answers import by_envoy, received_by, without
from tests.process.envoy.local_replies import BY_ITSELF, TOO_LONG, replied, shown
from tests.process.envoy.sites import BODY, SITES, Wired, wire
from tests.support.site.envoy import request_bytes

LIMIT = 26 * 1024 * 1024
STRANGE = [
    "/v1//chat/completions",
    "/v1/files/../chat/completions",
    "/v1/x%2f..%2fchat/completions;a=1",
    "/v1/%63hat\\completions?model=a&model=b",
    "/model/arn%3Aaws%3Abedrock%2Fx%252Fy/converse",
    "/openai/anything",
    "/",
]


@pytest.mark.parametrize("target", STRANGE)
def test_every_path_is_checked_and_goes_on_as_it_came(wired: Wired, target: str) -> None:
    answer = wired.send(target=target)
    (asked,) = wired.gate.asked
    http = asked.attributes.request.http
    # Of vllm.yaml, none of these is a route; the gate has seen them all the same.
    routed = wired.site.name != "vllm"
    assert (http.path, http.query, answer.status) == (target, "", 200 if routed else 403)
    assert [received.target for received in wired.provider.received] == [target] * routed
    assert asked.attributes.context_extensions["route_class"] == "api"


def test_an_arn_is_signed_and_sent_with_its_slashes_escaped(tmp_path: Path) -> None:
    targets = [SITES["bedrock"].target, f"{SITES['bedrock'].target}?x=a%2Fb&y=", *STRANGE[4:5]]
    with wire("bedrock", tmp_path) as wired:
        for target in targets:
            wired.send(target=target)
        assert [received.target for received in received_by(wired)] == targets


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wired]:
    with wire("vllm", tmp_path_factory.mktemp("vllm")) as found:
        yield found


@pytest.fixture
def served(vllm: Wired) -> Wired:
    """`envoy/vllm.yaml` as it stands."""
    vllm.reset()
    return vllm


@pytest.mark.parametrize(
    "target",
    [
        "/v1/load_lora_adapter",
        "/v1/unload_lora_adapter",
        "/invocations",
        "/inference/v1/generate",
        "/update_weights",
        "/collective_rpc",
        "/reset_prefix_cache",
        "/sleep",
        "/server_info",
        "/metrics",
        "/v1/tokenize",
        "/v1/%6coad_lora_adapter",
        "/v1/models/../load_lora_adapter",
        "/v1/chat/completions/",
        "/v1/chat/completions;/../../load_lora_adapter",
        "/v1/chat%2Fcompletions",
    ],
)
def test_what_administers_a_server_has_no_route_even_where_the_gate_allows_it(
    served: Wired, target: str
) -> None:
    for method in ("POST", "GET"):
        assert without(served.send(method, target), "date") == by_envoy(403)
    asked = [each.attributes for each in served.gate.asked]
    assert [(each.request.http.path, dict(each.context_extensions)) for each in asked] == [
        (target, served.site.routed())
    ] * 2
    assert served.provider.received == []


@pytest.mark.parametrize("name", [name for name, site in SITES.items() if site.uploads])
def test_only_uploads_are_decided_without_their_body(tmp_path: Path, name: Gated) -> None:
    site = SITES[name]
    first = site.uploads[0]
    near = [f"{first}/", f"{first}/../x", f"/x{first}", f"{first}x", first.replace("/", "//")]
    with wire(name, tmp_path) as wired:
        for target in (*site.uploads, *near):
            wired.send(target=target)
        asked = [
            (
                each.attributes.request.http.path,
                dict(each.attributes.context_extensions),
                len(each.attributes.request.http.raw_body),
            )
            for each in wired.gate.asked
        ]
    assert asked == [
        *((target, site.routed("upload"), 0) for target in site.uploads),
        *((target, site.routed(), len(BODY)) for target in near),
    ]
    assert [received.body for received in wired.provider.received] == [BODY] * len(asked)


def test_an_upload_of_any_size_passes_without_being_held(tmp_path: Path) -> None:
    body = b"x" * (LIMIT + LIMIT // 2)
    with wire("jwt", tmp_path) as wired:
        assert wired.send(target="/v1/files", body=body).status == 200
        (asked,) = wired.gate.asked
    assert asked.attributes.request.http.raw_body == b""
    assert [received.body == body for received in wired.provider.received] == [True]


def test_a_body_is_seen_whole_or_the_request_ends(wired: Wired) -> None:
    fits = wired.send(body=b" " * LIMIT)
    too_large = wired.send(body=b" " * (LIMIT + 1))
    sizes = [len(asked.attributes.request.http.raw_body) for asked in wired.gate.asked]
    passed = [len(received.body) for received in received_by(wired)]
    assert (fits.status, shown(too_large), sizes, passed) == (
        200,
        replied(wired.site.name, TOO_LONG, 413, "request_payload_too_large"),
        [LIMIT],
        [LIMIT],
    )


def test_an_upgrade_is_refused_before_anyone_sees_it(wired: Wired) -> None:
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    answers = []
    for method, body in (("GET", b""), ("POST", BODY)):
        request = request_bytes(method, "/v1/realtime", upgrade, body)
        answers.append(wired.send_bytes(request.replace(b"Connection: close\r\n", b"")))
    refused = replied(wired.site.name, BY_ITSELF, 403, "upgrade_failed")
    assert [shown(answer) for answer in answers] == [refused, refused]
    assert (wired.gate.asked, wired.provider.received) == ([], [])


@pytest.mark.parametrize(
    "headers",
    [
        [("x_environment_credential", "jwt")],
        [("Transfer-Encoding", "chunked")],
        [("x", "1" * 40000)],
        [(f"x-{number}", "1") for number in range(70)],
    ],
    ids=["underscore", "chunked and length", "long", "many"],
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(
    wired: Wired, headers: list[tuple[str, str]]
) -> None:
    assert wired.send(headers=headers).status in {400, 431}
    assert (wired.gate.asked, wired.provider.received) == ([], [])
