"""Forms that some reader takes in a way of its own, and plain ones that all take alike."""

from __future__ import annotations

B = "b" * 24
TYPE = f"multipart/form-data; boundary={B}"
MODEL = 'Content-Disposition: form-data; name="model"'
FILE = 'Content-Disposition: form-data; name="file"; filename="a.wav"'
OTHER = 'Content-Disposition: form-data; name="prompt"'
EVERY_CHARACTER = "aB9'()+_,-./:=? x"
Form = tuple[str, bytes]


def part(headers: str | bytes = MODEL, data: str | bytes = b"m") -> bytes:
    return raw(headers) + b"\r\n\r\n" + raw(data) + b"\r\n"


def raw(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def body(*parts: bytes, boundary: str = B, end: bytes = b"\r\n") -> bytes:
    mark = b"--" + boundary.encode("latin-1")
    return b"".join(mark + b"\r\n" + each for each in parts) + mark + b"--" + end


def form(*parts: bytes) -> Form:
    return TYPE, body(*parts)


def bounded(content_type: str, boundary: str = B) -> Form:
    return content_type, body(part(), boundary=boundary)


def disposition(rest: str) -> Form:
    return form(part("Content-Disposition: " + rest))


M = part()
WAV = part(f"{FILE}\r\nContent-Type: audio/wav", bytes(range(256)))

PLAIN: dict[str, Form] = {
    "a field": form(M),
    "no last line end": (TYPE, body(M, end=b"")),
    "file and field": form(WAV, M, part(OTHER, "hello")),
    "field and file": form(M, WAV),
    "unquoted": disposition("form-data; name=model"),
    "a file unquoted": form(part("Content-Disposition: form-data; name=file; filename=a.b"), M),
    "no space after the colon": form(part('Content-Disposition:form-data; name="model"')),
    "lower case": form(part(MODEL.replace("Content-D", "content-d"))),
    "type first": form(part("Content-Type: text/plain; charset=utf-8\r\n" + MODEL)),
    "type last": form(part(MODEL + "\r\nContent-Type: application/json")),
    "empty": form(part(data=b"")),
    "line ends in data": form(part(data=b"\r\n\n\r--\r\n-- \r\n"), WAV),
    "line ends in a file": form(part(FILE, b"\r\n\n\r--\r\n--bb\r\n\r\n"), M),
    "dashes at the end": form(part(data=b"m\r\n--")),
    "file names": form(part(FILE.replace("a.wav", "ä %22 ;'(=")), M),
    "lists": form(part('Content-Disposition: form-data; name="include[]"', "x"), M),
    "doubled others": form(part(OTHER), part(OTHER), M),
    "browser": bounded(
        "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
        "----WebKitFormBoundary7MA4YWxkTrZu0gW",
    ),
    "quoted boundary": bounded(f'multipart/form-data; boundary="{B}"'),
    "with charset": bounded(f"multipart/form-data; charset=UTF-8; boundary={B}"),
    "other characters": bounded("multipart/form-data; boundary=-b+c_d.e-f", "-b+c_d.e-f"),
    "one character": bounded("multipart/form-data; boundary=x", "x"),
    "70 characters": bounded("multipart/form-data; boundary=" + "x" * 70, "x" * 70),
    "MIXED CASE": bounded(f"Multipart/Form-Data; Boundary={B}"),
    "a filename twice the same": form(
        part("Content-Disposition: form-data; name=file; filename=a.b; filename*=utf-8''a.b"), M
    ),
    "a filename twice, quoted": form(
        part(f"{FILE}; filename*=UTF-8''a%2Ewav\r\nContent-Type: audio/wav"), M
    ),
    "lengths": form(
        part(f"{FILE}\r\nContent-Type: audio/wav\r\nContent-Length: 300", b"x" * 300),
        part(f"{MODEL}\r\nContent-Length: 1"),
        part(f"{OTHER}\r\nContent-Length: 0", ""),
    ),
    "a long file": form(part(FILE, b"x" * 300_000), M),
    "a long text": form(part(OTHER, b"x" * 300_000), M),
    "every character in the boundary": bounded(
        f'multipart/form-data; boundary="{EVERY_CHARACTER}"', EVERY_CHARACTER
    ),
    "lines like the boundary": (
        'multipart/form-data; boundary="ab=cd"',
        body(part(OTHER, "--ab1\r\n--xab\r\n--\r\n---\r\n--cd x"), M, boundary="ab=cd"),
    ),
    **{
        f"{encoding}": form(
            part(f"{FILE}\r\nContent-Transfer-Encoding: {encoding}", bytes(range(256))),
            part(f"{MODEL}\r\nContent-Transfer-Encoding: {encoding}", "mä"),
        )
        for encoding in ("7bit", "8bit", "binary", "BINARY")
    },
    "a filename in two encodings": form(
        part(
            'Content-Disposition: form-data; name=file; filename="=?utf-8?B?w6Qud2F2?=";'
            " filename*=utf-8''%C3%A4.wav"
        ),
        M,
    ),
    "a filename with a fallback": form(
        part(f"{FILE.replace('a.wav', '_.wav')}; filename*=UTF-8''%C3%A4.wav"), M
    ),
    "backslashes in a filename": form(part(FILE.replace("a.wav", "C:\\a\\b.wav")), M),
    "escaped backslashes in a filename": form(part(FILE.replace("a.wav", "C:\\\\a.wav")), M),
}

TRICKS: dict[str, Form] = {
    # the Content-Type
    "no boundary": bounded("multipart/form-data"),
    "two boundaries": bounded(f"multipart/form-data; boundary=x; boundary={B}"),
    "two boundaries, last wrong": bounded(f"multipart/form-data; boundary={B}; boundary=x"),
    "two boundaries, other case": bounded(f"multipart/form-data; boundary={B}; Boundary=x"),
    "extended boundary": bounded(f"multipart/form-data; boundary*=utf-8''{B}"),
    "both boundaries": bounded(f"multipart/form-data; boundary=x; boundary*=utf-8''{B}"),
    "continued boundary": bounded(f"multipart/form-data; boundary*0={B[:9]}; boundary*1={B[9:]}"),
    "escaped boundary": bounded('multipart/form-data; boundary="a\\b"', "ab"),
    "boundary with space": bounded("multipart/form-data; boundary=a b", "a b"),
    "boundary with equals": bounded("multipart/form-data; boundary=a=b", "a=b"),
    "boundary ends in space": bounded('multipart/form-data; boundary="ab "', "ab "),
    "boundary with colon": bounded("multipart/form-data; boundary=a:b", "a:b"),
    "boundary with comma": bounded("multipart/form-data; boundary=a,b", "a,b"),
    "boundary with semicolon": bounded('multipart/form-data; boundary="a;b"', "a;b"),
    "boundary beyond ASCII": bounded("multipart/form-data; boundary=\xe9", "\xe9"),
    "apostrophe in the boundary": bounded("multipart/form-data; boundary=a'b", "a'b"),
    "no-break space after": bounded(f"multipart/form-data; boundary={B}\xa0"),
    "71 characters": bounded("multipart/form-data; boundary=" + "x" * 71, "x" * 71),
    "space before equals": bounded(f"multipart/form-data; boundary ={B}"),
    "space after equals": bounded(f"multipart/form-data; boundary= {B}"),
    "comment in type": bounded(f"multipart/form-data (x); boundary={B}"),
    "two types": bounded(f"multipart/form-data; boundary={B}, text/plain"),
    "charset UTF-16": bounded(f"multipart/form-data; charset=utf-16; boundary={B}"),
    "multipart/mixed": bounded(f"multipart/mixed; boundary={B}"),
    "urlencoded": ("application/x-www-form-urlencoded", b"model=m"),
    # names
    "extended name": disposition("form-data; name*=utf-8''model"),
    "both names": disposition("form-data; name=\"x\"; name*=utf-8''model"),
    "both names, other order": disposition("form-data; name*=utf-8''model; name=\"x\""),
    "continued name": disposition('form-data; name*0="mo"; name*1="del"'),
    "two names": disposition('form-data; name="x"; name="model"'),
    "two names, other order": disposition('form-data; name="model"; name="x"'),
    "two names, other case": disposition('form-data; name="x"; NAME="model"'),
    "backslash": disposition('form-data; name="mod\\el"'),
    "backslash quote": disposition('form-data; name="mo\\"del"'),
    "backslash at the end": disposition('form-data; name="model\\"'),
    "quote inside": disposition('form-data; name="mo"del"'),
    "open quote": disposition('form-data; name="model'),
    "single quotes": disposition("form-data; name='model'"),
    "half quoted": disposition('form-data; name=mo"del"'),
    "percent": disposition('form-data; name="mo%64el"'),
    "percent quote": disposition('form-data; name="model%22"'),
    "percent line": disposition('form-data; name="model%0D%0A"'),
    "encoded word": disposition('form-data; name="=?utf-8?q?model?="'),
    "beyond ASCII": disposition('form-data; name="möodel"'),
    "full width": disposition('form-data; name="ｍodel"'),
    "Latin-1 name": form(part(b'Content-Disposition: form-data; name="m\xf6del"')),
    "space before": disposition('form-data; name=" model"'),
    "space after": disposition('form-data; name="model "'),
    "tab": disposition('form-data; name="model\t"'),
    "null": disposition('form-data; name="model\x00"'),
    "empty name": disposition('form-data; name=""'),
    "no name": disposition("form-data"),
    "name in another": disposition('form-data; x="; name=model"'),
    "name in the filename": disposition('form-data; name="x"; filename="a\\"; name=\\"model"'),
    "spaces": disposition('form-data ; name = "model"'),
    "no semicolon": disposition('form-data name="model"'),
    "comma": disposition('form-data, name="model"'),
    "comment": disposition('form-data; (name="x") name="model"'),
    "attachment": disposition('attachment; name="model"'),
    "capital form-data": disposition('FORM-DATA; name="model"'),
    "other parameter": disposition('form-data; name="model"; x="y"'),
    # file or not
    "empty filename": disposition('form-data; name="model"; filename=""'),
    "extended filename": disposition("form-data; name=\"model\"; filename*=utf-8''a"),
    "both filenames": disposition('form-data; name="model"; filename=""; filename*=utf-8\'\'a'),
    "continued filename": disposition('form-data; name="model"; filename*0="a"'),
    "two filenames": disposition('form-data; name="model"; filename="a"; filename="b"'),
    "another field in a filename": form(part(FILE.replace("a.wav", "a; name=model")), M),
    "another field in a filename, escaped": form(
        part(FILE.replace("a.wav", 'a\\"; name=\\"model')), M
    ),
    "a name at the start of a filename": form(part(FILE.replace("a.wav", 'name=\\"model\\"')), M),
    "filename first": disposition('form-data; filename="a"; name="model"'),
    "name of a type": form(part(MODEL + '\r\nContent-Type: text/plain; name="a"')),
    "name of a type, extended": form(part(MODEL + "\r\nContent-Type: text/plain; name*=utf-8''a")),
    # headers of a part
    "two dispositions": form(part('Content-Disposition: form-data; name="x"\r\n' + MODEL)),
    "two dispositions, other order": form(
        part(MODEL + '\r\nContent-Disposition: form-data; name="x"')
    ),
    "no disposition": form(part("Content-Type: text/plain")),
    "no headers": form(b"\r\nm\r\n"),
    "folded": form(part('Content-Disposition: form-data;\r\n name="model"')),
    "folded with tab": form(part('Content-Disposition: form-data;\r\n\tname="model"')),
    "folded, hidden": form(
        part('X: y\r\n Content-Disposition: form-data; name="model"\r\n' + OTHER)
    ),
    "bare LF in headers": form(part(OTHER + "\n" + MODEL)),
    "bare CR in headers": form(part(OTHER + "\r" + MODEL)),
    "LF after headers": form(raw(MODEL) + b"\n\nm\r\n"),
    "space before the colon": form(part(MODEL.replace(":", " :"))),
    "space before the name": form(part(" " + MODEL)),
    "no colon": form(part("nothing\r\n" + MODEL)),
    "null in headers": form(part("X: \x00\r\n" + MODEL)),
    "other headers": form(part("X: y\r\n" + MODEL)),
    "base64": form(part(MODEL + "\r\nContent-Transfer-Encoding: base64", "bQ==")),
    "quoted-printable": form(
        part(MODEL + "\r\nContent-Transfer-Encoding: quoted-printable", "=6D")
    ),
    "two transfer encodings": form(
        part(
            MODEL + "\r\nContent-Transfer-Encoding: binary\r\nContent-Transfer-Encoding: base64",
            "bQ==",
        )
    ),
    "length": form(part(MODEL + "\r\nContent-Length: 0")),
    "a longer length": form(part(MODEL + "\r\nContent-Length: 2")),
    "a length twice": form(part(MODEL + "\r\nContent-Length: 1\r\nContent-Length: 1")),
    "two filenames, one extended": form(part(FILE + "; filename*=utf-8''b.wav"), M),
    "two filenames, one broken": form(part(FILE + "; filename*=utf-8''a.wav%FF"), M),
    "nested": form(
        part(
            OTHER + "\r\nContent-Type: multipart/mixed; boundary=" + "c" * 9,
            body(part(), boundary="c" * 9),
        ),
        M,
    ),
    "a message": form(part(OTHER + "\r\nContent-Type: message/rfc822", "A: b\r\n\r\nc"), M),
    "two types in a part": form(part(MODEL + "\r\nContent-Type: a/b\r\nContent-Type: c/d")),
    "charset of a part": form(part(MODEL + "\r\nContent-Type: text/plain; charset=utf-16")),
    "UTF-7": form(part(MODEL + "\r\nContent-Type: text/plain; charset=utf-7", "+AG0-")),
    "_charset_": form(part('Content-Disposition: form-data; name="_charset_"', "utf-16"), M),
    # the form
    "preamble": (TYPE, b"x\r\n" + body(M)),
    "empty preamble": (TYPE, b"\r\n" + body(M)),
    "a form before": (TYPE, body(part(data="x")) + body(M)),
    "epilogue": (TYPE, body(M) + b"x"),
    "a part after": (TYPE, body(M) + f"--{B}\r\n".encode() + part(data="x") + f"--{B}--".encode()),
    "LF only": (TYPE, body(M).replace(b"\r\n", b"\n")),
    "CR only": (TYPE, body(M).replace(b"\r\n", b"\r")),
    "LF before the boundary": (TYPE, body(M).replace(b"\r\n--", b"\n--")),
    "LF after the boundary": (TYPE, body(M).replace(B.encode() + b"\r\n", B.encode() + b"\n")),
    "LF boundary in data": form(part(data=f"a\n--{B}\n{MODEL}\n\nx")),
    "CR boundary in data": form(part(data=f"a\r--{B}\r{MODEL}\r\rx")),
    "padded boundary": (TYPE, body(M).replace(b"\r\nContent", b" \t\r\nContent")),
    "boundary prefix": form(part(data=f"a\r\n--{B}x\r\n{MODEL}\r\n\r\nx")),
    "boundary prefix, dash": form(part(data=f"a\r\n--{B}-\r\n{MODEL}\r\n\r\nx")),
    "end and on": form(part(data=f"a\r\n--{B}--x\r\n{MODEL}\r\n\r\nx")),
    "boundary without dashes": form(part(data=f"a-\r\n-{B}\r\n{MODEL}\r\n\r\nx")),
    "boundary at once": form(raw(MODEL) + b"\r\n\r\n"),
    "boundary in headers": form(raw(MODEL) + b"\r\n"),
    **{
        f"shorter boundary, {name}": (
            f'multipart/form-data; boundary="{boundary}"',
            body(
                part(OTHER, f"a{start}--{short}{end}{MODEL}\r\n\r\nx\r\n--{short}--"),
                M,
                boundary=boundary,
            ),
        )
        for name, boundary, short, start, end in (
            ("cut at a comma", "ab,cd", "ab", "\r\n", "\r\n"),
            ("cut at a space", "ab cd", "ab", "\r\n", "\r\n"),
            ("cut at equals", "ab=cd=ef", "cd", "\r\n", "\r\n"),
            ("what is last", "ab=cd=ef", "ef", "\r\n", "\r\n"),
            ("LF", "ab,cd", "ab", "\n", "\n"),
            ("CR", "ab,cd", "ab", "\r", "\r"),
            ("padded", "ab,cd", "ab", "\r\n", " \t" * 100 + "\r\n"),
            ("its quote kept", "ab=cd", '"ab', "\r\n", "\r\n"),
        )
    },
    "no end": (TYPE, body(M)[: -len(B) - 6]),
    "half an end": (TYPE, body(M)[:-3]),
    "no parts": (TYPE, body()),
    "nothing": (TYPE, b""),
    "other boundary": (TYPE, body(M, boundary="c" * 24)),
    "one dash": (TYPE, body(M).replace(b"--" + B.encode(), b"-" + B.encode())),
    "JSON": (TYPE, b'{"model":"m"}'),
    # the field
    "twice": form(part(data="a"), part(data="b")),
    "twice, once a file": form(part(data="a"), part(MODEL + '; filename="x"', "b")),
    "a file": form(part(MODEL + '; filename="x"')),
    "capital": form(part(data="a"), part(MODEL.replace("model", "Model"), "b")),
    "brackets": form(part(data="a"), part(MODEL.replace("model", "model[]"), "b")),
    "index": form(part(data="a"), part(MODEL.replace("model", "model[0]"), "b")),
    "bracketed": form(part(data="a"), part(MODEL.replace("model", "[model]"), "b")),
    "absent": form(part(OTHER)),
    "not UTF-8": form(part(data=b"\xff")),
    "byte-order mark": form(part(data=b"\xef\xbb\xbfm")),
}

TOKENS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"--",
        b"-",
        b" ",
        b"\t",
        b"\x00",
        b";",
        b":",
        b"=",
        b'"',
    ),
    *(b"\\", b"%22", b"\xff", b"\xc3\xa9", b"\xc2\x85", b"\xe2\x80\xa8", b"'", b"*", b"[]", b"m"),
    *(b'; name="model"', b"; name*=utf-8''model", b'; filename="x"', b'; filename=""', b'name="x"'),
    *(B.encode(), b"--" + B.encode(), b"\r\n--" + B.encode(), b"--" + B.encode() + b"--\r\n"),
    *(b"\r\n" + MODEL.encode(), b"\r\nContent-Transfer-Encoding: base64", b"\r\nX: y", b"\r\n y"),
    *(b"\r\nContent-Type: text/plain", b"\r\nContent-Type: multipart/mixed; boundary=x", M, WAV),
)
