"""Forms with one file and one field, as the form writers of many languages make them.

Python, Node and Go write theirs when the test runs. Of the others the bytes are written here, after
the files that are named.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import aiohttp
import httpx2
import requests
import urllib3

from admissibility_devtools.tools.find import NODE
from sidecar.opa.location import locate
from tests.contract.differential.forms import Form
from tests.contract.differential.upstreams import built

CONTENT = b"RIFF\r\n\x00\xff"
NAMES = ("a.wav", "my file.wav", "ä.wav", "a'b;c.wav")
ESCAPED = 'a"b\\c.wav'
_HERE = Path(__file__).parent
Writer = Callable[[str], Form]


def of_requests(name: str) -> Form:
    files, data = {"file": (name, CONTENT, "audio/wav")}, {"model": "m"}
    made = requests.Request("POST", "http://x/", data=data, files=files).prepare()
    assert isinstance(made.body, bytes)
    return made.headers["Content-Type"], made.body


def of_httpx(name: str) -> Form:
    files, data = {"file": (name, CONTENT, "audio/wav")}, {"model": "m"}
    made = httpx2.Request("POST", "http://x/", data=data, files=files)
    return made.headers["content-type"], made.read()


def of_urllib3(name: str) -> Form:
    body, content_type = urllib3.encode_multipart_formdata(
        [("file", (name, CONTENT, "audio/wav")), ("model", "m")]
    )
    return content_type, body


def of_aiohttp(name: str) -> Form:
    async def make() -> Form:
        form = aiohttp.FormData()
        form.add_field("file", CONTENT, filename=name, content_type="audio/wav")
        form.add_field("model", "m")
        payload = form()
        return payload.headers["Content-Type"], await payload.as_bytes()

    return asyncio.run(make())


def _printed(command: list[str]) -> Form:
    ended = subprocess.run(command, capture_output=True, check=True)
    content_type, _, body = ended.stdout.partition(b"\n")
    return content_type.decode(), body


def of_node(name: str) -> Form:
    return _printed([str(locate(NODE)), str(_HERE / "writer.js"), name])


def of_go(name: str) -> Form:
    return _printed([str(built(_HERE / "writer.go")), name])


WRITERS: dict[str, Writer] = {
    "requests": of_requests,
    "httpx2": of_httpx,
    "urllib3": of_urllib3,
    "aiohttp": of_aiohttp,
    "node": of_node,
    "go": of_go,
}


def _form(boundary: str, *parts: tuple[str, bytes], quoted: bool = False) -> Form:
    mark = f"--{boundary}".encode()
    body = b"".join(
        b"%s\r\n%s\r\n\r\n%s\r\n" % (mark, "\r\n".join(head.split("\n")).encode(), data)
        for head, data in parts
    )
    shown = f'"{boundary}"' if quoted else boundary
    return f"multipart/form-data; boundary={shown}", body + mark + b"--\r\n"


SHAPES: dict[str, Form] = {
    # openai/openai-dotnet, MultiPartFormDataBinaryContent.cs: 70 characters, one of them "=", file
    # first. dotnet/runtime, MultipartContent.cs and ContentDispositionHeaderValue.cs: the boundary
    # quoted, tokens unquoted, RFC 2047 beside RFC 5987.
    ".NET": _form(
        "Ab3=_" + "x" * 64 + "=",
        (
            'Content-Disposition: form-data; name=file; filename="=?utf-8?B?w6Qud2F2?=";'
            " filename*=utf-8''%C3%A4.wav",
            CONTENT,
        ),
        (
            "Content-Type: text/plain; charset=utf-8\nContent-Disposition: form-data; name=model",
            b"m",
        ),
        quoted=True,
    ),
    # socketry/multipart-post, lib/multipart/post/parts.rb
    "Ruby, multipart-post": _form(
        "-----------RubyMultipartPost-0f1e2d3c4b5a",
        (
            'Content-Disposition: form-data; name="file"; filename="a.wav"\n'
            f"Content-Length: {len(CONTENT)}\nContent-Type: audio/wav\n"
            "Content-Transfer-Encoding: binary",
            CONTENT,
        ),
        ('Content-Disposition: form-data; name="model"', b"m"),
    ),
    # openai/openai-ruby, lib/openai/internal/util.rb: types everywhere, an object as JSON
    "Ruby, openai": _form(
        "Zm9ybS1ib3VuZGFyeS1vZi1vcGVuYWktcnVieS11cmxzYWZlLWJhc2U2NC00Ng",
        (
            'Content-Disposition: form-data; name="file"; filename="my%20file.wav"\n'
            "Content-Type: application/octet-stream",
            CONTENT,
        ),
        ('Content-Disposition: form-data; name="model"\nContent-Type: text/plain', b"m"),
        (
            'Content-Disposition: form-data; name="chunking_strategy"\n'
            "Content-Type: application/json",
            b'{"type":"server_vad"}',
        ),
    ),
    # square/okhttp, MultipartBody.kt; older versions and Spring's FormHttpMessageConverter add the
    # length of a part, openai/openai-java (HttpRequestBodies.kt) a type to each
    "Java, OkHttp": _form(
        "5c2f1d1c-6f0a-4f0e-9d57-0a2b3c4d5e6f",
        (
            'Content-Disposition: form-data; name="file"; filename="a%22b.wav"\n'
            f"Content-Type: audio/wav\nContent-Length: {len(CONTENT)}",
            CONTENT,
        ),
        (
            'Content-Disposition: form-data; name="model"\n'
            "Content-Type: text/plain; charset=utf-8\nContent-Length: 1",
            b"m",
        ),
    ),
    # spring-projects/spring-framework, ContentDisposition.java: with a charset, RFC 2047 "Q"
    "Java, Spring": _form(
        "AbCdEf_-0123456789AbCdEf_-0123456789",
        (
            'Content-Disposition: form-data; name="file"; filename="=?UTF-8?Q?=C3=A4_b.wav?=";'
            f" filename*=UTF-8''%C3%A4%20b.wav\nContent-Type: audio/wav\n"
            f"Content-Length: {len(CONTENT)}",
            CONTENT,
        ),
        (
            'Content-Disposition: form-data; name="model"\n'
            "Content-Type: text/plain;charset=UTF-8\nContent-Length: 1",
            b"m",
        ),
    ),
    # guzzle/psr7, src/MultipartStream.php
    "PHP, Guzzle": _form(
        "6b9d0f6f1c0e4a6b9f7a8d1e2c3b4a5968778695",
        (
            'Content-Disposition: form-data; name="file"; filename="a%22b.wav"\n'
            "Content-Type: audio/x-wav",
            CONTENT,
        ),
        ('Content-Disposition: form-data; name="model"', b"m"),
    ),
    # symfony/mime, Part/Multipart/FormDataPart.php: each part has the encoding 8bit
    "PHP, Symfony": _form(
        "Tx9_-QkZ",
        (
            "Content-Type: audio/wav\nContent-Transfer-Encoding: 8bit\n"
            'Content-Disposition: form-data; name="file"; filename="a.wav"',
            CONTENT,
        ),
        (
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
            'Content-Disposition: form-data; name="model"',
            b"m",
        ),
    ),
    # seanmonstar/reqwest, src/async_impl/multipart.rs
    "Rust, reqwest": _form(
        "00112233445566aa-8899aabbccddeeff-0123456789abcdef-fedcba9876543210",
        (
            'Content-Disposition: form-data; name="file"; filename="ä b.wav"\n'
            "Content-Type: audio/wav",
            CONTENT,
        ),
        ('Content-Disposition: form-data; name="model"', b"m"),
    ),
    # form-data/form-data, lib/form_data.js
    "Node, form-data": _form(
        "-" * 26 + "0123456789abcdef01234567",
        (
            'Content-Disposition: form-data; name="file"; filename="a.wav"\n'
            "Content-Type: audio/wave",
            CONTENT,
        ),
        ('Content-Disposition: form-data; name="model"', b"m"),
    ),
}
"""By language and library."""

QUOTED_PAIRS = _form(
    "00112233445566aa-8899aabbccddeeff-0123456789abcdef-fedcba9876543210",
    ('Content-Disposition: form-data; name="file"; filename="a\\"b\\\\c.wav"', CONTENT),
    ('Content-Disposition: form-data; name="model"', b"m"),
)
"""A name with quotes as Go, reqwest and Spring write it; Node's reader refuses the whole form."""
