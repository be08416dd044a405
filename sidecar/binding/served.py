"""Reads what a server of open weights states of a name that it serves, and compares it.

Theory of operation. Three servers state three things. Ollama names the file of each adapter by its
SHA-256 (``ADAPTER …/blobs/sha256-…`` of ``/api/show``) and everything else that a tag has (base,
template, system prompt, parameters) by the digest of the tag (``/api/tags``): an adapter that is
served as it lies in the folder is proven by its digest. vLLM and SGLang name the folder that they
loaded (``root`` of ``/v1/models``), and no digest: the folder is compared with what was bound; that
the server loaded these bytes and no earlier ones is not proven, and is stated as such.

Formats: Ollama's ``docs/api.md`` and ``server/routes.go``, vLLM's ``entrypoints/openai/models``,
SGLang's ``srt/entrypoints/http_server.py``, as of November 2026.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from sidecar.binding.errors import BindingError
from sidecar.formats.json_model import JsonModelError, read_json
from sidecar.providers.ollama import canonical

MAX_ANSWER_BYTES = 8 << 20
_Text = Annotated[str, Field(max_length=4096)]
_Model = TypeVar("_Model", bound=BaseModel)
_HEX = re.compile("[0-9a-f]{64}")
_FILE = re.compile(r"(?:\S.*[/\\])?sha256[-:]([0-9a-f]{64})\s*")
_LINE = re.compile(r"^(FROM|ADAPTER)[ \t]+(.*)$", re.MULTILINE)
_FORGED = re.compile(r"^(?:FROM|ADAPTER)[ \t].*sha256[-:][0-9a-f]{64}", re.MULTILINE)
_PATH = re.compile(r"(/|\.{1,2}/|~|[A-Za-z]:[\\/])")


class Api(StrEnum):
    """A server whose statements are read."""

    VLLM = "vllm"
    SGLANG = "sglang"
    OLLAMA = "ollama"


class Proof(StrEnum):
    """What a server's statement proves."""

    DIGEST = "digest"
    """The server serves bytes with the digest of a file that the manifest binds."""
    PATH = "path"
    """The server names the folder that was compared; which bytes it loaded is not proven."""


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Card(_Answer):
    id: _Text
    root: _Text | None = None
    parent: _Text | None = None


class _Cards(_Answer):
    data: Annotated[list[_Card], Field(max_length=100_000)]


class _Tag(_Answer):
    name: _Text
    digest: _Text


class _Tags(_Answer):
    models: Annotated[list[_Tag], Field(max_length=100_000)]


class _Shown(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    modelfile: Annotated[str, Field(max_length=MAX_ANSWER_BYTES)]


class _ModelInfo(_Answer):
    model_path: _Text


@dataclass(frozen=True, slots=True)
class ServedName:
    """What a server states of one name.

    Attributes:
        name: As it was asked for.
        digest: Ollama: hex SHA-256 of the tag's own manifest: base, adapter, template, parameters.
        adapter: Ollama: hex SHA-256 of the adapter's file.
        root: vLLM, SGLang: the folder that the adapter was loaded from.
        base: Of the base: hex SHA-256 of its file (Ollama), else its id or folder; ``None`` if it
            is not stated.
    """

    name: str
    digest: str | None = None
    adapter: str | None = None
    root: str | None = None
    base: str | None = None


@dataclass(frozen=True, slots=True)
class ServedComparison:
    """A served name beside a manifest.

    Attributes:
        proof: What the statements prove if there are no differences.
        differences: What does not agree, one line each.
        unproven: What the server does not state, one line each.
    """

    proof: Proof
    differences: tuple[str, ...]
    unproven: tuple[str, ...]


def read_cards(name: str, models: bytes, info: bytes | None = None) -> ServedName:
    """Read what vLLM or SGLang lists.

    Args:
        name: Of the adapter; of SGLang what follows ``base:``.
        models: Answer to ``GET /v1/models``.
        info: Answer of SGLang to ``GET /model_info``, which names the base's folder.

    Raises:
        BindingError: Not such answers, or they list no adapter of this name.
    """
    cards = _parsed("/v1/models", models, _Cards).data
    own = [card for card in cards if card.id == name]
    if len(own) != 1:
        listed = ", ".join(card.id for card in cards[:10]) or "nothing"
        raise BindingError(f"the server lists {name!r} {len(own)} times, expected once: {listed}")
    (card,) = own
    if card.parent is None or not card.root:
        raise BindingError(
            f"the server lists {name!r} as a base model, not as an adapter: its card has no parent "
            "and root of its own"
        )
    base: str | None
    if info is not None:
        base = _parsed("/model_info", info, _ModelInfo).model_path
    else:
        parents = [each.root for each in cards if each.id == card.parent and each.parent is None]
        base = parents[0] if len(parents) == 1 else None
    return ServedName(name, root=card.root, base=base)


def tag_digest(name: str, tags: bytes) -> str:
    """Return the digest of a tag of Ollama: hex SHA-256.

    Args:
        name: The tag, by any of its names.
        tags: Answer to ``GET /api/tags``.

    Raises:
        BindingError: Not such an answer, or no such tag.
    """
    short = canonical(name)
    found = _parsed("/api/tags", tags, _Tags).models
    listed = [tag for tag in found if canonical(tag.name) == short]
    if len(listed) != 1:
        raise BindingError(f"the server lists the tag {short!r} {len(listed)} times, expected once")
    digest = listed[0].digest.removeprefix("sha256:")
    if not _HEX.fullmatch(digest):
        raise BindingError(
            f"the digest of {short!r} is {listed[0].digest!r}, which is no SHA-256: not Ollama"
        )
    return digest


def read_tag(name: str, digest: str, shown: bytes) -> ServedName:
    """Read what Ollama states of a tag.

    Args:
        name: The tag.
        digest: From ``tag_digest``.
        shown: Answer to ``POST /api/show``.

    Raises:
        BindingError: Not such an answer, or the tag has not exactly one adapter.
    """
    answer = _parsed("/api/show", shown, _Shown)
    _check_texts(answer)
    found: dict[str, list[str]] = {"FROM": [], "ADAPTER": []}
    for keyword, rest in _LINE.findall(answer.modelfile):
        file = _FILE.fullmatch(rest)
        if file is None and keyword == "ADAPTER":
            raise BindingError(f"/api/show: ADAPTER {rest!r} does not name a file by its digest")
        found[keyword].append("" if file is None else file[1])
    if len(found["ADAPTER"]) != 1:
        raise BindingError(f"{name!r} has {len(found['ADAPTER'])} adapters, expected one")
    base = found["FROM"][0] if len(found["FROM"]) == 1 else ""
    return ServedName(name, digest=digest, adapter=found["ADAPTER"][0], base=base or None)


def _check_texts(shown: _Shown) -> None:
    """Refuse a text of the tag that has a line as the Modelfile has it for a file.

    Ollama writes texts into the Modelfile without escaping quotes, so such a line could be taken
    for one of the Modelfile's own.
    """
    for key, value in (shown.model_extra or {}).items():
        for text in _texts(value):
            if _FORGED.search(text):
                raise BindingError(f"/api/show: {key} has a line that names a file as ADAPTER does")


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - JSON is any value
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return []


@dataclass(frozen=True, slots=True)
class BoundBase:
    """The base model that a manifest names, and its revision: a commit, or a hex SHA-256."""

    id: str
    revision: str


def compare(
    served: ServedName, base: BoundBase, files: Mapping[str, str], root: Path
) -> ServedComparison:
    """Compare what a server states with a manifest and its folder.

    Args:
        served: What it states.
        base: Of the manifest.
        files: Name → hex SHA-256 of the files that the manifest binds.
        root: The folder that was compared, as the server sees it.
    """
    if served.adapter is not None:
        return _compare_files(served, base, files)
    differences, unproven = (
        [],
        [
            f"the server names the folder {served.root}, not what it loaded from there: files that "
            "were exchanged after they were loaded, or before they were compared, are not noticed"
        ],
    )
    stated = served.root or ""
    if not _PATH.match(stated):
        differences.append(
            f"the adapter was loaded from {stated!r}, which is not a path of a folder: serve {root}"
        )
    elif os.path.realpath(stated) != os.path.realpath(root):
        differences.append(f"the adapter was loaded from {stated}, not from {root}")
    if served.base is None or _PATH.match(served.base):
        place = "" if served.base is None else f", only its folder {served.base}"
        unproven.append(f"the server does not name its base model{place}")
    elif served.base != base.id:
        differences.append(f"the base model is {served.base}, but the manifest's is {base.id}")
    return ServedComparison(Proof.PATH, tuple(differences), tuple(unproven))


def _compare_files(
    served: ServedName, base: BoundBase, files: Mapping[str, str]
) -> ServedComparison:
    differences, unproven = (
        [],
        [
            "template, system prompt and parameters of the tag are the server's; its digest "
            f"{served.digest} covers them"
        ],
    )
    if served.adapter not in files.values():
        differences.append(
            f"the adapter's file has the SHA-256 {served.adapter}, which no file of the manifest "
            "has: it is another one, or Ollama converted it. Convert it to GGUF before it is "
            "bound, and name that file in ADAPTER"
        )
    if served.base is None or not _HEX.fullmatch(base.revision):
        unproven.append(
            f"the base model was not compared: the manifest names revision {base.revision!r}, the "
            f"server a file with the SHA-256 {served.base}"
        )
    elif served.base != base.revision:
        differences.append(
            f"the base model's file has the SHA-256 {served.base}, but the manifest's base "
            f"revision is {base.revision}"
        )
    return ServedComparison(Proof.DIGEST, tuple(differences), tuple(unproven))


def _parsed(what: str, data: bytes, model: type[_Model]) -> _Model:
    try:
        return read_json(model, data, max_bytes=MAX_ANSWER_BYTES)
    except JsonModelError as error:
        raise BindingError(f"{what}: {error}") from error
