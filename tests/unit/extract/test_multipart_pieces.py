"""A form that comes in pieces is read as the whole would be, and is not kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.extract.multipart import (
    Event,
    FormEnd,
    MultipartError,
    Parser,
    PartBegin,
    PartData,
    PartEnd,
)
from tests.support.examples import examples
from tests.support.gate.forms import BEGIN, END, FILE, GOOD, MODEL, B, Read, form, part, read


@dataclass
class Streamed:
    """What a stream of pieces showed."""

    parts: list[Read]
    ended: bool = False
    held: int = 0


def streamed(pieces: Iterable[bytes]) -> Streamed:
    """Feed a parser, and put its events together; each event in its place or a failure."""
    parser, seen = Parser(B), Streamed([])
    open_part: list[PartBegin] = []
    for piece in pieces:
        for event in parser.feed(piece):
            _take(event, seen, open_part)
        seen.held = max(seen.held, len(parser._rest))
    parser.close()
    assert (seen.ended, open_part) == (True, [])
    return seen


def _take(event: Event, seen: Streamed, open_part: list[PartBegin]) -> None:
    assert not seen.ended
    if isinstance(event, PartBegin):
        assert not open_part
        open_part.append(event)
        seen.parts.append((event.name, event.filename, event.content_type, b""))
    elif isinstance(event, PartData):
        assert open_part
        assert event.data
        name, filename, content_type, value = seen.parts[-1]
        seen.parts[-1] = (name, filename, content_type, value + bytes(event.data))
    elif isinstance(event, PartEnd):
        open_part.pop()
    else:
        assert isinstance(event, FormEnd)
        assert not open_part
        seen.ended = True


TRICKY = (b"\r\n", b"\r", b"\n", b"-", b"--", b"--b", b"\r\n--", f"\r\n--{B[:-1]}".encode(), b"x")
DATA = st.lists(st.sampled_from(TRICKY) | st.binary(max_size=8), max_size=8).map(b"".join)
HEADERS = st.sampled_from([MODEL, FILE, f"Content-Type: a/b\r\n{FILE}", MODEL + ": x", "x"])
PARTS = st.lists(st.builds(part, HEADERS, DATA), max_size=4)
CUTS = st.lists(st.integers(0, 400), max_size=12) | st.just(list(range(400)))


@settings(max_examples=examples(700), deadline=None)
@given(
    parts=PARTS,
    cuts=CUTS,
    spoil=st.none() | st.tuples(st.integers(0, 400), st.sampled_from(TRICKY)),
)
def test_a_stream_in_any_pieces_is_read_as_the_whole(
    parts: list[bytes], cuts: list[int], spoil: tuple[int, bytes] | None
) -> None:
    body = form(*parts)
    if spoil is not None:
        body = body[: spoil[0]] + spoil[1] + body[spoil[0] :]
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[a:b] for a, b in itertools.pairwise(places)]
    whole: list[Read] | str
    by_piece: list[Read] | str
    try:
        whole = read(body)
    except MultipartError as error:
        whole = str(error)
    try:
        by_piece = streamed(pieces).parts
    except MultipartError as error:
        by_piece = str(error)
    assert by_piece == whole


@pytest.mark.slow
def test_a_stream_of_any_length_is_not_kept() -> None:
    def pieces() -> Iterable[bytes]:
        whole = form(part(FILE, b""))
        cut = whole.index(b"\r\n\r\n") + 4
        yield whole[:cut]
        yield from (b"\r\n--" + B.encode()[:-1] for _ in range(50_000))
        yield whole[cut:]

    seen = streamed(pieces())
    assert len(seen.parts[0][3]) == 50_000 * (len(B) + 3)
    assert seen.held <= len(FILE) + 4


def test_after_a_refusal_nothing_is_read_any_more() -> None:
    parser = Parser(B)
    with pytest.raises(MultipartError, match=BEGIN):
        parser.feed(b"x")
    with pytest.raises(MultipartError, match="the form was refused already"):
        parser.feed(GOOD)
    with pytest.raises(MultipartError, match=END):
        parser.close()
