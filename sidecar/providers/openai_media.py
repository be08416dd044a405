"""Lists the rows of OpenAI's audio and images, which other servers have too.

A custom voice is what the recordings of a person made of a model that speaks. It is stored
upstream, and no evidence is about it, so it is refused; voices with a name are the model's own.
"""

from __future__ import annotations

from sidecar.providers.json_paths import Meaning, Role
from sidecar.providers.operation import Operation

_PROMPT: dict[str, Meaning] = {"prompt": Role.DATA}
_TRANSCRIPTION = {"model": Role.MODEL, "stream": Role.STREAM, **_PROMPT}

AUDIO: tuple[Operation, ...] = (
    Operation(
        "audio.speech",
        "POST",
        "/audio/speech",
        {"model": Role.MODEL, "voice.id": Role.FOREIGN},
        texts=frozenset({"voice"}),
    ),
    Operation("audio.transcriptions", "POST", "/audio/transcriptions", form=_TRANSCRIPTION),
    Operation("audio.translations", "POST", "/audio/translations", form=_TRANSCRIPTION),
)

_PICTURE: dict[str, Meaning] = {
    "model": Role.MODEL,
    "output_format": Role.FORMAT,
    "svg.model": Role.MODEL,
    "stream": Role.STREAM,
}

IMAGES: tuple[Operation, ...] = (
    Operation("images.generations", "POST", "/images/generations", _PICTURE),
    Operation(
        "images.edits",
        "POST",
        "/images/edits",
        _PICTURE,
        form={
            "model": Role.MODEL,
            "output_format": Role.FORMAT,
            "svg[model]": Role.MODEL,
            "svg[reasoning][effort]": Role.WORD,
            "stream": Role.STREAM,
            **_PROMPT,
        },
    ),
    Operation("images.variations", "POST", "/images/variations", form={"model": Role.MODEL}),
)
