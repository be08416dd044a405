"""Asks a server of open weights what it serves under a name: a few bounded requests."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from sidecar.binding import served
from sidecar.binding.errors import BindingError
from sidecar.binding.served import MAX_ANSWER_BYTES, Api, ServedName
from sidecar.binding.source import SourceError, UnansweredError

TIMEOUT_SECONDS = 30.0
_CHUNK = 1 << 16


def ask(api: Api, url: str, name: str, key: str | None = None) -> ServedName:
    """Ask what is served under a name.

    Args:
        api: Whose statements are read.
        url: Of the server: ``http(s)://HOST[:PORT]``, also with the ``/v1`` of its OpenAI API.
        name: As calls name it.
        key: Its API key.

    Raises:
        SourceError: It does not answer, or not with 200.
        BindingError: Its answer is not of its own format, or lists no adapter of this name.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise BindingError(f"{url!r} is not http(s)://HOST[:PORT] without user")
    root = url.rstrip("/").removesuffix("/v1")
    with requests.Session() as session:
        session.trust_env = False  # no proxy and no .netrc: the server itself is asked
        if key is not None:
            session.headers["authorization"] = f"Bearer {key}"
        if api is Api.OLLAMA:
            return _tag(session, root, name)
        models = _get(session, f"{root}/v1/models")
        if api is Api.VLLM:
            return served.read_cards(name, models)
        # Earlier releases have it under a name that is deprecated as of 0.5.
        info = _get(session, f"{root}/model_info", or_at=f"{root}/get_model_info")
        return served.read_cards(name.rpartition(":")[2], models, info)


def _tag(session: requests.Session, root: str, name: str) -> ServedName:
    digest = served.tag_digest(name, _get(session, f"{root}/api/tags"))
    found = served.read_tag(name, digest, _get(session, f"{root}/api/show", {"model": name}))
    # A tag that is moved between the two answers would mix two models.
    if served.tag_digest(name, _get(session, f"{root}/api/tags")) != digest:
        raise BindingError(f"the tag {name!r} was moved while it was read; run this again")
    return found


def _get(
    session: requests.Session,
    url: str,
    body: dict[str, Any] | None = None,
    or_at: str | None = None,
) -> bytes:
    """Return the body of an answer; ``POST`` where there is one to send.

    ``or_at`` is an older name of the same route, asked where the first one is not found.
    """
    try:
        with session.request(
            "GET" if body is None else "POST",
            url,
            json=body,
            timeout=TIMEOUT_SECONDS,
            stream=True,
            allow_redirects=False,
        ) as answer:
            if answer.status_code == 404 and or_at is not None:
                return _get(session, or_at)
            if answer.status_code != 200:
                raise SourceError(f"{url}: HTTP {answer.status_code}, expected 200")
            data = bytearray()
            for chunk in answer.iter_content(_CHUNK):
                data += chunk
                if len(data) > MAX_ANSWER_BYTES:
                    raise BindingError(f"{url}: is larger than {MAX_ANSWER_BYTES} bytes")
            return bytes(data)
    except requests.RequestException as error:
        raise UnansweredError(f"{url}: no answer ({type(error).__name__})") from error
