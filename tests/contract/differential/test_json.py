"""Bodies in JSON: what the gate takes, three readers take, and take for the same models."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason, http_status
from sidecar.extract.extractor import ExtractOptions, extract
from sidecar.extract.http_request import HttpRequest
from tests.contract.differential.bodies import PLAIN, TOKENS, TRICKS
from tests.contract.differential.mutations import spoiled
from tests.contract.differential.upstreams import Reading, Upstreams
from tests.support.examples import examples

PATH = "/v1/responses"


def taken(body: bytes) -> Call | Reason:
    """The gate's side."""
    headers = (("content-type", "application/json"), ("content-length", str(len(body))))
    request = HttpRequest("POST", PATH, headers, raw_body=body, provider="openai", api="openai")
    try:
        return extract(request, ExtractOptions(1 << 20))
    except AdmissibilityError as error:
        return error.reason


def called(reading: Reading) -> tuple[set[bytes], bool] | None:
    """The models a reader would run, and whether it would stream."""
    if reading is None:
        return None
    models = {value for place, value in reading if place != "stream"}
    return models, ("stream", b"true") in reading


def agreed(upstreams: Upstreams, body: bytes) -> bool:
    """Check the one property; tells whether the gate took the body."""
    found = taken(body)
    if isinstance(found, Reason):
        assert http_status(found) in range(400, 500)
        return False
    readings = upstreams.json(body)
    named = {model.encode() for model in found.models}
    assert [called(each) for each in readings] == [(named, found.stream)] * 3, body
    assert len(set(readings)) == 1, body
    return True


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_body_is_taken_by_all_alike(upstreams: Upstreams, name: str) -> None:
    assert agreed(upstreams, PLAIN[name])


@pytest.mark.parametrize("name", TRICKS)
def test_a_body_with_two_readings_is_refused(upstreams: Upstreams, name: str) -> None:
    assert not agreed(upstreams, TRICKS[name])


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("capital", ("a", "b", "a")),
        ("capital alone", ("", "a", "")),
        ("capital in a tool", ("m", "b,m", "m")),
        ("long s", ("m", "b,m", "m")),
        ("byte-order mark", ("m", None, None)),
        ("UTF-16", ("m", None, None)),
        ("UTF-32 big", ("m", None, None)),
        ("Latin-1", (None, "m", "m")),
        ("bad byte in key", (None, "a", "a")),
        ("overlong", (None, "m", "m")),
        ("NaN", ("m", None, None)),
        ("4,301 digits", (None, "m", "m")),
        ("10^5 deep", (None, None, "m")),
    ],
)
def test_the_readers_do_read_differently(
    upstreams: Upstreams, name: str, models: tuple[str | None, ...]
) -> None:
    """CPython, Go and Node in this order; null where it would not serve."""
    found = [called(each) for each in upstreams.json(TRICKS[name])]
    texts = (None if each is None else b",".join(sorted(each[0])).decode() for each in found)
    assert tuple(texts) == models


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
MODELS = st.from_regex(r"[!-~]{1,12}", fullmatch=True)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("x")},
        optional={"model": MODELS, "svg": st.fixed_dictionaries({"model": MODELS}), "a": VALUES},
    ),
    max_size=3,
)
BODIES = st.fixed_dictionaries(
    {"model": MODELS},
    optional={
        "tools": TOOLS | st.none(),
        "moderation": st.fixed_dictionaries({"model": MODELS}) | st.none(),
        "input": st.text(max_size=9)
        | st.lists(st.fixed_dictionaries({"role": st.just("user"), "tools": TOOLS}), max_size=2),
        "stream": st.booleans() | st.none(),
        "user": VALUES,
    },
)


@st.composite
def seeds(draw: st.DrawFn) -> bytes:
    value = draw(BODIES)
    ascii_only, wide = draw(st.booleans()), draw(st.booleans())
    text = json.dumps(value, ensure_ascii=ascii_only, indent=1 if wide else None)
    return text.encode("utf-8", "surrogatepass")


@settings(
    max_examples=examples(1000),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(body=spoiled(seeds() | st.sampled_from(list(TRICKS.values())[:40]), TOKENS))
def test_whatever_the_gate_takes_is_read_alike(upstreams: Upstreams, body: bytes) -> None:
    event("taken" if agreed(upstreams, body) else "refused")
