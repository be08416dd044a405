"""Forms as the libraries of many languages write them, through the gate and three readers."""

from __future__ import annotations

import pytest

from sidecar.extract import multipart
from tests.contract.differential.forms import Form
from tests.contract.differential.upstreams import Upstreams
from tests.contract.differential.writers import (
    CONTENT,
    ESCAPED,
    NAMES,
    QUOTED_PAIRS,
    SHAPES,
    WRITERS,
)


def content_of(form: Form) -> bytes:
    """The file of a form, whose field ``model`` the gate reads as ``m``."""
    parts = multipart.parse(*form)
    assert multipart.fields(parts, ["model"]) == {"model": "m"}
    (file,) = (part for part in parts if part.filename is not None)
    return bytes(file.value)


def alike(upstreams: Upstreams, form: Form) -> bool:
    """Whether every reader that accepts the form reads the model that the gate reads."""
    readings = [each for each in upstreams.form(*form) if each is not None]
    return len(readings) >= 2 and all(("text", b"m") in each for each in readings)


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_library_writes_is_read_by_the_gate_as_by_servers(
    upstreams: Upstreams, name: str
) -> None:
    for file in (*NAMES, ESCAPED):
        form = WRITERS[name](file)
        assert content_of(form) == CONTENT, file
        assert alike(upstreams, form), file


@pytest.mark.parametrize("name", SHAPES)
def test_what_libraries_of_other_languages_write_is_read_alike(
    upstreams: Upstreams, name: str
) -> None:
    assert content_of(SHAPES[name]) == CONTENT
    assert alike(upstreams, SHAPES[name])
    assert None not in upstreams.form(*SHAPES[name])


def test_a_file_name_with_escaped_quotes_is_no_reason_to_refuse(upstreams: Upstreams) -> None:
    assert content_of(QUOTED_PAIRS) == CONTENT
    assert alike(upstreams, QUOTED_PAIRS)
