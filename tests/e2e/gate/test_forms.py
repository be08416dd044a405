"""Forms with files, through real Envoy: what two parsers could read differently reaches nobody."""

from __future__ import annotations

import pytest

from tests.support.site.talk import Seen, Talk

TARGET = "/v1/audio/transcriptions"
MALFORMED = (400, "malformed_request")
AMBIGUOUS = (400, "ambiguous_model")
BOUNDARY = "boundary7f9a"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(head: str, text: str) -> str:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n"


SOUND = part('name="file"; filename="a.wav"', "RIFF") + part('name="model"', "{model}")
NESTED = "Content-Type: multipart/mixed; boundary=x"
END = f"--{BOUNDARY}--\r\n"


def send(talk: Talk, body: str, content_type: str = TYPE) -> Seen:
    lines = [*talk.credential, ("Content-Type", content_type)]
    content = body.replace("{model}", talk.model).encode()
    return talk.seen(lambda: talk.call(content, target=TARGET, lines=lines))


def test_a_sound_form_is_judged_by_the_model_in_it(talk: Talk) -> None:
    assert send(talk, SOUND + END) == Seen((403, "operation_not_covered"), ())
    unbound = part('name="model"', "ft:unheard-of")
    assert send(talk, unbound + END) == Seen((403, "manifest_missing"), ())


def test_audio_of_the_size_that_the_provider_takes_is_read_whole(talk: Talk) -> None:
    audio = part('name="file"; filename="a.wav"', "x" * (25 << 20))
    covered = part('name="model"', "{model}") + END
    assert send(talk, audio + covered) == Seen((403, "operation_not_covered"), ())


def test_a_form_as_net_writes_it_is_judged_by_the_model_in_it(talk: Talk) -> None:
    boundary = "Ab3=_" + "x" * 65
    body = (SOUND + END).replace(BOUNDARY, boundary)
    found = send(talk, body, f'multipart/form-data; boundary="{boundary}"')
    assert found == Seen((403, "operation_not_covered"), ())


@pytest.mark.parametrize(
    ("body", "content_type", "verdict"),
    [
        (SOUND + part('name="model"', "other") + END, TYPE, AMBIGUOUS),
        (SOUND + part('name="Model"', "other") + END, TYPE, AMBIGUOUS),
        (SOUND + part('name="model[]"', "other") + END, TYPE, AMBIGUOUS),
        (SOUND + part("name*=utf-8''model", "other") + END, TYPE, MALFORMED),
        (SOUND + part('name="x"; name="model"', "other") + END, TYPE, MALFORMED),
        (SOUND + part('name="mo\\"del"', "other") + END, TYPE, MALFORMED),
        (SOUND + END, f"{TYPE}; boundary=other", MALFORMED),
        (SOUND + END, f"{TYPE}; boundary*=utf-8''other", MALFORMED),
        (SOUND + END, "multipart/form-data", MALFORMED),
        (SOUND + END, TYPE.replace("form-data", "mixed"), MALFORMED),
        (SOUND, TYPE, MALFORMED),
        ("preamble\r\n" + SOUND + END, TYPE, MALFORMED),
        (SOUND + END + SOUND + END, TYPE, MALFORMED),
        (SOUND.replace("\r\n", "\n") + END, TYPE, MALFORMED),
        (
            SOUND.replace(
                "\r\n\r\nRIFF", "\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\nRIFF"
            )
            + END,
            TYPE,
            MALFORMED,
        ),
    ],
)
def test_a_form_that_two_parsers_could_read_differently_is_refused(
    talk: Talk, body: str, content_type: str, verdict: tuple[int, str]
) -> None:
    assert send(talk, body, content_type) == Seen(verdict, ())
