"""Forms: what clients send is read; what has two readings is refused."""

from __future__ import annotations

import pytest

from sidecar.extract.multipart import Limits, MultipartError, Parser, boundary_of, parse
from tests.support.gate.forms import (
    BEGIN,
    END,
    FILE,
    GOOD,
    LINES,
    MODEL,
    TYPE,
    B,
    form,
    part,
    read,
    refusal,
)

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


EVERY_CHARACTER = "aB9'()+_,-./:=? x"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=x", "x"),
        ('Multipart/Form-Data;boundary="a-b.c_d+e"', "a-b.c_d+e"),
        ("multipart/form-data ; charset=utf-8 ; BOUNDARY=x ", "x"),
        ('multipart/form-data; charset="UTF-8"; boundary=x', "x"),
        ("multipart/form-data; boundary=" + "x" * 70, "x" * 70),
        (f'multipart/form-data; boundary="{EVERY_CHARACTER}"', EVERY_CHARACTER),
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


@pytest.mark.parametrize(
    "names",
    [
        'filename="a\\"b\\\\c.wav"',
        'filename="a\\"b.wav"; filename*=UTF-8\'\'a%22b.wav',
        "filename=\"my file.wav\"; filename*=utf-8''my%20file.wav",
        "filename=\"=?utf-8?B?w6Qud2F2?=\"; filename*=utf-8''%C3%A4.wav",
        "filename=\"=?UTF-8?Q?a_b.wav?=\"; filename*=UTF-8''a%20b.wav",
        "filename=\"_.wav\"; filename*=UTF-8''%C3%A4.wav",
    ],
)
def test_a_file_name_may_be_written_in_two_encodings_and_with_escapes(names: str) -> None:
    head = f'Content-Disposition: form-data; name="file"; {names}'
    (found,) = read(form(part(head)))
    assert (found[0], found[2], found[3]) == ("file", None, b"m")


# ---- the Content-Type ----------------------------------------------------------------------------

NOT_PLAIN = "Content-Type must be multipart/form-data; boundary=BOUNDARY"
NO_BOUNDARY = (
    "Content-Type has no boundary of 1 to 70 characters of RFC 2046; other characters than"
    " letters, digits, '+', '_', '.' and '-' need double quotes around the boundary"
)


def twice(name: str) -> str:
    return f"Content-Type may have the parameters boundary and charset, once each, not {name}"


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
        ('multipart/form-data; boundary="a "', NO_BOUNDARY),
        ("multipart/form-data; boundary=a b", NOT_PLAIN),
        ("multipart/form-data; boundary=a=b", NO_BOUNDARY),
        ("multipart/form-data; boundary=a:b", NO_BOUNDARY),
        ('multipart/form-data; boundary="a;b"', NO_BOUNDARY),
        ("multipart/form-data; boundary=a\tb", NOT_PLAIN),
        ("multipart/form-data; boundary=a,b", NO_BOUNDARY),
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


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a ", "\u212a", "a\n", "a;b", 'a"b'])
def test_a_parser_takes_no_boundary_outside_the_grammar(boundary: str) -> None:
    with pytest.raises(MultipartError, match="not a boundary of 1 to 70 characters of RFC 2046"):
        Parser(boundary)


# ---- the headers of a part -----------------------------------------------------------------------

DISPOSITION = "a part's Content-Disposition is not form-data with a plain name and filename"


def other(header: str) -> str:
    return (
        "a part must have one Content-Disposition and at most one Content-Type,"
        f" Content-Length and Content-Transfer-Encoding, and no other header; found {header!r}"
    )


def changed(encoding: str) -> str:
    return (
        f"a part's Content-Transfer-Encoding is {encoding!r}, which changes its data; send the"
        " part as it is, without that header"
    )


OTHER_LENGTH = "a part's Content-Length is not that of its data"
TWO_NAMES = "a part has two different filenames"
PART_TYPE = (
    "a part's Content-Type must be TYPE/SUBTYPE with simple"
    " parameters, and not multipart or message"
)
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
        (CD + 'form-data; name="model"; filename="a"; filename*=utf-8\'\'b', TWO_NAMES),
        (CD + 'form-data; name="model"; filename="a"; filename*=utf-8\'\'a%FF', TWO_NAMES),
        (CD + 'form-data; name="model"; filename="a"; filename*=latin-1\'\'a', DISPOSITION),
        (
            CD + 'form-data; name="model"; filename="=?utf-8?B?Yg==?="; filename*=utf-8\'\'a',
            TWO_NAMES,
        ),
        (CD + 'form-data; name="model"; filename="=?utf-8?B?w?="; filename*=utf-8\'\'a', TWO_NAMES),
        (CD + 'form-data; name="x"; filename="a; name=model"', DISPOSITION),
        (CD + 'form-data; name="x"; filename="name*=utf-8\'\'model"', DISPOSITION),
        (CD + 'form-data; name="x"; filename="a\\"; filename=b"', DISPOSITION),
        # twice
        (CD + 'form-data; name="x"; name="model"', DISPOSITION),
        (CD + 'form-data; name="model"; Name="x"', DISPOSITION),
        (CD + 'form-data; name="model"; filename="a"; filename="b"', DISPOSITION),
        (f'{MODEL}\r\n{CD}form-data; name="x"', other("content-disposition")),
        (f"{MODEL}\r\nContent-Type: text/plain\r\nContent-Type: text/html", other("content-type")),
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
        *(
            (f"{MODEL}\r\nContent-Transfer-Encoding: {encoding}", changed(encoding))
            for encoding in ("base64", "quoted-printable", "x-uuencode", "binary, 7bit", "")
        ),
        (
            f"{MODEL}\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64",
            other("content-transfer-encoding"),
        ),
        (f"{MODEL}\r\nContent-Length: +1", other("content-length")),
        (f"{MODEL}\r\nContent-Length: 01", other("content-length")),
        (f"{MODEL}\r\nContent-Length: 1\r\nContent-Length: 1", other("content-length")),
        (f"{MODEL}\r\nContent-Length: 2", OTHER_LENGTH),
        (f"{MODEL}\r\nContent-Length: 0", OTHER_LENGTH),
        (f"{MODEL}\r\nX-Other: 1", other("x-other")),
        # lines
        ('Content-Disposition: form-data;\r\n name="model"', LINES),
        ('Content-Disposition: form-data;\r\n\tname="model"', LINES),
        (f"{MODEL}\r\n name=x: y", other(" name=x")),
        (f"{MODEL}\nContent-Type: text/plain", LINES),
        (f"{MODEL}\rContent-Type: text/plain", LINES),
        (f"{MODEL}\x00", LINES),
        (f"{MODEL}\x0b", LINES),
        (f"{MODEL}\x85", LINES),
        (f"{MODEL}\u2028", LINES),
        (f"{MODEL}\r\nnothing", LINES),
        (f"\r\n{MODEL}", LINES),
        (f"Content-Disposition : {MODEL[21:]}", other("content-disposition ")),
        (f" {MODEL}", other(" content-disposition")),
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
                (
                    "a part's Content-Type has the parameter name, by which"
                    " some parsers take the part for a file"
                ),
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

PLACE = "the boundary is not followed by a part, or the form has no part"
INSIDE = "a part's data contains the boundary's characters"
AFTER = "the form has bytes after its last boundary"


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
        (form(part(f"{MODEL}\r\n--{B}: x")), "a part's headers contain the boundary"),
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
        (
            form(part(data=b"abcd")),
            "the field model has more than 3 bytes, the limit for a text field of this operation",
        ),
    ):
        with pytest.raises(MultipartError) as caught:
            parse(TYPE, body, small)
        assert str(caught.value) == why
