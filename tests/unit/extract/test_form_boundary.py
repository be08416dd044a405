"""Boundaries: a line that delimits parts for a parser that shortens the boundary is refused."""

from __future__ import annotations

import pytest

from sidecar.extract.form_boundary import MAX_LINES, ShortDelimiters
from sidecar.extract.multipart import MultipartError

WHY = (
    "a part's data has a line that is the delimiter of a shorter boundary, by which some parsers"
    " would divide the form; send it with another boundary"
)


def search(boundary: str, pieces: list[bytes]) -> str:
    """The refusal of a part's data, empty where there is none."""
    found = ShortDelimiters(boundary)
    found.begin()
    try:
        for piece in pieces:
            found.feed(piece)
        found.end()
    except MultipartError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("boundary", "data"),
    [
        ("ab,cd", b"x\r\n--ab\r\nx"),
        ("ab,cd", b"--ab\nx"),
        ("ab,cd", b"x\r--ab"),
        ("ab,cd", b"x\n--ab--"),
        ("ab,cd", b"x\r\n--cd" + b" \t" * 5000 + b"\r\nx"),
        ("ab=cd=ef", b'x\r\n--"cd"\r\nx'),
    ],
)
def test_a_delimiter_of_a_shorter_boundary_is_found_in_any_pieces(
    boundary: str, data: bytes, size: int
) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert search(boundary, pieces) == WHY


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("boundary", "data"),
    [
        ("ab+cd", b"x\r\n--ab\r\nx"),
        ("ab,cd", b"x--ab\r\n--abx\r\n--a\r\n--x" + b"y" * 5000 + b"\r\n-- ab\r\n---ab"),
        ("=ab", b"\r\n--\r\n----\r\n--\xff\r\n"),
        ("ab,cd", b"\r\n--ab" + b" " * 5000 + b"x\r\n"),
    ],
)
def test_other_lines_are_left_alone(boundary: str, data: bytes, size: int) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert search(boundary, pieces) == ""


def test_no_form_holds_up_a_gate_by_lines_that_begin_like_a_delimiter() -> None:
    """26 MiB of them took four seconds; a form of one line of text costs a tenth."""
    assert search("ab,cd", [b"\n--x\n" * (MAX_LINES // 2)] * 2) == ""
    refused = search("ab,cd", [b"\n--x\n" * (MAX_LINES // 2)] * 3)
    assert refused == (
        "the form has more than 4096 lines that begin with two dashes, of which a parser that"
        " shortens the boundary could take one for a delimiter; use a boundary of letters and"
        " digits alone"
    )
    assert search("abcd", [b"\n--x\n" * MAX_LINES] * 3) == ""


def test_a_long_line_is_not_kept() -> None:
    found = ShortDelimiters("ab,cd")
    found.begin()
    for _ in range(1000):
        found.feed(b"--" + b"x" * 1000)
    assert len(found._line) <= 81
