"""Paths: what the gate matches to a route, three readers see as the same path."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sidecar.core.reasons import AdmissibilityError
from sidecar.extract.router import ROUTES
from tests.contract.differential.mutations import spoiled
from tests.contract.differential.upstreams import Upstreams

CHAT = "/v1/chat/completions"
TUNED = "ft:gpt-4o-2024-08-06:acme:support-v3:abc123"


def matched(method: str, target: str) -> str | None:
    """The gate's side: the path it takes the request for; null where it refuses."""
    try:
        operation, found = ROUTES["openai"].match(method, target)
    except AdmissibilityError:
        return None
    named = {entry.where.partition(" ")[0]: str(entry.value) for entry in found}
    segments = zip(operation.route.split("/"), target.partition("?")[0].split("/"), strict=True)
    return "/".join(named.get(want, sent) if "{" in want else want for want, sent in segments)


def agreed(upstreams: Upstreams, method: str, target: str) -> bool:
    """Check the one property; tells whether the gate knows the route."""
    found = matched(method, target)
    if found is None:
        return False
    assert upstreams.path(target) == ((("path", found.encode()),),) * 3, target
    return True


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", CHAT),
        ("POST", "/v1/responses"),
        ("GET", "/v1/models/m"),
        ("GET", f"/v1/models/{TUNED}"),
        ("GET", f"/v1/models/{TUNED.replace(':', '%3A')}"),
        ("GET", f"/v1/models/{TUNED.replace(':', '%3a')}"),
        ("GET", "/v1/models/%6d%6D"),
        ("GET", "/v1/models/a@b_c.d-e"),
    ],
)
def test_a_plain_path_is_matched_and_seen_by_all_alike(
    upstreams: Upstreams, method: str, target: str
) -> None:
    assert agreed(upstreams, method, target)


TRICKS = {
    "encoded slash": "/v1/chat%2fcompletions",
    "encoded dots": "/v1/x/..%2fchat/completions",
    "encoded dot segments": "/v1/x/%2e%2e/chat/completions",
    "double slash": "/v1//chat/completions",
    "double slash first": "//v1/chat/completions",
    "slash at the end": CHAT + "/",
    "dot segments": "/v1/x/../chat/completions",
    "dot segment": "/v1/./chat/completions",
    "dot at the end": CHAT + "/.",
    "parameter": CHAT + ";x",
    "parameter inside": "/v1;x/chat/completions",
    "encoded letter": "/v1/%63hat/completions",
    "twice encoded": "/v1/%2563hat/completions",
    "backslash": "/v1\\chat\\completions",
    "encoded backslash": "/v1%5cchat/completions",
    "capital": "/v1/Chat/completions",
    "fragment": CHAT + "#x",
    "query": CHAT + "?model=x",
    "empty query": CHAT + "?",
    "encoded query": CHAT + "%3fmodel=x",
    "null": CHAT + "%00",
    "tab inside": "/v1/ch\tat/completions",
    "line feed inside": "/v1/ch\nat/completions",
    "space at the end": CHAT + " ",
    "encoded space": CHAT + "%20",
    "bad encoding": CHAT + "%zz",
    "cut encoding": CHAT + "%",
    "overlong slash": "/v1%c0%afchat/completions",
    "Latin-1": "/v1/chat/completions\xe9",
    "absolute": "http://upstream.example" + CHAT,
    "no slash": CHAT[1:],
    "nothing": "",
    "model: slash": "/v1/models/a%2Fb",
    "model: dots": "/v1/models/..",
    "model: encoded dots": "/v1/models/%2e%2e",
    "model: parameter": "/v1/models/a;b",
    "model: twice encoded": "/v1/models/a%253Ab",
    "model: beyond ASCII": "/v1/models/caf%C3%A9",
    "model: bad UTF-8": "/v1/models/a%FF",
    "model: null": "/v1/models/a%00",
    "model: plus": "/v1/models/a+b",
    "model: empty": "/v1/models/",
    "model: backslash": "/v1/models/a\\b",
}


@pytest.mark.parametrize("name", TRICKS)
def test_a_path_with_two_readings_is_refused(upstreams: Upstreams, name: str) -> None:
    methods = ("POST", "GET", "DELETE")
    assert not any(agreed(upstreams, method, TRICKS[name]) for method in methods)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("double slash", (CHAT, None, CHAT)),
        ("double slash first", ("/chat/completions", None, CHAT)),
        ("dot segments", (CHAT, None, CHAT)),
        ("backslash", ("/v1\\chat\\completions", "/v1\\chat\\completions", CHAT)),
        ("tab inside", (CHAT, None, CHAT)),
        ("fragment", (CHAT, CHAT + "#x", CHAT)),
        ("bad encoding", (CHAT + "%zz", None, None)),
    ],
)
def test_the_readers_do_see_different_paths(
    upstreams: Upstreams, name: str, seen: tuple[str | None, ...]
) -> None:
    """CPython, Go and Node in this order; null where it would not serve."""
    readings = upstreams.path(TRICKS[name])
    assert tuple(None if each is None else each[0][1].decode() for each in readings) == seen


TOKENS = (
    *(
        b"/",
        b"//",
        b"%2f",
        b"%2F",
        b"..",
        b"/../",
        b"/./",
        b".",
        b"%2e",
        b";",
        b";x",
        b"\\",
        b"%5c",
    ),
    *(
        b"?",
        b"#",
        b"%",
        b"%25",
        b"%00",
        b"%3A",
        b":",
        b"@",
        b"\t",
        b" ",
        b"%20",
        b"+",
        b"\xe9",
        b"=",
    ),
    *(
        b"%6d",
        b"%63",
        b"%zz",
        b"%C3%A9",
        b"%FF",
        b"v1",
        b"models",
        b"A",
        b"~",
        b"*",
        b"&",
        b"[",
        b"|",
    ),
)
MODELS = st.text("abcXYZ019._-:@", min_size=1, max_size=9)
SEEDS = st.one_of(
    st.sampled_from([CHAT, "/v1/responses", "/v1/completions", "/v1/embeddings"]),
    MODELS.map(lambda model: f"/v1/models/{model}"),
    MODELS.map(lambda model: "/v1/models/" + "".join(f"%{ord(c):02X}" for c in model)),
).map(str.encode)


@settings(max_examples=2000)
@given(method=st.sampled_from(["GET", "POST"]), target=spoiled(SEEDS, TOKENS, most=1))
def test_whatever_the_gate_matches_is_seen_alike(
    upstreams: Upstreams, method: str, target: bytes
) -> None:
    event("matched" if agreed(upstreams, method, target.decode("latin-1")) else "refused")
