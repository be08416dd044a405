"""Forms: what clients send is read, in any pieces; what has two readings is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.gate.multipart import (
    AmbiguousFieldError,
    Event,
    FormEnd,
    Limits,
    MultipartError,
    Parser,
    Part,
    PartBegin,
    PartData,
    PartEnd,
    boundary_of,
    fields,
    parse,
    refuse_twins,
)

B = "b" * 24
TYPE = f"multipart/form-data; boundary={B}"
MODEL = 'Content-Disposition: form-data; name="model"'
FILE = 'Content-Disposition: form-data; name="file"; filename="a.jsonl"'

Read = tuple[str, str | None, str | None, bytes]


def part(headers: str | bytes = MODEL, data: bytes = b"m") -> bytes:
    lines = headers.encode() if isinstance(headers, str) else headers
    return lines + b"\r\n\r\n" + data + b"\r\n"


def form(*parts: bytes, boundary: str = B, end: bytes = b"\r\n") -> bytes:
    mark = b"--" + boundary.encode()
    return b"".join(mark + b"\r\n" + each for each in parts) + mark + b"--" + end


def plain(parts: Iterable[Part]) -> list[Read]:
    return [(p.name, p.filename, p.content_type, bytes(p.value)) for p in parts]


def read(body: bytes, content_type: str = TYPE) -> list[Read]:
    return plain(parse(content_type, body))


def refusal(body: bytes, content_type: str = TYPE) -> str:
    with pytest.raises(MultipartError) as caught:
        parse(content_type, body)
    return str(caught.value)


# ---- what clients send ---------------------------------------------------------------------------


def test_a_form_is_read_part_by_part_in_order_and_doubles_stay() -> None:
    body = form(
        part(f"{FILE}\r\nContent-Type: application/jsonl; charset=UTF-8", b"{}\r\n\r\n--\r\n\x00"),
        part(data=b"first"),
        part("content-type:text/plain\r\nCONTENT-DISPOSITION:form-data; name=model", b""),
        part('Content-Disposition: form-data; name="include[]"', "é".encode()),
        part("Content-Disposition: form-data; name=x; filename=a.b"),
        part('Content-Disposition: form-data; name="y"; filename="ä; b%22 \'c\'"'),
    )
    assert read(body) == [
        ("file", "a.jsonl", "application/jsonl; charset=UTF-8", b"{}\r\n\r\n--\r\n\x00"),
        ("model", None, None, b"first"),
        ("model", None, "text/plain", b""),
        ("include[]", None, None, "é".encode()),
        ("x", "a.b", None, b"m"),
        ("y", "ä; b%22 'c'", None, b"m"),
    ]


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=x", "x"),
        ('Multipart/Form-Data;boundary="a-b.c_d+e"', "a-b.c_d+e"),
        ("multipart/form-data ; charset=utf-8 ; BOUNDARY=x ", "x"),
        ('multipart/form-data; charset="UTF-8"; boundary=x', "x"),
        ("multipart/form-data; boundary=" + "x" * 70, "x" * 70),
        (
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
    ],
)
def test_a_plain_boundary_is_read_off_the_content_type(content_type: str, boundary: str) -> None:
    assert boundary_of(content_type) == boundary


def test_the_last_line_end_may_be_left_out() -> None:
    assert read(form(part(), end=b"")) == [("model", None, None, b"m")]


def test_a_part_s_value_is_a_view_of_the_body_and_not_a_copy() -> None:
    body = form(part(FILE, b"x" * 100))
    (found,) = parse(TYPE, body)
    assert found.value.obj is body


# ---- the Content-Type ----------------------------------------------------------------------------

NOT_PLAIN = "Content-Type is not multipart/form-data, plainly written"
NO_BOUNDARY = "Content-Type has no boundary of 1 to 70 plain characters"


def twice(name: str) -> str:
    return f"Content-Type has the parameter {name} twice, or may not have it"


@pytest.mark.parametrize(
    ("content_type", "why"),
    [
        ("multipart/form-data", NO_BOUNDARY),
        ("multipart/form-data; charset=utf-8", NO_BOUNDARY),
        ("multipart/form-data; boundary=", NOT_PLAIN),
        ('multipart/form-data; boundary=""', NOT_PLAIN),
        ("multipart/form-data; boundary=" + "x" * 71, NO_BOUNDARY),
        ("multipart/form-data; boundary=a; boundary=a", twice("boundary")),
        ("multipart/form-data; boundary=a; Boundary=b", twice("boundary")),
        ("multipart/form-data; boundary*=utf-8''a", NOT_PLAIN),
        ("multipart/form-data; boundary*0=a; boundary*1=b", NOT_PLAIN),
        ('multipart/form-data; boundary="a\\"b"', NOT_PLAIN),
        ('multipart/form-data; boundary="a b"', NOT_PLAIN),
        ('multipart/form-data; boundary="a;b"', NO_BOUNDARY),
        ("multipart/form-data; boundary=a\tb", NOT_PLAIN),
        ("multipart/form-data; boundary=a,b", NO_BOUNDARY),
        ('multipart/form-data; boundary="a:b"', NO_BOUNDARY),
        ("multipart/form-data; boundary=a'b", NO_BOUNDARY),
        ("multipart/form-data; boundary=\xe9", NOT_PLAIN),
        ("multipart/form-data; boundary=a\xa0", NOT_PLAIN),
        ("multipart/form-data; boundary =a", NOT_PLAIN),
        ("multipart/form-data; boundary= a", NOT_PLAIN),
        ("multipart/form-data; boundary=a;", NOT_PLAIN),
        ("multipart/form-data boundary=a", NOT_PLAIN),
        ("multipart/form-data, boundary=a", NOT_PLAIN),
        ("multipart/form-data; boundary=a, multipart/form-data; boundary=b", NOT_PLAIN),
        ("multipart/form-data; boundary=a" + " " * 512, NOT_PLAIN),
        ("multipart/form-data; boundary=a; charset=latin1", "the form's charset is not UTF-8"),
        ("multipart/form-data; boundary=a; charset=utf-16", "the form's charset is not UTF-8"),
        ("multipart/form-data; boundary=a; x=y", twice("x")),
        ("multipart/mixed; boundary=a", NOT_PLAIN),
        ("multipart/related; boundary=a", NOT_PLAIN),
        (" multipart/form-data; boundary=a", NOT_PLAIN),
        ("", NOT_PLAIN),
    ],
)
def test_a_content_type_with_two_readings_is_refused(content_type: str, why: str) -> None:
    assert refusal(form(part(), boundary="a"), content_type) == why


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a b", "\u212a", "a\n"])
def test_a_parser_takes_no_boundary_outside_the_grammar(boundary: str) -> None:
    with pytest.raises(MultipartError, match="not a boundary of 1 to 70 plain characters"):
        Parser(boundary)


# ---- the headers of a part -----------------------------------------------------------------------

DISPOSITION = "a part's Content-Disposition is not form-data with a plain name and filename"
ONE_OF_EACH = "a part's headers are not one Content-Disposition and at most one Content-Type"
LINES = "a part's headers are folded, not lines, or hold control characters"
PART_TYPE = "a part's Content-Type is not plain, or holds parts of its own"
PART_CHARSET = "a part's charset is not UTF-8"
CD = "Content-Disposition: "


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        # extended and continued parameters
        (CD + "form-data; name*=utf-8''model", DISPOSITION),
        (CD + "form-data; name=\"x\"; name*=utf-8''model", DISPOSITION),
        (CD + 'form-data; name*0="mo"; name*1="del"', DISPOSITION),
        (CD + "form-data; name=\"model\"; filename*=utf-8''x", DISPOSITION),
        (CD + 'form-data; name="model"; filename="a"; filename*=utf-8\'\'b', DISPOSITION),
        # twice
        (CD + 'form-data; name="x"; name="model"', DISPOSITION),
        (CD + 'form-data; name="model"; Name="x"', DISPOSITION),
        (CD + 'form-data; name="model"; filename="a"; filename="b"', DISPOSITION),
        (f'{MODEL}\r\n{CD}form-data; name="x"', ONE_OF_EACH),
        (f"{MODEL}\r\nContent-Type: text/plain\r\nContent-Type: text/html", ONE_OF_EACH),
        # quoting
        (CD + 'form-data; name="mo\\"del"', DISPOSITION),
        (CD + 'form-data; name="mo\\del"', DISPOSITION),
        (CD + 'form-data; name="mo"del"', DISPOSITION),
        (CD + "form-data; name='model'", DISPOSITION),
        (CD + 'form-data; name="model', DISPOSITION),
        (CD + 'form-data; name=mo"del"', DISPOSITION),
        (CD + 'form-data; name="mo%64el"', DISPOSITION),
        (CD + 'form-data; name="model%22"', DISPOSITION),
        (CD + 'form-data; name="x;name=model"', DISPOSITION),
        (CD + 'form-data; name="model"; filename="a\\"; name=\\"b"', DISPOSITION),
        # names
        (CD + 'form-data; name=""', DISPOSITION),
        (CD + "form-data", DISPOSITION),
        (CD + 'form-data; filename="model"', DISPOSITION),
        (CD + 'form-data; filename="x"; name="model"', DISPOSITION),
        (CD + 'form-data; name="model"; filename=""', DISPOSITION),
        (CD + 'form-data; name=" model"', DISPOSITION),
        (CD + 'form-data; name="model "', DISPOSITION),
        (CD + 'form-data; name="ｍodel"', DISPOSITION),
        (CD + 'form-data; name="=?utf-8?q?model?="', DISPOSITION),
        (CD + 'form-data; name="model[a][b][c][d][e]"', DISPOSITION),
        (CD + 'form-data; name="model[]x"', DISPOSITION),
        (CD + 'form-data; name="[model]"', DISPOSITION),
        (CD + 'form-data; name="' + "m" * 65 + '"', DISPOSITION),
        (CD + 'form-data; name="model"; x="y"', DISPOSITION),
        (CD + 'form-data; name="model";', DISPOSITION),
        (CD + 'form-data; name="model" ', DISPOSITION),
        (CD + 'form-data;name="model"', DISPOSITION),
        (CD + 'form-data ; name="model"', DISPOSITION),
        (CD + 'form-data; name = "model"', DISPOSITION),
        (CD + 'form-data, name="model"', DISPOSITION),
        (CD + 'Form-Data; name="model"', DISPOSITION),
        (CD + 'attachment; name="model"', DISPOSITION),
        (CD + 'file; name="model"', DISPOSITION),
        (CD, DISPOSITION),
        ("Content-Type: text/plain", DISPOSITION),
        *(
            (
                f'{CD}form-data; name="{name}"',
                "the field _charset_ would change how the others are read",
            )
            for name in ("_charset_", "_CHARSET_")
        ),
        # other headers
        (f"{MODEL}\r\nContent-Transfer-Encoding: base64", ONE_OF_EACH),
        (f"{MODEL}\r\nContent-Transfer-Encoding: binary", ONE_OF_EACH),
        (f"{MODEL}\r\nContent-Length: 1", ONE_OF_EACH),
        (f"{MODEL}\r\nX-Other: 1", ONE_OF_EACH),
        # lines
        ('Content-Disposition: form-data;\r\n name="model"', LINES),
        ('Content-Disposition: form-data;\r\n\tname="model"', LINES),
        (f"{MODEL}\r\n name=x: y", ONE_OF_EACH),
        (f"{MODEL}\nContent-Type: text/plain", LINES),
        (f"{MODEL}\rContent-Type: text/plain", LINES),
        (f"{MODEL}\x00", LINES),
        (f"{MODEL}\x0b", LINES),
        (f"{MODEL}\x85", LINES),
        (f"{MODEL}\u2028", LINES),
        (f"{MODEL}\r\nnothing", LINES),
        (f"\r\n{MODEL}", LINES),
        (f"Content-Disposition : {MODEL[21:]}", ONE_OF_EACH),
        (f" {MODEL}", ONE_OF_EACH),
        (MODEL.encode() + b'; filename="\xff"', "a part's headers are not UTF-8"),
        (MODEL.encode() + b'; filename="\xc0\xaf"', "a part's headers are not UTF-8"),
        # types
        (f"{MODEL}\r\nContent-Type: multipart/mixed; boundary=x", PART_TYPE),
        (f"{MODEL}\r\nContent-Type: Multipart/Form-Data; boundary=x", PART_TYPE),
        (f"{MODEL}\r\nContent-Type: message/rfc822", PART_TYPE),
        (f"{MODEL}\r\nContent-Type: text", PART_TYPE),
        (f"{MODEL}\r\nContent-Type:", PART_TYPE),
        (f"{MODEL}\r\nContent-Type: text/plain; charset", PART_TYPE),
        (f"{MODEL}\r\nContent-Type: text/plain; charset*=utf-8''utf-16", PART_TYPE),
        (f'{MODEL}\r\nContent-Type: text/plain; a="b\\"c"', PART_TYPE),
        *(
            (
                f"{MODEL}\r\nContent-Type: text/plain{name}",
                "a part's Content-Type has a name, which makes a file of it",
            )
            for name in ("; name=a", ";NAME=a", '; charset=utf-8; name="a"')
        ),
        (f"{MODEL}\r\nContent-Type: text/plain; charset=utf-16", PART_CHARSET),
        (f'{MODEL}\r\nContent-Type: text/plain; Charset="latin1"', PART_CHARSET),
        (f"{MODEL}\r\nContent-Type: text/plain; charset=utf-8; charset=utf-8", PART_CHARSET),
    ],
)
def test_headers_with_two_readings_are_refused(headers: str | bytes, why: str) -> None:
    assert refusal(form(part(headers))) == why


# ---- the form ------------------------------------------------------------------------------------

BEGIN = "the form does not begin with its boundary"
PLACE = "the boundary stands where no part ends, or no part follows"
INSIDE = "the boundary stands inside a part's data"
END = "the form does not end with its boundary"
AFTER = "something follows the form's last boundary"
GOOD = form(part())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\r\n" + GOOD, BEGIN),
        (b"preamble\r\n" + GOOD, BEGIN),
        (GOOD.replace(b"\r\n", b"\n"), PLACE),
        (b"", END),
        (f"--{B}--\r\n".encode(), PLACE),
        (GOOD + b"epilogue", AFTER),
        (GOOD + b"\r\n", AFTER),
        (GOOD + GOOD, AFTER),
        (GOOD[:-1], END),
        (GOOD[:-2] + b"\n", AFTER),
        (GOOD[:-2] + b"-", AFTER),
        (GOOD[:-3], END),
        (GOOD[:-4], END),
        (form(part())[: -len(B) - 8], END),
        (form(part(), boundary="c" * 24), BEGIN),
        (form(part(data=b"a\n--" + B.encode() + b"\r\nb")), INSIDE),
        (form(part(data=b"a\r--" + B.encode() + b"--\r\nb")), INSIDE),
        (form(part(data=b"a--" + B.encode())), INSIDE),
        (form(part(data=b"--" + B.encode())), INSIDE),
        (form(part(data=b"a\r\n" + B.encode())), INSIDE),
        (form(part(data=b"a" + B.encode() + b"c")), INSIDE),
        (form(part(data=B.encode())), INSIDE),
        (form(part(data=b"a\r\n--" + B.encode() + b"x")), PLACE),
        (form(part(data=b"a\r\n--" + B.encode() + b" \r\n")), PLACE),
        (form(part(data=b"a\r\n--" + B.encode() + b"\n")), PLACE),
        (form(part(data=b"a\r\n--" + B.encode() + b"-\r\n")), PLACE),
        (form(part(f"{MODEL}\r\n--{B}: x")), "the boundary stands inside a part's headers"),
        (form(MODEL.encode() + b"\r\n"), END),
        (form(MODEL.encode() + b"\r\n\r\n"), INSIDE),
        (form(part("\r\n")), LINES),
        (form(b"\r\nm\r\n"), END),
    ],
)
def test_a_form_with_two_readings_is_refused(body: bytes, why: str) -> None:
    assert refusal(body) == why


def test_each_limit_is_a_refusal_one_past_it() -> None:
    small = Limits(header_bytes=60, parts=2, text_bytes=3)
    fits = f"{MODEL}; filename=" + "a" * (60 - 4 - len(MODEL) - 11)
    assert len(parse(TYPE, form(part(fits, b"x" * 99), part(data=b"abc")), small)) == 2
    for body, why in (
        (form(part(fits + "a")), "a part's headers have more than 60 bytes"),
        (form(part(), part(), part()), "more than 2 parts"),
        (form(part(data=b"abcd")), "a field has more than 3 bytes"),
    ):
        with pytest.raises(MultipartError) as caught:
            parse(TYPE, body, small)
        assert str(caught.value) == why


# ---- in pieces -----------------------------------------------------------------------------------


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


@settings(max_examples=1500, deadline=None)
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


# ---- fields --------------------------------------------------------------------------------------


def named(*names: str, data: bytes = b"m") -> tuple[Part, ...]:
    disposition = 'Content-Disposition: form-data; name="{}"'
    return parse(TYPE, form(*(part(disposition.format(name), data) for name in names)))


def test_wanted_fields_are_read_as_text_and_the_others_are_left_alone() -> None:
    parts = named("model", "include[]", "include[]", "prompt", "modelling", data="é".encode())
    assert fields(parts, ["model", "stream"]) == {"model": "é"}


@pytest.mark.parametrize(
    "name",
    ["Model", "MODEL", "model[]", "model[0]", "model[a]", "Model[]", "model[][]"],
)
def test_a_field_that_some_server_takes_for_a_wanted_one_is_refused(name: str) -> None:
    with pytest.raises(AmbiguousFieldError) as caught:
        fields(named("model", name), ["model"])
    assert str(caught.value) == f"the field {name} is a twin of one that is read"


@pytest.mark.parametrize(
    ("wanted", "twin"), [("include[]", "include"), ("api-version", "api_version")]
)
def test_lists_and_hyphens_have_twins_too(wanted: str, twin: str) -> None:
    refuse_twins([wanted, "x"], [wanted])
    with pytest.raises(AmbiguousFieldError):
        refuse_twins([twin], [wanted])


def test_a_wanted_field_comes_once_as_text() -> None:
    with pytest.raises(AmbiguousFieldError, match="the field model is given twice"):
        fields(named("model", "x", "model"), ["model"])
    with pytest.raises(AmbiguousFieldError, match="the field file is a file"):
        fields(parse(TYPE, form(part(FILE))), ["file"])
    with pytest.raises(MultipartError, match="the field model is not UTF-8"):
        fields(named("model", data=b"\xff"), ["model"])
    with pytest.raises(MultipartError, match="the field model begins with a byte-order mark"):
        fields(named("model", data=b"\xef\xbb\xbfm"), ["model"])


@pytest.mark.parametrize("name", ["svg[model]", "svg[Model]", "a[b][model]"])
def test_a_field_that_names_a_model_where_none_is_wanted_is_refused(name: str) -> None:
    with pytest.raises(AmbiguousFieldError) as caught:
        fields(named("prompt", name, "svg[size]"), ["prompt"])
    assert str(caught.value) == f"the field {name} names a model where none is known"
    assert fields(named(name), [name]) == {name: "m"}


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; a=b", "text/x.y+json"])
def test_a_field_of_json_that_nobody_reads_is_refused(kind: str) -> None:
    head = f'Content-Disposition: form-data; name="session"\r\nContent-Type: {kind}'.encode()
    with pytest.raises(AmbiguousFieldError) as caught:
        fields(parse(TYPE, form(part(head))), ["prompt"])
    assert str(caught.value) == "the field session is JSON, which could name a model"


@pytest.mark.parametrize(
    "data",
    [
        b'{"model": "y"}',
        b' [{"a": {"Model_ID": 1}}]',
        b'{"m\\u006fdel": 1}',
        b'{"\xef\xbd\x8d": 1}',
    ],
)
def test_a_field_that_reads_as_json_with_a_model_is_refused(data: bytes) -> None:
    """Some servers parse whatever text looks like JSON; only what is wanted is known to be text."""
    with pytest.raises(AmbiguousFieldError) as caught:
        fields(named("session", data=data), ["prompt"])
    assert str(caught.value) == "the field session reads as JSON that names a model"
    assert fields(named("prompt", data=data), ["prompt"]) == {"prompt": data.decode()}
    assert fields(named("session", data=b'{"type": "server_vad"}'), ["prompt"]) == {}
