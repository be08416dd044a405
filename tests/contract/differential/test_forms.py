"""Forms: what the gate takes, three readers take, and find the same field ``model`` in."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sidecar.extract import multipart
from sidecar.extract.multipart import MultipartError
from tests.contract.differential.forms import (
    MODEL,
    OTHER,
    PLAIN,
    TOKENS,
    TRICKS,
    TYPE,
    WAV,
    Form,
    body,
    part,
)
from tests.contract.differential.mutations import spoiled
from tests.contract.differential.upstreams import Line, Reading, Upstreams
from tests.support.examples import examples


def taken(form: Form) -> Reading:
    """The gate's side: the field, and the names of the other parts; null where it refuses."""
    try:
        parts = multipart.parse(*form)
        found = multipart.fields(parts, ["model"])
    except MultipartError:
        return None
    if "model" not in found:
        return None
    others = [("name", part.name.encode()) for part in parts if part.name != "model"]
    return tuple(sorted([("text", found["model"].encode()), *others]))


def agreed(upstreams: Upstreams, form: Form) -> bool:
    """Check the one property; tells whether the gate took the form."""
    found = taken(form)
    if found is None:
        return False
    assert upstreams.form(*form) == (found, found, found), form
    return True


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_form_is_taken_by_all_alike(upstreams: Upstreams, name: str) -> None:
    assert agreed(upstreams, PLAIN[name])


@pytest.mark.parametrize("name", TRICKS)
def test_a_form_with_two_readings_is_refused(upstreams: Upstreams, name: str) -> None:
    assert not agreed(upstreams, TRICKS[name])


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("both names", ("name:x", "text:m", "text:m")),
        ("both names, other order", ("text:m", "text:m", "name:x")),
        ("two names", ("name:x", "", "text:m")),
        ("both boundaries", (None, "text:m", None)),
        ("two dispositions", ("name:x", "name:x", "text:m")),
        ("encoded word", ("text:m", *["name:=?utf-8?q?model?="] * 2)),
        ("backslash", ("text:m", *["name:mod\\el"] * 2)),
        ("empty filename", ("file:m", "text:m", "file:m")),
        ("name of a type", ("file:m", "text:m", "text:m")),
        ("base64", ("text:m", "text:bQ==", "text:m")),
        ("quoted-printable", ("text:m", "text:m", "text:=6D")),
        ("nested", (None, *["name:prompt text:m"] * 2)),
        ("space before the colon", (None, "", "text:m")),
        ("LF only", ("text:m", "text:m", None)),
    ],
)
def test_the_readers_do_read_differently(
    upstreams: Upstreams, name: str, seen: tuple[str | None, ...]
) -> None:
    """CPython, Go and Node in this order; null where it would not serve."""
    readings = upstreams.form(*TRICKS[name])
    assert tuple(None if each is None else shown(each) for each in readings) == seen


def shown(lines: tuple[Line, ...]) -> str:
    return " ".join(f"{place}:{value.decode()}" for place, value in lines)


DATA = st.binary(max_size=12) | st.sampled_from([b"\r\n", b"--", b"\r\n--b", b"m\r\n", b"\n\n"])
TEXT = st.text(max_size=12).map(lambda text: text.encode())
PARTS = st.lists(
    st.builds(part, st.sampled_from([OTHER, OTHER + "\r\nContent-Type: text/plain"]), TEXT)
    | st.builds(
        part,
        st.sampled_from([WAV.partition(b"\r\n\r\n")[0]]),
        DATA,
    ),
    max_size=3,
)
SEEDS = st.builds(
    lambda before, model, after, end: body(*before, part(MODEL, model), *after, end=end),
    PARTS,
    TEXT,
    PARTS,
    st.sampled_from([b"\r\n", b""]),
)


@settings(max_examples=examples(600))
@given(
    content_type=spoiled(st.just(TYPE.encode()), (b"; boundary=x", b";", b" ", b'"', b"*"), most=1),
    data=spoiled(SEEDS, TOKENS, most=2),
    plain=st.booleans(),
)
def test_whatever_the_gate_takes_is_read_alike(
    upstreams: Upstreams, content_type: bytes, data: bytes, plain: bool
) -> None:
    named = TYPE if plain else content_type.decode("latin-1")
    event("taken" if agreed(upstreams, (named, data)) else "refused")
