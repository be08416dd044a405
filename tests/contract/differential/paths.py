"""Paths that two parsers could read differently, and plain ones."""

from __future__ import annotations

from hypothesis import strategies as st

CHAT = "/v1/chat/completions"


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
